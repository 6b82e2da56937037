"""Text accuracy by format and language, beside unstructured on the same files."""

from __future__ import annotations

import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean

from benchmarks.quality.scoring import Score, score
from benchmarks.quality.truth import Rendering, renderings
from benchmarks.reading_peer.environment import PeerMissing, answers
from benchmarks.reading_peer.read import PICTURES
from kb_pipeline.core.errors import KbError
from kb_pipeline.core.media_type import HEAD_BYTES, detect
from kb_pipeline.parsing import parse

GOALS = {"pdf": 0.98, "docx": 0.98, "html": 0.98, "md": 0.98}
GOAL_OF_PICTURES = 0.95
PEERS_OCR = ("tesseract", "pdftoppm")
"""What unstructured calls to read pictures and scanned PDFs; without them it reads nothing, and is not judged."""


def goal(kind: str, variant: str) -> float | None:
    """The share of characters to be read right in files of a format, if one is set."""
    return GOAL_OF_PICTURES if f"{variant}.{kind}".endswith(PICTURES) else GOALS.get(kind)


def read(path: Path) -> str:
    """All that parsing reads of a file, in its order; nothing where it refuses."""
    data = path.read_bytes()
    try:
        return "\n".join(element.text for element in parse(data, detect(data[:HEAD_BYTES], path.name)))
    except KbError:
        return ""


def peer_texts(paths: Sequence[Path]) -> Mapping[Path, str]:
    """What unstructured reads of the same files: `ocr_only` of scans and pictures, if PEERS_OCR are there, `fast` of
    all others. Raises PeerMissing."""
    sees = all(map(shutil.which, PEERS_OCR))
    return answers("texts", [path for path in paths if sees or not path.name.endswith(PICTURES)])


# The other reader's score, or why there is none.
Row = tuple[str, str, str, int, Score, Score | str]


def rows() -> list[Row]:
    """(format, variant, language, files, our mean score, unstructured's) a group."""
    groups: dict[tuple[str, str, str], list[Rendering]] = defaultdict(list)
    for rendering in renderings():
        groups[rendering.format, rendering.variant, rendering.language].append(rendering)
    missing = f"no {' or '.join(PEERS_OCR)}"
    theirs: Mapping[Path, str] = {}
    try:
        theirs = peer_texts([rendering.path for group in groups.values() for rendering in group])
    except PeerMissing as error:
        missing = "no environment"
        print(f"unstructured cannot read beside ours: {error}", file=sys.stderr)
    return [
        (*names, len(group), _mean(score(read(r.path), r.truth) for r in group), _peer_mean(group, theirs) or missing)
        for names, group in sorted(groups.items())
    ]


def _peer_mean(group: Iterable[Rendering], theirs: Mapping[Path, str]) -> Score | None:
    told = [score(theirs[r.path], r.truth) for r in group if r.path in theirs]
    return _mean(told) if told else None


def _mean(scores: Iterable[Score]) -> Score:
    every = list(scores)
    return Score(mean(s.characters for s in every), mean(s.order for s in every))
