"""One batch of texts through the service: whatever is wrong with one of them costs that one alone.

A batch that is refused, or that fails every time, is split in halves until the text at fault stands alone, once a
plain word has shown that the service itself is well. A text that is too long is cut. One that the model answers with an
error, or with nothing usable, is rejected: asking again would be in vain. One that nobody answers (no connection, not
in time, too busy) is left unanswered, to be asked for again another time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kb_pipeline.core.errors import EmbeddingUnavailable, SettingsError, TextRejected, TextUnanswered
from kb_pipeline.embedding.answers import is_length_refusal, shortened
from kb_pipeline.embedding.servers import Answer, Failing, Refused, Servers
from kb_pipeline.embedding.troubles import Trouble, without_password
from kb_pipeline.embedding.vectors import Vectors

CONTROL_TEXT = "test"


@dataclass
class EmbeddingUsage:
    """`calls` counts requests, refused ones too, retries not; `truncated` counts texts cut to what the model takes."""

    calls: int = 0
    texts: int = 0
    tokens: int = 0
    truncated: int = 0

    def add(self, other: EmbeddingUsage) -> None:
        """Add `other`'s counts to these."""
        self.calls += other.calls
        self.texts += other.texts
        self.tokens += other.tokens
        self.truncated += other.truncated


class Batch:
    """What has become of some texts so far; positions are those in `texts`. For one thread.

    `vectors` holds rows (d,) of unit length; a position ends in `vectors`, `rejected` or `unanswered`. What is raised
    concerns the service, not the texts: EmbeddingUnavailable or SettingsError.
    """

    def __init__(self, servers: Servers, texts: Sequence[str]) -> None:
        self.vectors: dict[int, Vectors] = {}
        self.rejected: dict[int, TextRejected] = {}
        self.unanswered: dict[int, TextUnanswered] = {}
        self.usage = EmbeddingUsage()
        self._servers = servers
        self._texts = texts

    def embed(self, positions: Sequence[int]) -> Batch:
        """Embed the texts at `positions`, with as many retries as the settings say. Returns itself."""
        try:
            self._keep_all(positions, self._call([self._texts[i] for i in positions]))
        except Refused as refused:
            self._refused(positions, refused)
        except Failing as failing:
            self._check_others_pass()
            self._servers.blame_texts()
            self._servers.rest(failing.trouble)
            for part in _halves(positions):
                self._narrow(part)
        return self

    def _narrow(self, positions: Sequence[int]) -> None:
        """Texts of a batch that failed to the end: the service is well, so long waits would not help. Only a text that
        stands alone is tried twice."""
        alone = len(positions) == 1
        retries = self._servers.second_chances if alone else 0
        try:
            self._keep_all(positions, self._call([self._texts[i] for i in positions], retries=retries))
        except Refused as refused:
            self._refused(positions, refused)
        except Failing as failing:
            self._servers.rest(failing.trouble)
            if alone:
                self._blame(positions[0], failing)
            else:
                for part in _halves(positions):
                    self._narrow(part)

    def _refused(self, positions: Sequence[int], refused: Refused) -> None:
        if len(positions) > 1:
            for part in _halves(positions):
                self.embed(part)
        elif is_length_refusal(refused.status, refused.server_message):
            self._cut_and_embed(positions[0], refused)
        else:
            self._blame(positions[0], refused)

    def _keep_all(self, positions: Sequence[int], answer: Answer) -> None:
        for row, i in enumerate(positions):
            if row in answer.unusable:
                self._try_alone(i)
            else:
                self._keep(i, answer.vectors[row])

    def _try_alone(self, position: int) -> None:
        """A text whose vector held NaN or only zeros gets one more chance: its neighbours may be the cause."""
        try:
            answer = self._call([self._texts[position]], retries=1)
        except (Refused, Failing) as error:
            self._blame(position, error)
            return
        if answer.unusable:
            self._blame(position, None)
        else:
            self._keep(position, answer.vectors[0])

    def _cut_and_embed(self, position: int, refusal: Refused) -> None:
        """Cut a text that is too long until the model takes it. Every cut is shorter than the last, so this ends."""
        text, error = self._texts[position], refusal
        while is_length_refusal(error.status, error.server_message):
            text = shortened(text, error.server_message)
            if not text:
                break
            try:
                answer = self._call([text])
            except Refused as again:
                error = again
                continue
            except Failing as failing:
                self._blame(position, failing)
                return
            if answer.unusable:
                self._blame(position, None)
                return
            self.usage.truncated += 1
            self._keep(position, answer.vectors[0])
            return
        self._blame(position, error)

    def _blame(self, position: int, error: Refused | Failing | None) -> None:
        self._check_others_pass()
        self._servers.count_blamed()
        if isinstance(error, Failing) and error.trouble.silent:
            self.unanswered[position] = _waiting(error.trouble)
        else:
            self.rejected[position] = _rejection(error)

    def _check_others_pass(self) -> None:
        """Before a text is blamed, see that the service embeds a plain word: if not, the service is at fault."""
        everywhere = ", ".join(map(without_password, self._servers.urls))
        try:
            answer = self._call([CONTROL_TEXT], retries=1, patient=True)
        except Failing as failing:
            raise failing.unavailable from None
        except Refused as refused:
            raise refuses_all(everywhere, refused) from None
        if answer.unusable:
            raise refuses_all(everywhere, None)

    def _call(self, texts: Sequence[str], retries: int | None = None, *, patient: bool = False) -> Answer:
        if self._servers.given_up:
            raise EmbeddingUnavailable("Another request has failed for good.")
        self.usage.calls += 1
        answer = self._servers.embed(texts, retries=retries, patient=patient)
        self.usage.tokens += answer.tokens
        return answer

    def _keep(self, position: int, vector: Vectors) -> None:
        self.vectors[position] = vector
        self.usage.texts += 1


