"""Damage to text with a structure: tags, lines of light markup, RTF groups, delimited files, JSON and YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random

from kb_pipeline_tests.fuzzing.octets import Mutation, anywhere, bounded, with_another_number, with_match
from kb_pipeline_tests.fuzzing.words import hard_text, written

_TAG = re.compile(rb"<[A-Za-z/][^<>]{0,400}>")
_OPENING = re.compile(rb"<([A-Za-z][\w:.-]{0,60})(?:\s[^<>]{0,400})?>")
_ATTRIBUTE = re.compile(rb"""([\w:.-]{1,60})=("[^"<>]{0,400}"|'[^'<>]{0,400}')""")
_SELF = re.compile(rb"<([A-Za-z][\w:.-]{0,60})")
_INNER = re.compile(rb">([^<>]+)<")
_ENTITIES = (
    b"&#x110000;",
    b"&#0;",
    b"&#xD800;",
    b"&bogus;",
    b"&",
    b"&amp;lt;",
    b"&#99999999999;",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
)
_VALUES = (
    b"0",
    b"-1",
    b"999999999",
    b"65535",
    b"1e9",
    b"NaN",
    b"",
    b"true",
    b"rId1",
    b"#REF!",
    b"XFD1048576",
    b"A0",
    b"/",
    b"..",
)
_DEPTHS = (3, 60, 300, 5000)
_DOCTYPE = b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d SYSTEM "file:///dev/zero">]>'


def without_a_tag(data: bytes, chosen: Random) -> bytes:
    """One tag taken out, so that others do not match."""
    return with_match(_TAG, data, chosen, lambda _: b"")


def with_a_tag_moved(data: bytes, chosen: Random) -> bytes:
    """A tag in the place of another."""
    other = anywhere(_TAG, data, chosen)
    return with_match(_TAG, data, chosen, lambda _: other.group()) if other else data


def with_another_name(data: bytes, chosen: Random) -> bytes:
    """A tag under the name of another."""
    other = anywhere(_SELF, data, chosen)
    return with_match(_SELF, data, chosen, lambda _: other.group()) if other else data


def with_elements_again(data: bytes, chosen: Random) -> bytes:
    """An element, with all that is in it, many times; or not at all."""
    opening = anywhere(_OPENING, data, chosen)
    if not opening:
        return data
    end = data.find(b"</" + opening.group(1) + b">", opening.end())
    end = opening.end() if end < 0 else end + len(opening.group(1)) + 3
    element = data[opening.start() : end]
    return bounded(data[: opening.start()] + element * chosen.choice((0, 2, 50, 2000)) + data[end:])


def nested_deeply(data: bytes, chosen: Random) -> bytes:
    """An element inside itself, again and again, closed or not."""
    deep = chosen.choice(_DEPTHS)

    def nest(opening: re.Match[bytes]) -> bytes:
        return opening.group() * deep + (b"</" + opening.group(1) + b">") * chosen.choice((0, deep - 1))

    return bounded(with_match(_OPENING, data, chosen, nest))


def nested_and_closed(data: bytes, chosen: Random) -> bytes:
    """An element inside itself, some hundred deep at most, every one closed."""
    deep = chosen.choice((1, 2, 40, 250))
    return bounded(
        with_match(_OPENING, data, chosen, lambda o: o.group() * deep + (b"</" + o.group(1) + b">") * (deep - 1))
    )


def with_another_attribute(data: bytes, chosen: Random) -> bytes:
    """An attribute of another value: a wrong number, a very long one, one that another attribute has."""
    other = anywhere(_ATTRIBUTE, data, chosen)
    if not other:
        return data
    long = chosen.choice((b"9", b"a", b" ", "字".encode())) * chosen.choice((100, 50_000))
    value = chosen.choice((b'"%s"' % chosen.choice(_VALUES), b'"%s"' % long, other.group(2)))
    return bounded(with_match(_ATTRIBUTE, data, chosen, lambda found: found.group(1) + b"=" + value))


def with_spans(data: bytes, chosen: Random) -> bytes:
    """Cells over many rows and columns."""
    across, down = (chosen.choice((b"0", b"-5", b"7", b"1000", b"65534", b"99999999")) for _ in range(2))
    rows = b"<tr><td colspan=%s rowspan=%s>x<td>y</tr>" % (across, down) * chosen.choice((1, 30, 500))
    return bounded(with_match(_TAG, data, chosen, lambda found: found.group() + b"<table>" + rows + b"</table>"))


def with_entities(data: bytes, chosen: Random) -> bytes:
    """References that mean nothing, sections that nobody closes, a document type of its own."""
    if chosen.random() < 0.2:
        return with_match(_OPENING, data, chosen, lambda found: _DOCTYPE + found.group() + b"&c;&d;")
    inside = chosen.choice(_ENTITIES) * chosen.choice((1, 1, 500))
    return bounded(with_match(_INNER, data, chosen, lambda found: b">" + found.group(1) + inside + b"<"))


