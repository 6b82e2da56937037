"""The parse stage: bytes of a document to elements. Importing this loads no parser; the first call does."""

from __future__ import annotations

from kb_pipeline.contracts import Element

PARSE_VERSION = 1


def parse(data: bytes, media_type: str) -> list[Element]:
    """Elements of a document in reading order; see registry.parse for what it raises."""
    from kb_pipeline.parsing import registry

    return registry.parse(data, media_type)


def warm_up() -> None:
    """Import every parser, so that worker processes forked from this one share them."""
    from kb_pipeline.parsing import bootstrap, registry  # noqa: F401

    bootstrap.warm_up()
