"""The pages of one document, those that are pictures recognised side by side: in threads, for the recognizer holds no
lock of Python's, so that all of them stay within the worker's limits."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kb_pipeline.parsing.options import in_force
from kb_pipeline.parsing.page.layout import Line
from kb_pipeline.parsing.page.ocr import read_page

if TYPE_CHECKING:
    import numpy as np

Lines = list[Line]
# What recognising a page of A4 takes, with its share of the libraries: 1.3 GB for one, 0.7 for each beside it.
PAGE_BYTES = 1024**3


@dataclass(frozen=True, slots=True)
class Picture:
    """A page that has to be recognised; `otherwise` are its lines if nothing is."""

    image: np.ndarray
    page: int
    points_per_pixel: float = 1.0
    otherwise: Lines = field(default_factory=list)

    def read(self) -> Lines:
        """The lines in it."""
        return read_page(self.image, self.page, self.points_per_pixel) or self.otherwise


def read_pages(pages: Iterable[Lines | Picture]) -> list[Lines]:
    """The lines of each page, in order. `pages` are made one by one, in this thread, as there is room for them."""
    read: list[Lines] = []
    flying: dict[Future[Lines], tuple[int, Picture]] = {}
    with ThreadPoolExecutor(thread_name_prefix="page") as threads:
        for page in pages:
            if isinstance(page, Picture):
                _land(read, flying, in_force().at_once(PAGE_BYTES) - 1)
                flying[threads.submit(page.read)] = (len(read), page)
                read.append([])
            else:
                read.append(page)
        _land(read, flying, 0)
    return read


def _land(read: list[Lines], flying: dict[Future[Lines], tuple[int, Picture]], most: int) -> None:
    """Wait until `most` pictures are left. One that found no memory beside others is read again when it is alone: what
    a document needs does not depend on who is idle."""
    while len(flying) > most:
        future = next(iter(wait(flying, return_when=FIRST_COMPLETED).done))
        place, picture = flying.pop(future)
        if isinstance(future.exception(), MemoryError):
            del future  # its error's frames hold what was reserved
            _land(read, flying, 0)
            read[place] = picture.read()
        else:
            read[place] = future.result()
        in_force().on_step()
