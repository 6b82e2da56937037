"""Tables of pipes right under a line of text. GitHub reads them as tables, pulldown-cmark as text of the paragraph."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pyromark

_RULE = re.compile(rb"^[ \t>|:-]++$", re.MULTILINE)
_RULE_CELL = re.compile(rb"[ \t]*+:?-++:?[ \t]*+")
_BAR = re.compile(rb"(?<!\\)\|")


def set_apart(text: str) -> tuple[str, list[int]]:
    """Markdown with an empty line before each table that has none, and where these lines stand in it, in bytes; the
    same text where there is no such table."""
    data = text.encode()
    candidates = list(_candidates(data))
    if not candidates:
        return text, []
    spoken = _text_starts(text)
    heads = [head for head, rule, end in candidates if bisect_left(spoken, rule) < bisect_left(spoken, end)]
    edges = [0, *heads, len(data)]
    apart = b"\n".join(data[start:end] for start, end in pairwise(edges)).decode()
    return apart, [head + lines for lines, head in enumerate(heads)]


def _candidates(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Where the head of a table may begin that a line of text precedes, and begin and end of the rule below it."""
    for match in _RULE.finditer(data):
        columns = _cells(match.group())
        if b"|" not in match.group() or not all(_RULE_CELL.fullmatch(cell) for cell in columns):
            continue
        rule = match.start()
        head = data.rfind(b"\n", 0, max(0, rule - 1)) + 1
        before = data[data.rfind(b"\n", 0, max(0, head - 1)) + 1 : head]
        if before.strip(b" \t>\n") and len(_cells(data[head : rule - 1])) == len(columns):
            yield head, rule, match.end()


def _cells(line: bytes) -> list[bytes]:
    return _BAR.split(line.strip(b" \t>").removeprefix(b"|").removesuffix(b"|"))


def _text_starts(text: str) -> list[int]:
    """Where text begins that is neither code nor HTML, nor in a table: offsets in bytes, ascending."""
    starts, inside = [], False
    event: Any  # a name, or a dict of one name
    for event, place in pyromark.events_with_range(text, options=pyromark.Options.ENABLE_TABLES):
        if isinstance(event, str):
            continue
        ((name, value),) = event.items()
        if name in ("Start", "End") and ("CodeBlock" in value or "Table" in value):
            inside = name == "Start"
        elif name == "Text" and not inside:
            starts.append(place["start"])
    return sorted(starts)