def with_hard_inner_text(data: bytes, chosen: Random) -> bytes:
    """Hard text between two tags, and right for XML but for the characters that XML has not."""
    text = written(hard_text(chosen)).replace(b"&", b"&amp;").replace(b"<", b"&lt;")
    return bounded(with_match(_INNER, data, chosen, lambda _: b">" + text + b"<"))


TAGS: Mapping[str, Mutation] = {
    made.__name__: made
    for made in (
        *(without_a_tag, with_a_tag_moved, with_another_name, with_elements_again, nested_deeply),
        *(with_another_attribute, with_spans, with_entities, with_hard_inner_text),
    )
}

# Those after which XML is mostly still well formed, so that its readers come to what they did not expect.
WELL_FORMED: Mapping[str, Mutation] = {
    made.__name__: made
    for made in (
        *(with_elements_again, with_another_attribute, with_hard_inner_text, with_another_number),
        nested_and_closed,
    )
}

# What light markup, RTF, data files and their like are made of; any of them in any of them.
_STARTS = (
    *(
        "> ",
        "- ",
        "  - ",
        "1. ",
        "# ",
        "###### ",
        "* ",
        "| ",
        "```",
        "~~~",
        ":::",
        "    ",
        ".. ",
        "=",
        "**",
        "#+BEGIN_SRC\n",
    ),
    *(
        "[",
        "](",
        "![",
        "<b>",
        "`",
        "_",
        "\\",
        "{",
        "}",
        "{\\b ",
        "\\u-10179?",
        "\\bin99999 ",
        "\\'ff",
        "\\pard\\trowd\\cell\\row ",
    ),
    *(
        '"',
        ",",
        ";",
        "\t",
        '""',
        "[[",
        '{"a":',
        "]",
        "- - ",
        "a: ",
        "&a ",
        "*a ",
        "|\n  ",
        "---\n",
        "? ",
        "%TAG ! x\n",
        "\r",
    ),
)
_WHOLE = (
    *(
        ".. include:: /etc/hostname\n",
        ".. list-table::\n   :widths: 0 -1\n\n",
        ".. code::\n\n",
        "#+INCLUDE: /etc/hostname\n",
    ),
    *(
        "|a|b|\n|-|-|\n" + "|" * 300 + "\n",
        "| a |\n|---|\n" * 50,
        "<details><summary>x</summary>\n\n",
        "[^1]: a\n",
        "[a]: <b\n",
    ),
    *(
        "=====\nT\n=====\n",
        "+---+---+\n|   | a |\n+   +---+\n",
        "* TODO [#A] x :a:b:\n:PROPERTIES:\n",
        "|---+---|\n| a | b |\n",
    ),
    *(
        "1e400, -0, NaN, Infinity\n",
        '{"__proto__": {"a": [' * 20,
        "{\\*\\ftnsep ",
        "{\\rtf1\\ansicpg99999 ",
        "{\\pict\\wmetafile8 zz}",
    ),
)


def with_starts(data: bytes, chosen: Random) -> bytes:
    """A mark of markup many times over, where a line begins or anywhere."""
    mark = chosen.choice(_STARTS).encode()
    at = chosen.randrange(len(data) + 1)
    line = data.find(b"\n", at) + 1
    at = line if line and chosen.random() < 0.6 else at
    return bounded(data[:at] + mark * chosen.choice((1, 2, 30, 400, 20_000)) + data[at:])


def with_whole_parts(data: bytes, chosen: Random) -> bytes:
    """Tables, directives and blocks where a line begins."""
    at = data.find(b"\n", chosen.randrange(len(data) + 1)) + 1
    parts = "".join(chosen.choice(_WHOLE) * chosen.choice((1, 1, 40)) for _ in range(chosen.randint(1, 4)))
    return bounded(data[:at] + b"\n" + parts.encode() + b"\n" + data[at:])


def with_lines_moved(data: bytes, chosen: Random) -> bytes:
    """Lines in another order, joined, or pushed in."""
    lines = data.split(b"\n")
    for _ in range(chosen.choice((1, 5, 40))):
        at = chosen.randrange(len(lines))
        moved = lines.pop(at)
        lines.insert(chosen.randrange(len(lines) + 1), chosen.choice((b"", b" ", b"    ", b"\t", b"\x0b")) + moved)
    return chosen.choice((b"\n", b"\n", b"\r\n", b"\r", b"")).join(lines)


def nested_lines(data: bytes, chosen: Random) -> bytes:
    """Every line one step further in than the one before it."""
    mark, deep = chosen.choice((b"- x", b"> x", b"x:", b"* x", b"+ - x", b"1. x")), chosen.choice((10, 200, 2000))
    at = data.find(b"\n", chosen.randrange(len(data) + 1)) + 1
    steps = b"\n".join(b" " * (2 * depth) + mark for depth in range(deep))
    return bounded(data[:at] + steps + b"\n" + data[at:])


LINES: Mapping[str, Mutation] = {
    made.__name__: made for made in (with_starts, with_whole_parts, with_lines_moved, nested_lines)
}
