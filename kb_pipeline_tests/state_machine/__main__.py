"""Run many histories: `python -m kb_pipeline_tests.state_machine --steps 50000 --seed 1`. Stops at the first failure,
and says with which seed it comes again."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from kb_pipeline.local import stack
from kb_pipeline.settings import EmbeddingSettings, Settings
from kb_pipeline_tests.state_machine.running import run_seed, told
from kb_pipeline_tests.state_machine.watching import Tally
from kb_pipeline_tests.state_machine.world import World


@contextmanager
def own_world() -> Iterator[World]:
    """A PostgreSQL and an object store for as long as this runs."""
    folder = Path(tempfile.mkdtemp(prefix="kb-machine-"))
    folder.chmod(0o755)
    settings = Settings(home=folder / "home", embedding=EmbeddingSettings(urls=("http://127.0.0.1:1/v1",)))
    try:
        stack.up(settings)
        dsn = stack.database_dsn(settings)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield World(dsn, folder / "objects")
    finally:
        stack.down(settings)
        shutil.rmtree(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1, help="the first seed; the next ones follow")
    parser.add_argument("--histories", type=int, default=10, help="histories a seed")
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after the seed that ends later than this")
    parser.add_argument("--shrink", action="store_true", help="look for the shortest history that fails")
    asked = parser.parse_args()
    tally, started, seed = Tally(), time.monotonic(), asked.seed
    with own_world() as world, pytest.MonkeyPatch.context() as patch:
        while tally.steps < asked.steps and time.monotonic() - started < asked.minutes * 60:
            try:
                run_seed(world, tally, seed, asked.histories, patch, shrink=asked.shrink)
            except BaseException:
                print(f"seed {seed} failed after {tally.steps} steps", flush=True)
                raise
            print(f"seed {seed}: {tally.steps} steps, {time.monotonic() - started:.0f} s", flush=True)
            seed += 1
    print(told(tally))
    return 0


if __name__ == "__main__":
    sys.exit(main())
