"""Print how well documents are read: one table."""

from __future__ import annotations

from benchmarks.quality import reading
from kb_pipeline import console


def main() -> None:
    """A row a format, variant and language: our scores and unstructured's."""
    columns = ("format", "language", "files", "characters", "order", "unstructured: characters", "order ")
    rows = [
        (f"{kind} {variant}".strip(), language, str(files), *_shown(ours), *_shown(theirs))
        for kind, variant, language, files, ours, theirs in reading.rows()
    ]
    console.table("", columns, rows, numbers=columns[2:])


def _shown(score: reading.Score | None) -> tuple[str, str]:
    return (f"{score.characters:.3f}", f"{score.order:.3f}") if score else ("-", "-")


if __name__ == "__main__":
    main()
