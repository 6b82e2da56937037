"""Print how well documents are read and masked: all tables, or those named (`python -m benchmarks.quality reading`)."""

from __future__ import annotations

import sys
from collections import Counter

from benchmarks.quality import furniture, headings, masking, quarantine, reading
from benchmarks.quality.scoring import Score
from kb_pipeline import console


def main() -> None:
    """Print the tables named on the command line, or all."""
    parts = {
        "reading": _reading,
        "headings": _headings,
        "furniture": _furniture,
        "masking": _masking,
        "quarantine": _quarantine,
    }
    for name in sys.argv[1:] or parts:
        parts[name]()


def _reading() -> None:
    columns = ("format", "language", "files", "goal", "characters", "order", "unstructured: characters", "order ")
    rows = []
    for kind, variant, language, files, ours, theirs in reading.rows():
        names = (f"{kind} {variant}".strip(), language, str(files), f"{reading.goal(kind, variant) or '-'}")
        rows.append((*names, *_shown(ours), *_shown(theirs)))
    console.table("", columns, rows, numbers=columns[2:])


def _headings() -> None:
    passages: Counter[str] = Counter()
    right: Counter[str] = Counter()
    documents: dict[str, set[str]] = {}
    for one in headings.judged():
        kind = one.document.rpartition(".")[2]
        for name in (kind, "all"):
            passages[name] += 1
            right[name] += one.right
            documents.setdefault(name, set()).add(one.document)
    rows = [
        (name, str(len(documents[name])), str(passages[name]), f"{right[name] / passages[name]:.3f}")
        for name in documents
    ]
    columns = ("format", "documents", "labelled passages", "under the right headings")
    console.table("", columns, rows, numbers=columns[1:])


def _furniture() -> None:
    pages: dict[str, list[furniture.Judged]] = {}
    for one in furniture.judged():
        for name in (one.layout, "all"):
            pages.setdefault(name, []).append(one)
    rows = [
        (
            name,
            str(len(found)),
            f"{sum(not one.left for one in found) / len(found):.3f}",
            f"{sum(not one.lost for one in found) / len(found):.3f}",
        )
        for name, found in pages.items()
    ]
    columns = ("layout", "pages", "all furniture gone", "all body lines there")
    console.table("", columns, rows, numbers=columns[1:])


def _masking() -> None:
    columns = ("texts", "entity", "labelled", "recall", "precision", "Presidio: recall", "precision ")
    rows = [
        (row.texts, row.entity, str(row.ours.labelled), *_found(row, row.ours), *_found(row, row.theirs))
        for row in masking.rows()
    ]
    console.table("", columns, rows, numbers=columns[2:])


def _quarantine() -> None:
    ends = quarantine.ends()
    for messy, title in ((False, "in quarantine: {} of {} documents"), (True, "in quarantine: {} of {} messy ones")):
        group = [end for end in ends if end.messy == messy]
        stopped = [end for end in group if end.error]
        tally = Counter((end.error, end.media_type) for end in stopped)
        counted = [(error, media_type, str(count)) for (error, media_type), count in tally.most_common()]
        title = f"{title.format(len(stopped), len(group))} ({len(stopped) / len(group):.1%})"
        console.table(title, ("reason", "media type", "files"), counted, numbers=("files",))
        console.table("", ("file", "reason", "message"), [(end.path, end.error, end.message) for end in stopped])


def _found(row: masking.Row, tally: masking.Tally) -> tuple[str, str]:
    return f"{tally.recall:.3f}", f"{tally.precision:.3f}" if row.fully_labelled and tally.findings else "-"


def _shown(score: Score | str) -> tuple[str, str]:
    return (score, "-") if isinstance(score, str) else (f"{score.characters:.3f}", f"{score.order:.3f}")


if __name__ == "__main__":
    main()
