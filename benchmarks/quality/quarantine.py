"""Which documents of the shared corpus end in quarantine, and why: every one of them, read in the real worker processes
with the default settings. Hostile ones are counted apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.quality.truth import CORPUS
from kb_pipeline.core.errors import KbError, NoText
from kb_pipeline.core.media_type import HEAD_BYTES, detect
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline.execution.worker import step_done
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.options import ParseOptions
from kb_pipeline.pipeline.catalogue import PRELOAD
from kb_pipeline.settings import ChunkingSettings, LimitSettings

MESSY = "messy"
# What needs no reader, beside the documents: texts to score against, and the list.
NO_DOCUMENTS = ("truth", "manifest.jsonl")


@dataclass(frozen=True, slots=True)
class End:
    """How the reading of one file ended: no error, or the reason in the closed list and what it says."""

    path: str
    media_type: str
    error: str | None
    message: str = ""

    @property
    def messy(self) -> bool:
        """Whether the file was made to be hard or hostile."""
        return self.path.startswith(MESSY)


def chunks_of(path: Path) -> int:
    """How many chunks a document gives; runs in a worker process."""
    from kb_pipeline.chunking import chunk

    data = path.read_bytes()
    elements = parse(data, detect(data[:HEAD_BYTES], path.name), ParseOptions(on_step=step_done))
    return len(chunk(elements, ChunkingSettings()))


def ends(corpus: Path = CORPUS) -> list[End]:
    """Every document of the corpus with its end, in the order of their paths."""
    folder = corpus / "docs"
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in NO_DOCUMENTS
    ]
    limits = LimitSettings()
    with LocalWorkers(chunks_of, Limits(limits.seconds, limits.memory_mb), PRELOAD) as workers:
        return sorted((_end(path, folder, result) for path, result in workers.run(paths)), key=lambda end: end.path)


def _end(path: Path, folder: Path, result: int | KbError) -> End:
    with path.open("rb") as file:
        media_type = detect(file.read(HEAD_BYTES), path.name)
    name = path.relative_to(folder).as_posix()
    if isinstance(result, KbError):
        return End(name, media_type, type(result).__name__, result.message)
    return End(name, media_type, None if result else NoText.__name__)
