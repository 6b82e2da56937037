"""Archives (zip): every document in them under its name, as the attachments of a mail are."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import DocumentTooLarge, NoText, PermanentError, UnsupportedFormat
from kb_pipeline.core.media_type import HEAD_BYTES, ZIP, detect
from kb_pipeline.parsing.common.container import check_package
from kb_pipeline.parsing.common.decoding import decode
from kb_pipeline.parsing.embedded import read_inside, under_its_name

MOST_FILES = 200
_UTF_8_NAME = 0x800
# Zip is also what programs, drawings and the like are packed in: their parts are no documents.
_PACKAGES = {"[Content_Types].xml", "META-INF/MANIFEST.MF", "AndroidManifest.xml", "mimetype"}
# What systems and tools put beside the documents.
_ASIDE = ("__MACOSX/", ".")


def parse_zip(data: bytes) -> list[Element]:
    """The documents of an archive in its order; archives in it stay closed. Raises UnsupportedFormat where none of them
    can be read."""
    check_package(data, "zip", main_part="")
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        if _PACKAGES.intersection(package.namelist()):
            raise UnsupportedFormat("unsupported format: a package of an application unknown here, see docs/formats.md")
        entries = [entry for entry in package.infolist() if not entry.is_dir() and not _is_aside(entry)]
        if len(entries) > MOST_FILES:
            raise DocumentTooLarge(
                f"The archive holds {len(entries)} files; the limit is {MOST_FILES}.", "Unpack it beside it."
            )
        read = [(_name(entry), _read(package.read(entry), entry.filename)) for entry in entries]
    if not read:
        raise NoText("The archive is empty.")
    if all(isinstance(one, PermanentError) for _, one in read):
        raise UnsupportedFormat("unsupported format: an archive without a document that can be read", "Unpack it.")
    return [element for name, one in read for element in under_its_name(name, one)]


def _read(data: bytes, name: str) -> list[Element] | PermanentError:
    if detect(data[:HEAD_BYTES], name) == ZIP:
        return UnsupportedFormat("unsupported format: an archive inside an archive", "Unpack it.")
    return read_inside(data, name)


def _is_aside(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.startswith(_ASIDE[0]) or PurePosixPath(entry.filename).name.startswith(_ASIDE[1])


def _name(entry: zipfile.ZipInfo) -> str:
    """The name of a file; old tools write it in the code page of their system and do not say so."""
    return entry.filename if entry.flag_bits & _UTF_8_NAME else decode(entry.filename.encode("cp437"))
