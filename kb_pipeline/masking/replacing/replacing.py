"""What stands in the place of something found: a label, what is left of it, or a pseudonym. Pure functions."""

from __future__ import annotations

import re

from kb_pipeline.core.identity import pseudonym
from kb_pipeline.masking.finding.folding import fold
from kb_pipeline.settings.policy import MASK, PARTLY, PSEUDONYM, MaskingPolicy

_NO_PART_OF_IT = re.compile(r"[^\w@.+]|_")
_PREFIX_OF_CHINA = re.compile(r"\A(?:\+?|00)86(?=1[3-9])")
_SHOWN_LAST = 4
_LEAST_HIDDEN = 4


def label(entity: str) -> str:
    """What stands for a masked span."""
    return f"<{entity}>"


def replacement(entity: str, value: str, policy: MaskingPolicy) -> str:
    """What `policy` puts in the place of `value`, which is an `entity`."""
    action = policy.action(entity)
    if action == PSEUDONYM and policy.key:
        return f"<{entity}_{pseudonym(policy.key.secret, entity, normal_form(entity, value))}>"
    if action == PARTLY:
        return partly(entity, value)
    return label(entity) if action in (MASK, PSEUDONYM) else action


def normal_form(entity: str, value: str) -> str:
    """One spelling for values that mean the same: no blanks, hyphens or brackets, one case, no +86 before a mobile."""
    bare = _NO_PART_OF_IT.sub("", fold(value).text).casefold()
    if entity == "PHONE_NUMBER":
        return _PREFIX_OF_CHINA.sub("", bare).lstrip("+")
    return bare


def partly(entity: str, value: str) -> str:
    """`value` with most of it starred out: a name's first character, a mail address's first letter and domain, a phone
    number's first three and last four digits, of other numbers the last four. Too short for that: its label."""
    if entity == "PERSON":
        return f"{value[0]}**"
    if entity == "EMAIL_ADDRESS":
        local, _, domain = value.rpartition("@")
        return f"{local[0]}***@{domain}" if len(local) > 1 else label(entity)
    bare = "".join(character for character in fold(value).text if character.isalnum())
    head = 0
    if entity == "PHONE_NUMBER":
        head, bare = 3, _PREFIX_OF_CHINA.sub("", bare)
    hidden = len(bare) - head - _SHOWN_LAST
    return f"{bare[:head]}{'*' * hidden}{bare[-_SHOWN_LAST:]}" if hidden >= _LEAST_HIDDEN else label(entity)
