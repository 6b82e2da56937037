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

from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline_tests.support.embedding_stub import embedding_stub

WORDS = "the quarterly report of this team covers planned work and open risks".split()  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Cost:
    """What one `kb` command took: CPU-seconds and peak bytes of its main process (not of its workers), wall seconds."""

    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    output: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Workspace:
    """Runs `kb` on a home of its own."""

    folder: Path
    environment: dict[str, str]

    def kb(self, *arguments: str) -> Cost:
        """Run one verb with --json and measure it; imports and start-up are in the figures."""
        started = time.perf_counter()
        with tempfile.TemporaryFile() as out:
            command = [str(Path(sys.executable).parent / "kb"), *arguments, "--json"]
            process = subprocess.Popen(command, env=self.environment, stdout=out, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            text = out.read().decode()
        if process.returncode:
            raise RuntimeError(f"kb {arguments[0]} ended with exit code {process.returncode}")
        cpu = usage.ru_utime + usage.ru_stime
        return Cost(cpu, time.perf_counter() - started, usage.ru_maxrss * 1024, json.loads(text.splitlines()[-1]))

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
        home = folder / "home"
        environment = {**os.environ, "KB_HOME": str(home), "KB_EMBEDDING_URLS": stub.url}
        environment.pop("KB_DATABASE_DSN", None)
        space = Workspace(folder, environment)
        try:
            space.kb("up")
            yield space
        finally:
            KnowledgeBase(home=home).down()
