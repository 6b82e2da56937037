"""Formats that pandoc reads, and that pandoc wrote here."""

import pypandoc
import pytest

from kb_pipeline.core import media_type as types
from kb_pipeline.core.errors import CorruptDocument
from kb_pipeline.parsing import parse

SOURCE = (
    "# 差旅制度\n\n报销在返回后 **十日** 内提交。\n\n## Limits\n\n- hotel 400\n- meals 100\n\n"
    "| 城市 | 标准 |\n|---|---|\n| 北京 | 600 |\n"
)
EXPECTED = [
    ("title", 1, "差旅制度"),
    ("paragraph", None, "报销在返回后 十日 内提交。"),
    ("title", 2, "Limits"),
    ("list_item", None, "hotel 400"),
    ("list_item", None, "meals 100"),
    ("table", None, "城市\t标准\n北京\t600"),
]


@pytest.mark.parametrize(
    ("media_type", "writer"),
    [(types.EPUB, "epub"), (types.ODT, "odt"), (types.RTF, "rtf"), (types.RST, "rst"), (types.ORG, "org")],
)
def test_headings_lists_and_tables_come_through(media_type: str, writer: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / f"file.{writer}"
    pypandoc.convert_text(SOURCE, writer, "markdown", outputfile=str(path), extra_args=["--standalone"])
    read = [(e.kind, e.level, e.text) for e in parse(path.read_bytes(), media_type)]
    assert [element for element in read if element in EXPECTED] == EXPECTED


@pytest.mark.parametrize("media_type", [types.EPUB, types.ODT])
def test_a_package_that_is_cut_off_is_corrupt(media_type: str) -> None:
    with pytest.raises(CorruptDocument, match="no complete zip archive"):
        parse(b"PK\x03\x04 cut off", media_type)


def test_no_other_file_is_read(tmp_path) -> None:  # type: ignore[no-untyped-def]
    secret = tmp_path / "secret.txt"
    secret.write_text("hunter2")
    read = parse(f"Title\n=====\n\n.. include:: {secret}\n\ntext\n".encode(), types.RST)
    assert all("hunter2" not in element.text for element in read)
