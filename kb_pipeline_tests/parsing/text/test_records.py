"""Data files: tables where records are alike, lines of names and values otherwise."""

import pytest

from kb_pipeline.core import media_type as types
from kb_pipeline.core.errors import CorruptDocument
from kb_pipeline.parsing import parse


def read(text: str, media_type: str) -> list[tuple[str, str]]:
    return [(element.kind, element.text) for element in parse(text.encode(), media_type)]


def test_records_with_the_same_fields_are_a_table() -> None:
    rows = '[{"品名": "水泵", "价": 100}, {"品名": "阀门", "价": null}]'
    assert read(rows, types.JSON) == [("table", "品名\t价\n水泵\t100\n阀门")]


def test_nested_values_are_lines_by_their_path() -> None:
    text = '{"order": {"id": 7, "items": [{"name": "水泵"}, {"name": "阀门"}], "note": null}}'
    assert read(text, types.JSON) == [("paragraph", "order.id: 7 order.items.name: 水泵 order.items.name: 阀门")]


def test_json_lines_are_read_a_record_a_line() -> None:
    lines = '{"q": "年假几天", "a": {"text": "五天"}}\n\n{"q": "病假", "a": {"text": "十天"}}\n'
    assert read(lines, types.JSON_LINES) == [
        ("paragraph", "q: 年假几天 a.text: 五天"),
        ("paragraph", "q: 病假 a.text: 十天"),
    ]


def test_xml_gives_texts_by_the_names_of_their_tags() -> None:
    xml = "<?xml version='1.0'?><a xmlns='urn:x'><title>通知</title><p>放假 <b>三天</b> 。</p></a>"
    assert [text for _, text in read(xml, types.XML)] == ["title: 通知", "p: 放假", "p: 。", "b: 三天"]


def test_an_entity_that_names_a_file_is_not_looked_up(tmp_path) -> None:  # type: ignore[no-untyped-def]
    secret = tmp_path / "secret.txt"
    secret.write_text("hunter2")
    xml = f"<!DOCTYPE a [<!ENTITY x SYSTEM '{secret.as_uri()}'>]><a><p>text</p><p>&x;</p></a>"
    assert all("hunter2" not in text for _, text in read(xml, types.XML))


def test_yaml_stays_as_it_is_written() -> None:
    assert read("a:\n  b: 1\n---\nc: 2\n", types.YAML) == [("code", "a:\n  b: 1"), ("code", "c: 2")]


@pytest.mark.parametrize(("text", "media_type"), [("{", types.JSON), ("<a>", types.XML)])
def test_what_is_cut_off_is_corrupt(text: str, media_type: str) -> None:
    with pytest.raises(CorruptDocument):
        read(text, media_type)
