"""A throw-away knowledge base for a benchmark: an embedded PostgreSQL, and an embedding stub that answers at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import timed_kb
from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.local import stack
from kb_pipeline_tests.support.embedding_stub import embedding_stub

WORDS = "the quarterly report of this team covers planned work and open risks".split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Cost:
    """What one `kb` command took: CPU-seconds and peak bytes of its main process (not of its workers), wall seconds,
    and those of them that its imports took."""

    cpu_seconds: float
    wall_seconds: float
    import_seconds: float
    peak_bytes: int
    output: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Workspace:
    """Runs `kb` on a home of its own."""

    folder: Path
    environment: dict[str, str]

    @property
    def home(self) -> Path:
        """KB_HOME."""
        return self.folder / "home"

    def base(self) -> KnowledgeBase:
        """The same knowledge base in this process."""
        return KnowledgeBase(home=self.home, config=self.folder / "kb.yaml")

    @property
    def postgres_pid(self) -> int:
        """The process that all of PostgreSQL's descend from."""
        return next(s.pid for s in stack.status(self.base().settings) if s.name == "postgres" and s.pid)

    def kb(self, *arguments: str) -> Cost:
        """Run one verb with --json and measure it; imports and start-up are in the figures."""
        started = time.perf_counter()
        with tempfile.TemporaryFile() as out:
            command = [sys.executable, timed_kb.__file__, *arguments, "--json"]
            process = subprocess.Popen(command, env=self.environment, stdout=out, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            text = out.read().decode()
        if process.returncode:
            raise RuntimeError(f"kb {arguments[0]} ended with exit code {process.returncode}")
        cpu = usage.ru_utime + usage.ru_stime
        wall, (*_, report, times) = time.perf_counter() - started, text.splitlines()
        return Cost(cpu, wall, timed_kb.import_seconds(times), timed_kb.peak_bytes(times), json.loads(report))

    def documents(self, count: int) -> Path:
        """A folder of `count` small Markdown documents (about 1.5 KB), no two texts alike."""
        folder = self.folder / f"documents-{count}"
        folder.mkdir()
        for number in range(count):
            parts = [
                f"## Part {part}\n\nNote {number}.{part}: {' '.join(WORDS[(number + part) % 5 :] * 4)}"
                for part in range(4)
            ]
            (folder / f"note-{number}.md").write_text(f"# Note {number}\n\n" + "\n\n".join(parts) + "\n")
        return folder


@contextmanager
def workspace() -> Iterator[Workspace]:
    """Start, and end when the block is left."""
    with tempfile.TemporaryDirectory(prefix="kb-bench-") as name, embedding_stub() as stub:
        folder = Path(name)
        folder.chmod(0o755)
        config = folder / "kb.yaml"
        config.write_text(f"embedding:\n  urls: [{stub.url}]\n")
        environment = {**os.environ, "KB_HOME": str(folder / "home"), "KB_CONFIG": str(config)}
        for variable in ("KB_DATABASE_DSN", "KB_OBJECT_STORE_URL", "KB_EMBEDDING_URLS"):
            environment.pop(variable, None)
        space = Workspace(folder, environment)
        try:
            space.kb("up")
            yield space
        finally:
            space.base().down()
