"""`python -m kb_pipeline_tests.chaos --kills 200 --seed 1 --minutes 30`. Exit code 1 if anything was wrong."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from kb_pipeline import console
from kb_pipeline_tests.chaos.running import Result, Size, run
from kb_pipeline_tests.e2e.workspace import REPOSITORY

CORPUS = REPOSITORY.parent / "shared" / "corpus"


def show(result: Result) -> None:
    """As a table, then what was wrong."""
    rows: list[tuple[str, object]] = [(f"killed: {name}", count) for name, count in result.kills.items()]
    rows += [
        (name.replace("_", " "), value)
        for name, value in asdict(result).items()
        if name not in ("kills", "violations", "exit_codes", "changes")
    ]
    rows += [(f"syncs that ended with {code}", count) for code, count in result.exit_codes.items()]
    rows += [(f"documents: {kind}", count) for kind, count in result.changes.items()]
    rows.append(("violations", len(result.violations)))
    console.table("chaos", ("", "count"), rows, numbers=("count",))
    for violation in result.violations:
        console.say(violation, "red")


def main() -> int:
    """Run, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=45.0, help="no further sync is begun after this time")
    parser.add_argument("--pages", type=int, default=60, help="Markdown pages")
    parser.add_argument("--files", type=int, default=12, help="documents in other formats")
    parser.add_argument("--json", type=Path, help="write the result to this file")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended on the way out
    size = Size(asked.kills, asked.minutes * 60, asked.pages, asked.files)
    result = run(CORPUS, asked.seed, size, lambda line: print(line, flush=True))
    show(result)
    if asked.json:
        asked.json.write_text(json.dumps(asdict(result), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if result.violations or sum(result.kills.values()) < asked.kills else 0


if __name__ == "__main__":
    sys.exit(main())
