"""Data files as people read them: JSON, JSON lines and XML as tables or as `name: value` lines, YAML as it is written.

Names of fields come along, for they are often what is asked for; brackets, quotes and tags do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from kb_pipeline.core.contracts import Element
from kb_pipeline.parsing.common.cleaning import table
from kb_pipeline.parsing.common.decoding import decode

# Rows of a table share their columns: of all fields that any record has, a record lacks fewer than half.
_FILLED = 0.5
_LEAST_ROWS = 2


def parse_json(data: bytes) -> list[Element]:
    """One JSON value."""
    return value_elements(json.loads(decode(data)))


def parse_json_lines(data: bytes) -> list[Element]:
    """A JSON value a line."""
    return value_elements([json.loads(line) for line in decode(data).splitlines() if line.strip()])


def parse_xml(data: bytes) -> list[Element]:
    """Elements with text by the names of their tags; DTDs and entities of the document's own are not looked up."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False)
    return [Element(line, "paragraph") for line in _xml_lines(etree.fromstring(data, parser))]


def parse_yaml(data: bytes) -> list[Element]:
    """As it is written: its indentation says what belongs together. Documents in one file are parts."""
    return [Element(part, "code") for part in decode(data).split("\n---") if part.strip("-\n ")]


def value_elements(value: Any) -> list[Element]:
    """A list of records with the same fields as a table, anything else as lines."""
    if _is_table(value):
        columns = list(dict.fromkeys(name for record in value for name in record))
        rows = [[_scalar(record.get(name)) for name in columns] for record in value]
        return [Element(table([columns, *rows]), "table")]
    if isinstance(value, list):
        return [Element("\n".join(_lines(item)), "paragraph") for item in value]
    if isinstance(value, dict):
        return [Element("\n".join(_lines(item, name)), "paragraph") for name, item in value.items()]
    return [Element(_scalar(value), "paragraph")]


def _is_table(value: Any) -> bool:
    if not isinstance(value, list) or len(value) < _LEAST_ROWS or not all(isinstance(item, dict) for item in value):
        return False
    flat = all(not isinstance(field, dict | list) for record in value for field in record.values())
    fields = {name for record in value for name in record}
    return flat and all(len(record) > _FILLED * len(fields) for record in value)


def _lines(value: Any, name: str = "") -> Iterator[str]:
    """`name: value` lines, names of nested values joined by dots; items of a list share their list's name."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lines(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _lines(item, name)
    elif value not in (None, ""):
        yield f"{name}: {_scalar(value)}" if name else _scalar(value)


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _xml_lines(root: etree._Element) -> Iterator[str]:
    for node in root.iter(etree.Element):
        name = etree.QName(node).localname
        for text in (node.text, *(child.tail for child in node)):
            if text and text.strip():
                yield f"{name}: {' '.join(text.split())}"
