"""What is done with what masking finds: one action an entity, and the key of pseudonyms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, Field

Entity = Literal[
    "CN_RESIDENT_ID", "CN_CREDIT_CODE", "PASSPORT", "TRAVEL_PERMIT", "US_SSN", "PERSON", "ADDRESS", "DATE_OF_BIRTH",
    "PHONE_NUMBER", "EMAIL_ADDRESS", "BANK_CARD", "IBAN_CODE", "MONEY", "LICENSE_PLATE", "IP_ADDRESS", "MAC_ADDRESS",
    "SECRET",
]  # fmt: skip
ENTITIES: tuple[Entity, ...] = get_args(Entity)
# Those that models may be named for.
Language = Literal["zh", "en"]
# What remains of these tells little; what remains of the others (an amount, a place, a key) would tell too much.
PARTIAL = frozenset[str](
    (
        *("CN_RESIDENT_ID", "CN_CREDIT_CODE", "PASSPORT", "TRAVEL_PERMIT", "US_SSN", "PERSON", "PHONE_NUMBER"),
        *("EMAIL_ADDRESS", "BANK_CARD", "IBAN_CODE", "LICENSE_PLATE"),
    )
)

KEEP, MASK, PARTLY, PSEUDONYM = "keep", "mask", "partial", "pseudonym"
# The most careful first: what stands before it shows less of the text.
_CAREFUL = (MASK, PSEUDONYM, PARTLY, KEEP)
_LABEL = re.compile(r"<[^<>\s\d]{1,40}>")
_KEY_ID = re.compile("[A-Za-z0-9_-]{1,32}")
LEAST_SECRET_CHARACTERS = 32


def _action(action: str) -> str:
    if action not in _CAREFUL and not _LABEL.fullmatch(action):
        raise ValueError("must be keep, mask, partial, pseudonym or a label such as <手机号>")
    return action


Action = Annotated[str, AfterValidator(_action)]


def check_actions(actions: Mapping[Entity, str]) -> Mapping[Entity, str]:
    """`actions` as they are; raises ValueError for an entity that cannot be shown in part."""
    for entity, action in actions.items():
        if action == PARTLY and entity not in PARTIAL:
            raise ValueError(f"{entity} cannot be shown in part: use mask, pseudonym or keep")
    return actions


@dataclass(frozen=True, slots=True)
class PseudonymKey:
    """The secret under which equal values get equal pseudonyms, and the name it goes by in fingerprints."""

    key_id: str
    secret: bytes = field(repr=False)

    @classmethod
    def read(cls, written: str) -> PseudonymKey:
        """A key written as ID:SECRET. Raises ValueError, quoting nothing of it."""
        key_id, _, secret = written.partition(":")
        if not _KEY_ID.fullmatch(key_id) or len(secret) < LEAST_SECRET_CHARACTERS:
            raise ValueError(
                "must be ID:SECRET, the id of letters, digits, _ and -, the secret of"
                f" {LEAST_SECRET_CHARACTERS} characters or more"
            )
        return cls(key_id, secret.encode())


class NamedEntityModel(BaseModel, frozen=True, extra="forbid"):
    """A model that finds names which no word announces. `model` is a folder, for `spacy` also an installed package, for
    `transformers` a model in the Hugging Face cache. `entities`: what its labels are to us; others are left alone.
    `min_score` is the least that counts; spaCy gives no scores."""

    library: Literal["spacy", "transformers"]
    model: Annotated[str, Field(min_length=1)]
    entities: Mapping[str, Entity] = Field(default={"PER": "PERSON", "PERSON": "PERSON"}, min_length=1)
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.5


@dataclass(frozen=True)
class MaskingPolicy:
    """What happens to each entity: an action by its name; an entity not named is kept. `models`, by language, find
    what no pattern does."""

    actions: Mapping[str, str]
    key: PseudonymKey | None = None
    models: Mapping[Language, NamedEntityModel] = field(default_factory=dict)

    @cached_property
    def entities(self) -> tuple[str, ...]:
        """The entities that are replaced by something, in order."""
        return tuple(sorted(entity for entity, action in self.actions.items() if action != KEEP))

    @cached_property
    def shown_labels(self) -> tuple[str, ...]:
        """Labels of its own that stand for entities, in order."""
        return tuple(sorted({action for action in self.actions.values() if action.startswith("<")}))

    @cached_property
    def makes_pseudonyms(self) -> bool:
        """Whether a key is needed."""
        return PSEUDONYM in self.actions.values()

    def action(self, entity: str) -> str:
        """What happens to a finding of this entity."""
        return self.actions.get(entity, KEEP)

    def shape(self) -> dict[str, Any]:
        """What the result depends on, for fingerprints: the actions, and the key by its id."""
        key_id = self.key.key_id if self.key and self.makes_pseudonyms else ""
        return {"actions": dict(self.actions), "key": key_id}


def strictest(policies: Sequence[MaskingPolicy]) -> MaskingPolicy:
    """A policy that keeps of each entity no more than any of `policies` does."""
    named = {entity for policy in policies for entity in policy.actions}
    actions = {entity: min((policy.action(entity) for policy in policies), key=_carefulness) for entity in named}
    models = {language: model for policy in policies for language, model in policy.models.items()}
    return MaskingPolicy(actions, next((policy.key for policy in policies if policy.key), None), models)


def loosest(policies: Sequence[MaskingPolicy]) -> MaskingPolicy:
    """A policy that replaces only what all of `policies` replace."""
    named = {entity for policy in policies for entity in policy.actions}
    actions = {entity: max((policy.action(entity) for policy in policies), key=_carefulness) for entity in named}
    return MaskingPolicy(actions, next((policy.key for policy in policies if policy.key), None))


def _carefulness(action: str) -> int:
    return _CAREFUL.index(action) if action in _CAREFUL else 0
