"""`python -m kb_pipeline_tests.fuzzing --minutes 30 --seed 1`. Exit code 1 if anything was wrong: that is kept
in --kept, and `--again FILE.case` does one of them again."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from kb_pipeline import console
from kb_pipeline.execution.local import Limits
from kb_pipeline_tests.e2e.workspace import REPOSITORY
from kb_pipeline_tests.fuzzing.campaign import Campaign, Result, kept, until
from kb_pipeline_tests.fuzzing.documents import Documents

DOCUMENTS = REPOSITORY.parent / "shared" / "corpus" / "docs"
MIB = 1024 * 1024


def show(result: Result) -> None:
    """As a table, then what was slow and what was wrong."""
    rows: list[tuple[str, object]] = [
        ("cases", result.cases),
        ("seconds", round(result.seconds)),
        ("elements", result.rows),
    ]
    rows += [(f"ended: {name}", count) for name, count in result.ended.most_common()]
    rows += [(f"read: {name}", count) for name, count in result.read.most_common()]
    rows += [(f"mutation: {name}", count) for name, count in result.mutations.most_common()]
    rows += [("largest worker, MiB", result.peak_bytes // MIB), ("slow", len(result.slow))]
    rows.append(("violations", len(result.violations)))
    console.table("fuzzing", ("", "count"), rows, numbers=("count",))
    for line in result.slow:
        console.say(line)
    for violation in result.violations:
        console.say(violation, "red")


def main() -> int:
    """Run, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="no further case is begun after this time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, nargs="*", help="only these numbers of the seed")
    parser.add_argument("--again", type=Path, nargs="*", help="only these files of --kept")
    parser.add_argument("--seconds", type=float, default=20.0, help="a document's time")
    parser.add_argument("--memory-mb", type=int, default=2048, help="a document's memory")
    parser.add_argument("--workers", type=int, help="one a core by default")
    parser.add_argument("--kept", type=Path, default=Path("build/fuzzing"), help="where what went wrong is written")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # workers are ended on the way out
    documents = Documents(DOCUMENTS if DOCUMENTS.is_dir() else None)
    if asked.again:
        cases = map(kept, asked.again)
    elif asked.cases:
        cases = (documents.case(asked.seed, number) for number in asked.cases)
    else:
        cases = until(time.monotonic() + asked.minutes * 60, documents, asked.seed)
    limits = Limits(asked.seconds, asked.memory_mb, asked.workers)
    folder = asked.kept / f"seed-{asked.seed}"
    result = Campaign(limits, folder, lambda line: print(line, flush=True)).run(cases)
    show(result)
    if result.violations:
        console.say(
            f"Kept in {folder}; to do one again: python -m kb_pipeline_tests.fuzzing --again {folder}/NUMBER.case"
        )
    return 1 if result.violations or not result.cases else 0


if __name__ == "__main__":
    sys.exit(main())
