"""Which parser reads which media type, and how its failures become errors of ours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import import_module

from kb_pipeline.core import media_type as types
from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import (
    CorruptDocument,
    MemoryLimitExceeded,
    NoText,
    PermanentError,
    SettingsError,
    UnsupportedFormat,
)
from kb_pipeline.parsing import bootstrap
from kb_pipeline.parsing.common.elements import finish
from kb_pipeline.parsing.common.protection import unlocked

Parser = Callable[[bytes], list[Element]]


# Module and function; imported at first need, for the libraries behind one format take up to 1.6 CPU seconds to load.
PARSERS: Mapping[str, str] = {
    types.DOCX: "office.documents.parse_docx",
    types.DOCM: "office.documents.parse_docx",
    types.DOTX: "office.documents.parse_docx",
    types.PPTX: "office.documents.parse_pptx",
    types.POTX: "office.documents.parse_pptx",
    types.PPTM: "office.documents.parse_pptx",
    types.XLSX: "office.spreadsheet.parse_xlsx",
    types.XLSM: "office.spreadsheet.parse_xlsx",
    types.DOC: "office.legacy.parse_doc",
    types.PPT: "office.legacy.parse_ppt",
    types.XLS: "office.spreadsheet.parse_xls",
    types.ODS: "office.spreadsheet.parse_xls",
    types.CSV: "office.spreadsheet.parse_delimited",
    types.TSV: "office.spreadsheet.parse_delimited",
    types.HTML: "web.html.parse_html",
    types.MARKDOWN: "text.markdown.parse_markdown",
    types.TEXT: "text.plain.parse_text",
    types.EML: "mail.eml.parse_mail",
    types.PDF: "pdf.reader.parse_pdf",
    types.EPUB: "text.pandoc.parse_epub",
    types.ODT: "text.pandoc.parse_odt",
    types.RTF: "text.pandoc.parse_rtf",
    types.RST: "text.pandoc.parse_rst",
    types.ORG: "text.pandoc.parse_org",
    types.JSON: "text.records.parse_json",
    types.JSON_LINES: "text.records.parse_json_lines",
    types.XML: "text.records.parse_xml",
    types.YAML: "text.records.parse_yaml",
    types.MSG: "mail.outlook.parse_msg",
    **dict.fromkeys(types.PICTURES, "pdf.images.parse_image"),
    types.OLE: "office.documents.parse_ole",
    types.ZIP: "mail.archive.parse_zip",
}
# Those that unstructured reads; a mail may hold a web page.
_PARTITIONERS = {
    **dict.fromkeys((types.DOCX, types.DOCM, types.DOTX), "docx"),
    **dict.fromkeys((types.PPTX, types.PPTM, types.POTX), "pptx"),
    **dict.fromkeys((types.HTML, types.EML, types.MSG), "html"),
}


_XML_ERR_NO_MEMORY = 2  # what libxml2 calls it when it gets no memory

_PANIC = "PanicException"  # of parsers in Rust; it is no Exception


def parser_of(media_type: str) -> Parser:
    """What reads `media_type`, loaded now. Raises UnsupportedFormat."""
    name = PARSERS.get(media_type)
    if name is None:
        raise UnsupportedFormat(f"unsupported format: {media_type}, see docs/formats.md")
    module, _, function = name.rpartition(".")
    parser: Parser = getattr(import_module(f"kb_pipeline.parsing.{module}"), function)
    return parser


def warm_up(media_types: Collection[str] | None = None) -> None:
    """Load what reads `media_types`, or everything; types that nothing reads are passed over."""
    wanted = PARSERS.keys() if media_types is None else PARSERS.keys() & media_types
    for media_type in wanted:
        parser_of(media_type)
    bootstrap.warm_up([name for media_type, name in _PARTITIONERS.items() if media_type in wanted])
    import_module("charset_normalizer")  # decoding.py does at first need


def parse(data: bytes, media_type: str) -> list[Element]:
    """Elements of a document in reading order. Runs third-party parsers: call it in a limited worker process.

    Raises UnsupportedFormat, EncryptedDocument, CorruptDocument, NoText, DocumentTooLarge or MemoryLimitExceeded, and
    SettingsError for what the strategy needs and is not there, which is no fault of the document;
    whatever else a parser raises becomes CorruptDocument with the exception's type alone, as its message may quote
    the document.
    """
    parser = parser_of(media_type)
    if not data.strip(b"\0\t\n\r "):
        raise NoText("The file is empty.")
    try:
        opened = unlocked(data)
        elements = finish(parser(data) if opened is data else parser_of(_type_of(opened, media_type))(opened))
    except (PermanentError, SettingsError):
        raise
    except MemoryError:
        raise _out_of_memory(parser) from None
    except RecursionError:
        raise CorruptDocument(f"{parser.__name__}: the document is nested too deeply.") from None
    except Exception as error:  # noqa: BLE001  # the boundary to third-party parsers, which raise anything
        if _lacked_memory(error):
            raise _out_of_memory(parser) from None
        raise _unreadable(parser, error) from None
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise _unreadable(parser, error) from None
    if not elements:
        raise NoText("The document opens and holds no text.")
    return elements


def _type_of(opened: bytes, media_type: str) -> str:
    """What a file turns out to be when it is unlocked; before, an extension or nothing told."""
    found = types.detect(opened[: types.HEAD_BYTES], "")
    return media_type if found == types.UNKNOWN else found


def _unreadable(parser: Parser, error: BaseException) -> CorruptDocument:
    return CorruptDocument(
        f"{parser.__name__} cannot read the document ({type(error).__name__}).",
        "Open it in its own application and save it again.",
    )


def _lacked_memory(error: Exception) -> bool:
    """Whether a library had no memory and calls that something else: lxml a syntax error, onnxruntime its own."""
    if type(error).__name__ == "XMLSyntaxError":
        return getattr(error, "code", None) == _XML_ERR_NO_MEMORY
    return type(error).__name__ == "ONNXRuntimeError" and "bad_alloc" in str(error)


def _out_of_memory(parser: Parser) -> MemoryLimitExceeded:
    return MemoryLimitExceeded(
        f"{parser.__name__} ran out of memory.",
        "Raise limits.memory_mb in kb.yaml and retry, or split the document.",
    )
