"""A first load of 5,000 small Markdown files by `kb ingest`: documents a client CPU-second, and where the CPU goes.

The files are those of the peers' driver: the last snapshot of ../shared/corpus/history, copied with a line of its own
each. Client CPU is that of the command and its workers until the last stage ends. PostgreSQL's stands apart, that of
the embedding stub, which answers at once, counts nowhere. The peers' own figures come from benchmarks/peers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

import psutil

from benchmarks import timed_kb
from benchmarks.meters import own_cpu
from benchmarks.result import Result
from benchmarks.workspace import Workspace, workspace

DOCUMENTS = 5000
HISTORY = Path(__file__).parents[2] / "shared/corpus/history/dolphinscheduler-docs"
# What a line of progress ends; starting a run and looking at the objects have none of their own.
ENDED_BY = {"backlog": "between runs", "parse": "start of a run, raw, parse"}
BEFORE = "start, mirror and listing"


def _seconds() -> dict[str, float]:
    return defaultdict(float)


@dataclass
class Profile:
    """CPU seconds of the main process and of its workers, by stage; PostgreSQL's; and the wall's."""

    main: dict[str, float] = field(default_factory=_seconds)
    workers: dict[str, float] = field(default_factory=_seconds)
    postgres: dict[str, float] = field(default_factory=_seconds)
    wall: dict[str, float] = field(default_factory=_seconds)

    @property
    def client(self) -> float:
        """All client CPU."""
        return sum(self.main.values()) + sum(self.workers.values())


def run() -> list[Result]:
    """The rate, then CPU seconds by stage beside the client's whole."""
    with workspace() as space:
        folder = space.folder / "documents"
        write_documents(folder, DOCUMENTS)
        profile = profiled_ingest(space, folder)
    load = f"load of {DOCUMENTS:,} files, {DOCUMENTS / profile.client:.0f} a client CPU-second: wall"
    results = [Result(load, sum(profile.wall.values()), "client CPU", profile.client, "s")]
    for where, spent in (("main", profile.main), ("workers", profile.workers), ("PostgreSQL", profile.postgres)):
        results += [
            Result(f"{stage}: {where}", seconds, "client CPU", profile.client, "CPU-s")
            for stage, seconds in spent.items()
        ]
    return results


def write_documents(folder: Path, wanted: int) -> None:
    """So many files: the last snapshot's over and over, no two texts of a file alike."""
    with tarfile.open(max(HISTORY.glob("[0-9]*.tar.gz"))) as archive:
        files = ((entry.name, archive.extractfile(entry)) for entry in archive if entry.name.endswith(".md"))
        texts = {name: file.read() for name, file in files if file}
    numbered = ((copy, name, text) for copy in count() for name, text in texts.items())
    for copy, name, text in islice(numbered, wanted):
        path = folder / f"copy{copy:03d}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text + f"\n\nUnique line of copy {copy} of {name}.\n".encode())


def profiled_ingest(space: Workspace, folder: Path) -> Profile:
    """Run `kb ingest` and give what each process used between two lines of its progress to the stage that ended."""
    command = [sys.executable, timed_kb.__file__, "ingest", str(folder), "--source", "bench", "--json"]
    profile, postgres = Profile(), psutil.Process(space.postgres_pid)
    with subprocess.Popen(
        command, env=space.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        main = psutil.Process(process.pid)
        last = _Reading.take(main, postgres)
        for line in process.stderr:
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") in ("backlog", "stage"):
                now = _Reading.take(main, postgres)
                ended = event.get("stage", "backlog")
                last.give(profile, ENDED_BY.get(ended, ended) if profile.wall else BEFORE, now)
                last = now
    if process.returncode:
        raise RuntimeError(f"kb ingest ended with exit code {process.returncode}")
    return profile


@dataclass(frozen=True, slots=True)
class _Reading:
    main: float
    workers: float
    postgres: float
    wall: float

    @classmethod
    def take(cls, main: psutil.Process, postgres: psutil.Process) -> _Reading:
        return cls(
            own_cpu(main),
            sum(own_cpu(child) for child in main.children(recursive=True)),
            own_cpu(postgres) + sum(own_cpu(child) for child in postgres.children()),
            time.perf_counter(),
        )

    def give(self, profile: Profile, stage: str, now: _Reading) -> None:
        """Add what was used since this reading to a stage."""
        profile.main[stage] += now.main - self.main
        profile.workers[stage] += now.workers - self.workers
        profile.postgres[stage] += now.postgres - self.postgres
        profile.wall[stage] += now.wall - self.wall
