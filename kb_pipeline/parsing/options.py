"""How a source's documents are to be read: what a parser may ask, wherever it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from kb_pipeline.settings import Strategy


def _nothing() -> None:
    """Nobody wants to know."""


def _one(_bytes_each: int) -> int:
    """One after the other."""
    return 1


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """`strategy`, for pages that may be pictures: `fast` reads text layers alone, `ocr` pictures of all pages, `auto`
    a picture where a page has no usable text layer, `hi_res` leaves PDF to the models of unstructured. `passwords` are
    tried, in turn, on what needs one. `on_step` is called when a page that took long is done; `at_once` says how many
    pages that need so many bytes each may be read side by side, now."""

    strategy: Strategy = "auto"
    passwords: tuple[str, ...] = field(default=(), repr=False)
    on_step: Callable[[], None] = _nothing
    at_once: Callable[[int], int] = _one


_IN_FORCE: ContextVar[ParseOptions | None] = ContextVar("parse_options", default=None)


def in_force() -> ParseOptions:
    """The options of the document that is being read."""
    return _IN_FORCE.get() or ParseOptions()


@contextmanager
def reading_with(options: ParseOptions) -> Iterator[None]:
    """Read with `options` inside the block."""
    token = _IN_FORCE.set(options)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)
