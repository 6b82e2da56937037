"""The parse stage: bytes of a document to elements. Importing this loads no parser; the first call does."""

from __future__ import annotations

from collections.abc import Collection

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.media_type import MARKDOWN, TEXT
from kb_pipeline.parsing.options import ParseOptions, reading_with

PARSE_VERSION = 5

# What a small load often consists of, and what takes 0.1 CPU seconds to load. unstructured, behind docx, pptx, html and
# eml, takes over a second, openpyxl and pypdfium2 0.1 each.
LIGHT = frozenset((MARKDOWN, TEXT))


def parse(data: bytes, media_type: str, options: ParseOptions | None = None) -> list[Element]:
    """Elements of a document in reading order; see registry.parse for what it raises. No `options`: those in force."""
    from kb_pipeline.parsing import registry

    if options is None:
        return registry.parse(data, media_type)
    with reading_with(options):
        return registry.parse(data, media_type)


def load_models(options: ParseOptions) -> None:
    """Load the models that the strategy reads with. Raises SettingsError for what is not there."""
    if options.strategy == "hi_res":
        from kb_pipeline.parsing.pdf import hi_res

        hi_res.load()


def warm_up(media_types: Collection[str] | None = None) -> None:
    """Import what reads `media_types` (default: all), so that worker processes forked from this one share it."""
    from kb_pipeline.parsing import registry

    registry.warm_up(media_types)
