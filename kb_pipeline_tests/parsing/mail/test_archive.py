"""Archives: each document under its name, limits that a bomb cannot pass, what is no archive of documents refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import pytest

from kb_pipeline.core.errors import DocumentTooLarge, UnsupportedFormat
from kb_pipeline.core.media_type import ZIP
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.mail import archive


def packed(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as package:
        for name, content in files.items():
            package.writestr(name, content)
    return file.getvalue()


def test_every_document_stands_under_its_name_and_one_that_cannot_be_read_says_why() -> None:
    inner = packed({"a.txt": b"hidden"})
    data = packed({"制度/请假.md": "# 请假\n\n提前三天。".encode(), "__MACOSX/x": b"x", "b.zip": inner})
    assert [(e.kind, e.level, e.text) for e in parse(data, ZIP)] == [
        ("title", 2, "制度/请假.md"),
        ("title", 3, "请假"),
        ("paragraph", None, "提前三天。"),
        ("title", 2, "b.zip"),
        ("paragraph", None, "(UnsupportedFormat)"),
    ]


def test_names_in_the_code_page_of_an_old_system_are_read() -> None:
    data = packed({"xxxx.txt": "请提前三天申请。".encode()}).replace(b"xxxx.txt", "请假".encode("gb18030") + b".txt")
    assert [e.text for e in parse(data, ZIP)] == ["请假.txt", "请提前三天申请。"]


@pytest.mark.parametrize(
    "files",
    [{"a.zip": packed({"a.txt": b"hidden"})}, {"META-INF/MANIFEST.MF": b"Version: 1", "a.txt": b"a"}],
)
def test_archives_of_archives_and_programs_are_not_read(files: dict[str, bytes]) -> None:
    with pytest.raises(UnsupportedFormat, match="unsupported format"):
        parse(packed(files), ZIP)


def test_an_archive_of_too_many_files_is_too_large() -> None:
    with pytest.raises(DocumentTooLarge, match="limit is 200"):
        parse(packed({f"{n}.txt": b"a" for n in range(archive.MOST_FILES + 1)}), ZIP)
