"""What is mutated: the corpus where there is one, and the demo's own documents; and the cases of a campaign."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from random import Random

from kb_pipeline.demo.writing import contents, render
from kb_pipeline.settings import Strategy
from kb_pipeline_tests.fuzzing.mutating import mutated

LARGEST_BYTES = 2 * 1024 * 1024
# Recognising a picture takes seconds, everything else a fraction of one; the last four nothing reads here.
_SELDOM = dict.fromkeys(("jpg", "jpeg", "png", "tiff", "bmp", "heic", "zip", "doc", "ppt"), 0.06)
_SLOW = dict.fromkeys(("rst", "org"), 0.3)
_OFTEN = dict.fromkeys(("pdf", "docx", "xlsx", "pptx", "html", "md", "eml"), 3.0)
_STRATEGIES: Mapping[Strategy, int] = {"fast": 90, "auto": 9, "ocr": 1}


@dataclass(frozen=True, slots=True)
class Case:
    """A document to be worked on, and the settings that this is done under."""

    number: int
    key: str
    data: bytes
    mutations: tuple[str, ...] = ()
    strategy: Strategy = "fast"
    max_tokens: int = 200
    prefix: bool = True
    pseudonyms: bool = False


class Documents:
    """Documents by their endings, so that each format has its share however many files of it there are."""

    def __init__(self, corpus: Path | None) -> None:
        self._corpus = corpus

    @cached_property
    def by_ending(self) -> Mapping[str, Sequence[tuple[str, Path | str]]]:
        """Paths in the corpus, and the texts of documents that are rendered."""
        found_files = [path for path in self._corpus.rglob("*") if path.is_file()] if self._corpus else []
        files = sorted(found_files, key=lambda path: (path.stat().st_size, path.name))
        found: dict[str, list[tuple[str, Path | str]]] = {}
        for path in files:
            if path.stat().st_size <= LARGEST_BYTES:
                found.setdefault(path.suffix.lower().lstrip("."), []).append((path.name, path))
        for name, text in contents().items():
            found.setdefault(PurePosixPath(name).suffix.lstrip("."), []).append((PurePosixPath(name).name, text))
        return found

    def any(self, chosen: Random) -> tuple[str, bytes]:
        """Name and bytes of one."""
        weights = [(_SELDOM | _SLOW | _OFTEN).get(ending, 1.0) for ending in self.by_ending]
        (files,) = chosen.choices(list(self.by_ending.values()), weights)
        # Of two the first in the list, in which they stand by size: what is small is done soon.
        name, at = files[min(chosen.randrange(len(files)), chosen.randrange(len(files)))]
        return name, at.read_bytes() if isinstance(at, Path) else render(name, at)

    def case(self, seed: int, number: int) -> Case:
        """The same case for the same seed, number and documents."""
        chosen = Random(f"{seed}:{number}")
        key, data = self.any(chosen)
        data, mutations = mutated(data, key, lambda: self.any(chosen)[1], chosen)
        return Case(
            number,
            key,
            data,
            mutations,
            strategy=chosen.choices(list(_STRATEGIES), list(_STRATEGIES.values()))[0],
            max_tokens=chosen.choice((16, 64, 200, 200, 2000)),
            prefix=chosen.random() < 0.8,
            pseudonyms=chosen.random() < 0.2,
        )

    def cases(self, seed: int) -> Iterator[Case]:
        """One after the other, without end."""
        number = 0
        while True:
            yield self.case(seed, number)
            number += 1
