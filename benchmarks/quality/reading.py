"""Text accuracy by format and language, beside unstructured on the same files."""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean

from benchmarks.quality.scoring import Score, score
from benchmarks.quality.truth import Rendering, renderings
from kb_pipeline.errors import KbError
from kb_pipeline.media_type import HEAD_BYTES, detect
from kb_pipeline.parsing import parse

_PEER = Path(__file__).with_name("unstructured_texts.py")
# The Python of an environment with unstructured[all-docs]; see docs/quality.md.
PEER_PYTHON = "UNSTRUCTURED_PYTHON"
GOALS = {"scanned": 0.95}
GOAL = 0.98


def read(path: Path) -> str:
    """All that parsing reads of a file, in its order; nothing where it refuses."""
    data = path.read_bytes()
    try:
        return "\n".join(element.text for element in parse(data, detect(data[:HEAD_BYTES], path.name)))
    except KbError:
        return ""


def peer_texts(paths: Sequence[Path]) -> Mapping[str, str]:
    """What unstructured reads of the same files: `ocr_only` of scans and pictures, `fast` of all others. Empty without
    an environment that has it."""
    python = os.environ.get(PEER_PYTHON)
    if not python:
        return {}
    given = json.dumps([str(path) for path in paths])
    done = subprocess.run([python, str(_PEER)], input=given, capture_output=True, text=True, check=True)
    texts: dict[str, str] = json.loads(done.stdout)
    return texts


Row = tuple[str, str, str, int, Score, Score | None]


def rows() -> list[Row]:
    """(format, variant, language, files, our mean score, unstructured's) a group."""
    groups: dict[tuple[str, str, str], list[Rendering]] = defaultdict(list)
    for rendering in renderings():
        groups[rendering.format, rendering.variant, rendering.language].append(rendering)
    theirs = peer_texts([rendering.path for group in groups.values() for rendering in group])
    return [
        (*names, len(group), _mean(score(read(r.path), r.truth) for r in group), _peer_mean(group, theirs))
        for names, group in sorted(groups.items())
    ]


def _peer_mean(group: Iterable[Rendering], theirs: Mapping[str, str]) -> Score | None:
    return _mean(score(theirs[str(r.path)], r.truth) for r in group) if theirs else None


def _mean(scores: Iterable[Score]) -> Score:
    every = list(scores)
    return Score(mean(s.characters for s in every), mean(s.order for s in every))
