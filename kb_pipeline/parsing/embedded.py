"""Documents that came inside another one: attached to a mail, put on a slide, packed in an archive."""

from __future__ import annotations

from dataclasses import replace

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import MemoryLimitExceeded, PermanentError
from kb_pipeline.core.media_type import HEAD_BYTES, detect

NAME_LEVEL = 2


def read_inside(data: bytes, name: str) -> list[Element] | PermanentError:
    """Elements of a document inside another one, or why there are none: it costs itself alone, unless it used up the
    memory of both."""
    from kb_pipeline.parsing.registry import parse

    try:
        return parse(data, detect(data[:HEAD_BYTES], name))
    except MemoryLimitExceeded:
        raise
    except PermanentError as error:
        return error


def under_its_name(name: str, read: list[Element] | PermanentError) -> list[Element]:
    """A document's name as a title, and what was read of it below, or the class of the error that says why not."""
    return [Element(name, "title", level=NAME_LEVEL), *below(NAME_LEVEL, read)]


def below(level: int, read: list[Element] | PermanentError) -> list[Element]:
    """What was read of a document, its titles below `level`; or the class of the error that says why not."""
    if isinstance(read, PermanentError):
        return [Element(f"({type(read).__name__})", "paragraph")]
    return [replace(e, level=(e.level or 1) + level) if e.kind == "title" else e for e in read]
