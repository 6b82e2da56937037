"""When things happen by themselves: cron expressions and time zones, checked when kb.yaml is read."""

from __future__ import annotations

import re
import zoneinfo
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ITEM = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?", re.ASCII)


class _Field(NamedTuple):
    """One of the five places of a cron expression. `names` stand for least, least + 1 ..."""

    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)


def check_cron(text: str) -> str:
    """Return the five fields with single blanks between them; raise ValueError saying which of them is wrong.

    A field is *, a number, a range or a list of these, months and days of the week by their English names too, each
    with an optional /step after * or a range.
    """
    parts = text.lower().split()
    if len(parts) != len(_FIELDS):
        raise ValueError("a cron expression has five fields: minute, hour, day of the month, month, day of the week")
    values = [_values(field, part) for field, part in zip(_FIELDS, parts, strict=True)]
    days, months = values[2], values[3]
    # With a day of the week beside it, a day of the month is an alternative and not a condition.
    if parts[4] == "*" and min(days) > max(_LONGEST[month - 1] for month in months):
        raise ValueError("no month named here has such a day: it would never come")
    return " ".join(parts)


def check_timezone(name: str) -> str:
    """Return `name` if it is a time zone of the IANA database; raise ValueError otherwise."""
    try:
        return zoneinfo.ZoneInfo(name).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of that database, like "Asia"
        raise ValueError("must be a time zone such as UTC, Asia/Shanghai or Europe/Berlin") from None


def _values(field: _Field, part: str) -> set[int]:
    return {value for item in part.split(",") for value in _item(field, item)}


def _item(field: _Field, item: str) -> range:
    found = _ITEM.fullmatch(item)
    first, last, step = found.group("first", "last", "step") if found else ("", None, None)
    least = _number(field, first)
    most = _number(field, last) if last else field.most if first == "*" else least
    alone = first != "*" and last is None and step is not None
    if least is None or most is None or most < least or alone or (first == "*" and last) or step == "0":
        raise ValueError(
            f"{field.name}: use {field.least} to {field.most}, *, ranges as 1-5, lists as 1,3, steps as */2"
        )
    return range(least, most + 1, int(step or 1))


def _number(field: _Field, text: str) -> int | None:
    """The value that `text` stands for, None if it stands for none."""
    if text == "*":
        return field.least
    if text in field.names:
        return field.least + field.names.index(text)
    value = int(text) if text.isdigit() and len(text) <= 2 else -1
    return value if field.least <= value <= field.most else None


Cron = Annotated[str, AfterValidator(check_cron)]
TimeZone = Annotated[str, AfterValidator(check_timezone)]
