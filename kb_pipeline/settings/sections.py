"""The sections of kb.yaml: names, types, defaults and limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from kb_pipeline.core.selection import DEFAULT_EXCLUDE, check_patterns
from kb_pipeline.settings.policy import Action, Entity, check_actions
from kb_pipeline.settings.times import Cron, TimeZone

DEFAULT_MODEL = "all-MiniLM-L6-v2"
Patterns = Annotated[tuple[str, ...], AfterValidator(check_patterns)]
Actions = Annotated[Mapping[Entity, Action], AfterValidator(check_actions)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class EncryptionSettings(Section):
    """What an S3 store is asked to encrypt an object with: keys of its own (AES256), or a key of the key service
    (`kms_key_id`; None: the account's own)."""

    algorithm: Literal["AES256", "aws:kms"]
    kms_key_id: str | None = None

    @model_validator(mode="after")
    def _key(self) -> Self:
        if self.kms_key_id is not None and self.algorithm != "aws:kms":
            raise ValueError("kms_key_id goes with aws:kms alone")
        return self


class ObjectStoreSettings(Section):
    """Where raw documents and artifacts lie. `url` is file:///folder or s3://bucket/prefix; None means KB_HOME.

    `clear_encryption` is that of elements and unmasked chunks; None leaves it to the bucket, as for all else.
    """

    url: str | None = None
    endpoint: str | None = None
    region: str | None = None
    clear_encryption: EncryptionSettings | None = None

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"(file:///.*|s3://[^/]+(/.*)?)", url):
            raise ValueError("must be file:///folder or s3://bucket/prefix")
        return url

    @model_validator(mode="after")
    def _encrypts(self) -> Self:
        if self.clear_encryption and not (self.url or "").startswith("s3://"):
            raise ValueError("clear_encryption needs url to be s3://bucket/prefix: a folder does not encrypt")
        return self


