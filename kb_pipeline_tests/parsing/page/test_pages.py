"""Pages that are pictures, side by side: the same elements in the same order, and no more at once than have room."""

from __future__ import annotations

import io
import threading
from functools import partial

import numpy as np

from kb_pipeline.core.media_type import PDF
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline.execution.worker import parts_at_once, step_done
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.options import ParseOptions, reading_with
from kb_pipeline.parsing.page.layout import Line
from kb_pipeline.parsing.page.pages import Picture, read_pages
from kb_pipeline_tests.parsing.page.test_ocr import picture

TEXTS = ("Annual leave policy", "Travel expenses", "Remote work")
_beside = threading.Barrier(2, timeout=30)
_running: set[int] = set()


def scan(*texts: str) -> bytes:
    """A PDF whose pages are pictures."""
    first, *others = map(picture, texts)
    file = io.BytesIO()
    first.save(file, "PDF", save_all=True, append_images=others, resolution=200)
    return file.getvalue()


class Meeting(Picture):
    """Is read only while another one is."""

    def read(self) -> list[Line]:
        _beside.wait()
        return [line(self.page)]


class Greedy(Picture):
    """Finds no memory beside another one."""

    def read(self) -> list[Line]:
        _running.add(self.page)
        try:
            if threading.current_thread() is not threading.main_thread():
                _beside.wait()
            if len(_running) > 1:
                raise MemoryError
            return [line(self.page)]
        finally:
            _running.discard(self.page)


def line(page: int) -> Line:
    return Line(f"page {page}", page, 10, 0, 50, 0)


def blank(kind: type[Picture], page: int) -> Picture:
    return kind(np.zeros((1, 1, 3), np.uint8), page)


def test_a_scan_reads_the_same_however_many_pages_are_read_at_once() -> None:
    document = scan(*TEXTS)
    alone = parse(document, PDF)
    assert [(element.page, element.text) for element in alone] == list(enumerate(TEXTS, start=1))
    assert parse(document, PDF, ParseOptions(at_once=lambda _: 3)) == alone
    work = partial(parse, media_type=PDF, options=ParseOptions(on_step=step_done, at_once=parts_at_once))
    with LocalWorkers(work, Limits(60.0, 4096, 2)) as workers:
        assert [answer for _, answer in workers.run([document])] == [alone]


def test_pages_are_read_side_by_side_beside_those_that_need_no_reading() -> None:
    steps: list[int] = []
    pages = [blank(Meeting, 1), [line(2)], blank(Meeting, 3), [line(4)], blank(Meeting, 5), blank(Meeting, 6)]
    with reading_with(ParseOptions(on_step=lambda: steps.append(1), at_once=lambda _: 2)):
        assert [[line.page for line in page] for page in read_pages(pages)] == [[1], [2], [3], [4], [5], [6]]
    assert len(steps) == 4


def test_a_page_that_finds_no_memory_beside_others_is_read_alone() -> None:
    with reading_with(ParseOptions(at_once=lambda _: 2)):
        read = read_pages([blank(Greedy, 1), blank(Greedy, 2)])
    assert [[line.page for line in page] for page in read] == [[1], [2]]


def test_one_page_at_a_time_where_nobody_says_otherwise() -> None:
    threads = {threading.active_count()}

    class Counting(Picture):
        def read(self) -> list[Line]:
            threads.add(threading.active_count())
            return []

    read_pages([blank(Counting, page) for page in range(4)])
    assert max(threads) == min(threads) + 1