def _halves(positions: Sequence[int]) -> list[Sequence[int]]:
    """The two halves; of one position, itself."""
    half = len(positions) // 2
    return [part for part in (positions[:half], positions[half:]) if part]


def fault_of(text: str) -> TextRejected | None:
    """Why a text cannot be sent at all: servers refuse blank texts, and a lone surrogate has no UTF-8."""
    if not text.strip():
        return TextRejected("A text to embed is empty.", "Look at the document's chunks.")
    try:
        text.encode()
    except UnicodeEncodeError:
        return TextRejected("A text to embed holds half a character (a lone surrogate).", "Repair the document.")
    return None


def _rejection(error: Refused | Failing | None) -> TextRejected:
    """Why a text has no vector, without a word of it."""
    if isinstance(error, Refused):
        what = f"The embedding service refuses a text of this document (HTTP {error.status}), and no other."
    elif isinstance(error, Failing):
        what = f"The embedding service fails on a text of this document, and on no other: {error.trouble.what}."
    else:
        what = "The model returns no usable vector (not finite, or of length zero) for a text of this document."
    return TextRejected(what, "Serve the model in bfloat16 or float32, then `kb quarantine retry`; or edit the text.")


def _waiting(trouble: Trouble) -> TextUnanswered:
    """Why a text has no vector yet, without a word of it."""
    return TextUnanswered(
        f"The embedding service embeds other texts, but not one of this document: {trouble.what}.",
        "It is tried again by later syncs; see what the service logs, or raise embedding.timeout_seconds.",
    )


def refuses_all(servers: str, refused: Refused | None) -> SettingsError:
    """The error for a service that cannot embed even one plain word: `refused`, or None for a useless vector."""
    what = f"refuses every text (HTTP {refused.status})" if refused else "returns no usable vector, even for one word"
    return SettingsError(
        f"The embedding server {servers} {what}.",
        "Check that embedding.model is served as an embedding model (SGLang: --is-embedding, --dtype bfloat16).",
    )
