"""Which parser reads which media type, and how its failures become errors of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kb_pipeline import media_type as types
from kb_pipeline.contracts import Element
from kb_pipeline.errors import CorruptDocument, MemoryLimitExceeded, NoText, PermanentError, UnsupportedFormat
from kb_pipeline.parsing import container, mail, office, pdf, spreadsheet, text, web
from kb_pipeline.parsing.elements import finish

Parser = Callable[[bytes], list[Element]]


def _ole(data: bytes) -> list[Element]:
    container.check_ole(data)
    return []


PARSERS: Mapping[str, Parser] = {
    types.DOCX: office.parse_docx,
    types.PPTX: office.parse_pptx,
    types.PPTM: office.parse_pptx,
    types.XLSX: spreadsheet.parse_xlsx,
    types.XLSM: spreadsheet.parse_xlsx,
    types.CSV: spreadsheet.parse_delimited,
    types.TSV: spreadsheet.parse_delimited,
    types.HTML: web.parse_html,
    types.MARKDOWN: web.parse_markdown,
    types.TEXT: text.parse_text,
    types.EML: mail.parse_mail,
    types.PDF: pdf.parse_pdf,
    types.OLE: _ole,
}


def parse(data: bytes, media_type: str) -> list[Element]:
    """Elements of a document in reading order. Runs third-party parsers: call it in a limited worker process.

    Raises UnsupportedFormat, EncryptedDocument, CorruptDocument, NoText, DocumentTooLarge or MemoryLimitExceeded;
    whatever else a parser raises becomes CorruptDocument with the exception's type alone, as its message may quote
    the document.
    """
    parser = PARSERS.get(media_type)
    if parser is None:
        raise UnsupportedFormat(f"unsupported format: {media_type}, see docs/formats.md")
    if not data.strip(b"\0\t\n\r "):
        raise NoText("The file is empty.")
    try:
        elements = finish(parser(data))
    except PermanentError:
        raise
    except MemoryError:
        raise MemoryLimitExceeded(f"{parser.__name__} ran out of memory.") from None
    except RecursionError:
        raise CorruptDocument(f"{parser.__name__}: the document is nested too deeply.") from None
    except Exception as error:  # noqa: BLE001  # the boundary to third-party parsers, which raise anything
        raise CorruptDocument(
            f"{parser.__name__} cannot read the document ({type(error).__name__}).",
            "Open it in its own application and save it again.",
        ) from None
    if not elements:
        raise NoText("The document opens and holds no text.")
    return elements