class EmbeddingSettings(Section):
    """The model and its servers. `urls` are OpenAI-compatible base URLs; none means the embedded server.

    `dimension` is what the serving table holds (None: the model's own). `context_tokens` is the server's limit.
    `instruction` goes before queries only, as Qwen3-Embedding was trained: "Instruct: {instruction}\\nQuery:{text}".
    `languages` are those the model was trained on; None means English for the default model and all for any other. In
    a language it does not know, words decide the order of results and vectors only fill up.
    """

    urls: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    revision: str = ""
    dimension: Annotated[int, Field(ge=1, le=4000)] | None = None
    instruction: str = ""
    languages: tuple[str, ...] | None = None
    batch_texts: Annotated[int, Field(ge=1, le=2048)] = 32
    concurrency: Annotated[int, Field(ge=1, le=256)] = 2
    timeout_seconds: Annotated[float, Field(gt=0)] = 120.0
    max_retries: Annotated[int, Field(ge=0, le=20)] = 4

    def knows(self, language: str) -> bool:
        """Whether the model was trained on this language (an ISO 639-1 code)."""
        if self.languages is None:
            return self.model != DEFAULT_MODEL or language == "en"
        return language in self.languages

    @field_validator("urls")
    @classmethod
    def _http(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not re.fullmatch(r"https?://[^\s/]+(/.*)?", url):
                raise ValueError("must be http:// or https:// addresses")
        return tuple(url.rstrip("/") for url in urls)


class LimitSettings(Section):
    """What one document may cost in one stage before it is quarantined."""

    seconds: Annotated[float, Field(gt=0)] = 120.0
    memory_mb: Annotated[int, Field(ge=256)] = 2048
    document_mb: Annotated[int, Field(ge=1)] = 200
    workers: Annotated[int, Field(ge=1, le=256)] | None = None


Strategy = Literal["auto", "fast", "ocr", "hi_res"]


class ChunkingSettings(Section):
    """Sizes in tokens, by a calibrated estimate, or by a `tokenizer`: a file tokenizer.json, a folder with one, or a
    model in the Hugging Face cache. `overlap_sentences` are said again where a section is cut. `prefix_section_path`
    puts the heading path before the text sent to the model; the text stored and shown stays as it was."""

    max_tokens: Annotated[int, Field(ge=16, le=32768)] = 200
    min_tokens: Annotated[int, Field(ge=0)] = 24
    overlap_sentences: Annotated[int, Field(ge=0, le=5)] = 0
    tokenizer: str = ""
    prefix_section_path: bool = True


class AccessRule(Section):
    """Documents whose key matches the pattern may be read by these groups. `*` matches any characters, `/` too."""

    match: str
    groups: tuple[str, ...]


class NotificationSettings(Section):
    """The SQS queue to which the bucket sends its events. None: only listings tell what changed.

    `endpoint` and `region` are those in `queue_url` unless said otherwise. `new_sources`: a prefix below raw/ that
    neither kb.yaml nor the ledger knows becomes a source system, whether a notification or a listing shows it.
    """

    queue_url: str | None = None
    endpoint: str | None = None
    region: str | None = None
    new_sources: bool = False

    @field_validator("queue_url", "endpoint")
    @classmethod
    def _http(cls, url: str | None, info: ValidationInfo) -> str | None:
        path = "(/[^/\\s]+)+" if info.field_name == "queue_url" else "/?"
        if url is not None and not re.fullmatch(rf"https?://[^\s/@]+{path}", url):
            raise ValueError("must be an http:// or https:// address, such as https://sqs.REGION.example.com/1/queue")
        return url


class SourceSettings(Section):
    """One source system. Anything left out is taken from `defaults`. Of the `access` rules the first that matches a
    document holds; a document that none matches has no groups.

    `include` and `exclude` are patterns (core.selection) of names to take in: `include` in place of that of `defaults`,
    `exclude` after it.
    """

    description: str = ""
    include: Patterns | None = None
    exclude: Patterns = ()
    strategy: Strategy | None = None
    masking: Actions = Field(default_factory=dict)
    access: tuple[AccessRule, ...] = ()
    cron: Cron | None = None
    timezone: TimeZone | None = None


class DefaultSettings(Section):
    """What holds for every source that does not say otherwise. An entity not named here is masked.

    `strategy`, for pages that may be pictures: `fast` reads text layers alone, `ocr` pictures of all pages, `auto` a
    picture where a page has no usable text layer, `hi_res` leaves PDF to the models of unstructured.
    """

    include: Patterns = ()
    exclude: Patterns = DEFAULT_EXCLUDE
    strategy: Strategy = "auto"
    masking: Actions = Field(default_factory=dict)
    cron: Cron | None = None
    timezone: TimeZone | None = None


class LeaseSettings(Section):
    """How two runs over one source system keep out of each other's way."""

    wait_seconds: Annotated[float, Field(ge=0)] = 60.0
    ttl_seconds: Annotated[float, Field(ge=5)] = 60.0


class RunSettings(Section):
    """What one run takes on. `documents` pass all stages together and become searchable; the next run follows.

    `retries` is how often a run tries again after PostgreSQL or the object store failed it, in all its stages together.
    """

    documents: Annotated[int, Field(ge=1)] = 2000
    retries: Annotated[int, Field(ge=0, le=100)] = 5


class DeleteSettings(Section):
    """The brake: deletes wait for a word when more than `share` of a source's documents, and at least `least`, are
    gone, or all of them."""

    share: Annotated[float, Field(ge=0, le=1)] = 0.2
    least: Annotated[int, Field(ge=1)] = 20


class RetentionSettings(Section):
    """How long what nothing needs any more is kept. `days` after its deletion a document's artifacts may be collected;
    an object that no ledger row names is an orphan once it is older than `grace_hours`, longer than any run.
    `clear_days` after they were made, elements and unmasked chunks go (None: with the rest of their document)."""

    days: Annotated[float, Field(ge=0)] = 30.0
    clear_days: Annotated[float, Field(ge=0)] | None = None
    grace_hours: Annotated[float, Field(ge=0)] = 24.0


class AlertSettings(Section):
    """Who is told of a failed or braked run: a webhook that takes JSON by POST. Its address may hold a secret."""

    webhook_url: SecretStr | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0

    @field_validator("webhook_url")
    @classmethod
    def _http(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url.get_secret_value()):
            raise ValueError("must be an http:// or https:// address")
        return url


class AutomationSettings(Section):
    """What happens without a command. `enabled` switches the sensor and the nightly and weekly schedules on when
    Dagster starts; either way the UI's own switches win. A cron of None means that there is no such schedule."""

    enabled: bool = False
    poll_seconds: Annotated[int, Field(ge=1, le=86_400)] = 30
    timezone: TimeZone = "UTC"
    reconcile_cron: Cron | None = "30 2 * * *"
    collect_cron: Cron | None = "0 4 * * 0"
