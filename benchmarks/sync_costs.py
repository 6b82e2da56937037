"""What a second sync costs beside the first load, and one edit beside both."""

from __future__ import annotations

from benchmarks.result import Result
from benchmarks.workspace import workspace

DOCUMENTS = 1000


def run() -> list[Result]:
    """Wall seconds of the `kb` command, imports included: workers and PostgreSQL count, the model answers at once."""
    with workspace() as space:
        folder = space.documents(DOCUMENTS)
        load = space.kb("ingest", str(folder), "--source", "notes")
        again = space.kb("sync", "notes")
        edited = folder / "note-0.md"
        edited.write_text(edited.read_text() + "\nOne more sentence stands at the end of this note.\n")
        edit = space.kb("ingest", str(folder), "--source", "notes")
    first = f"first load of {DOCUMENTS:,} files"
    return [
        Result("second sync, nothing changed", again.wall_seconds, first, load.wall_seconds, "s"),
        Result("sync after one edit", edit.wall_seconds, first, load.wall_seconds, "s"),
        Result("texts embedded after one edit", edit.output["model_texts"], first, load.output["model_texts"], "texts"),
    ]
