"""Pages of PDF with a text layer, a CPU-second: ours against unstructured's `fast` on the same files, both warm."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import pypdfium2

from benchmarks.meters import least_cpu
from benchmarks.quality.reading import read
from benchmarks.quality.scoring import Score, score
from benchmarks.quality.truth import CORPUS, renderings
from benchmarks.reading_peer.environment import PeerMissing, answers
from benchmarks.result import Result
from kb_pipeline.core.errors import KbError
from kb_pipeline.core.media_type import PDF
from kb_pipeline.demo.writing import write_documents
from kb_pipeline.parsing import parse, warm_up
from kb_pipeline.parsing.options import ParseOptions

ROUNDS = 3
Seconds = dict[Path, float]


def run() -> list[Result]:
    """The demo's own PDFs, and those of the corpus where it is there, with how well the ones of known text are read."""
    warm_up([PDF])
    with tempfile.TemporaryDirectory() as folder:
        write_documents(Path(folder))
        results = [_speed("the demo's", sorted(Path(folder).rglob("*.pdf")))]
    if CORPUS.exists():
        found = (CORPUS / "docs").rglob("*.pdf")
        results.append(_speed("the corpus's", sorted(path for path in found if "messy" not in path.parts)))
        results += _accuracy()
    return results


def _speed(whose: str, paths: Sequence[Path]) -> Result:
    """Both in turn, the least of all rounds for each file: what else the machine does, and how fast it is meanwhile,
    meets both. Files that either cannot read (scans, say) are left out for both."""
    ours: Seconds = {}
    theirs: Seconds = {}
    peer = "unstructured fast"
    for _ in range(ROUNDS):
        ours = _least(ours, {path: _seconds(path.read_bytes()) for path in ours or paths})
        try:
            theirs = _least(theirs, answers("seconds", list(theirs or ours)))
        except PeerMissing as error:
            peer, theirs = f"unstructured fast is missing: {error}", dict.fromkeys(ours, math.nan)
            break
    pages = sum(_pages(path) for path in theirs)
    measured = f"reading PDF, {whose} {len(theirs)} files of {pages} pages"
    rates = [pages / sum(taken[path] for path in theirs) for taken in (ours, theirs)]
    return Result(measured, rates[0], peer, rates[1], "page/CPU-s")


def _least(before: Seconds, now: Mapping[Path, float | None]) -> Seconds:
    return {path: min(taken, before.get(path, taken)) for path, taken in now.items() if taken is not None}


def _seconds(data: bytes) -> float | None:
    """CPU seconds; none where there is no text layer."""
    try:
        return least_cpu(lambda: parse(data, PDF, ParseOptions(strategy="fast")))[0]
    except KbError:
        return None


def _pages(path: Path) -> int:
    with pypdfium2.PdfDocument(path) as document:
        return len(document)


def _accuracy() -> list[Result]:
    """Means over the PDFs whose text is known, by quality/scoring.py."""
    known = [one for one in renderings() if one.format == "pdf" and one.variant != "scanned"]
    ours = [score(read(one.path), one.truth) for one in known]
    try:
        texts = answers("texts", [one.path for one in known])
        peer, theirs = "unstructured fast", [score(texts[one.path], one.truth) for one in known]
    except PeerMissing as error:
        peer, theirs = f"unstructured fast is missing: {error}", [Score(math.nan, math.nan)]
    of = f"of the text of {len(known)} PDFs"
    return [
        Result(f"characters {of}", mean(s.characters for s in ours), peer, mean(s.characters for s in theirs), "F1"),
        Result(f"reading order {of}", mean(s.order for s in ours), peer, mean(s.order for s in theirs), "F1"),
    ]
