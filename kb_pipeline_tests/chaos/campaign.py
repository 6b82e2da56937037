"""The loop: the source changes, a sync runs, and some of what takes part is killed at random instants."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from kb_pipeline.core.errors import EmbeddingUnavailable, LeaseLost
from kb_pipeline_tests.chaos.changing import Changing
from kb_pipeline_tests.chaos.model import Model
from kb_pipeline_tests.chaos.victims import Services, Sync, kill

# Shares of the kills. A suspended process is killed in all but name: another sync takes over before it wakes up.
SHARES = {"main": 22, "worker": 24, "fork server": 9, "postmaster": 12, "backend": 12, "embedding": 18, "suspended": 3}
WORKERS = ("worker", "fork server")  # one of them a sync: a document that kills two workers is quarantined
ALLOWED = {0, EmbeddingUnavailable.exit_code, LeaseLost.exit_code, -signal.SIGKILL}
SYNC_SECONDS = 180.0
SUSPENDED_SECONDS = 7.0  # longer than the lease holds without renewal (lease.ttl_seconds of the settings)
PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.02


def plan(kills: int, chosen: random.Random) -> list[str]:
    """Targets of so many kills, by their shares, in random order."""
    total = sum(SHARES.values())
    targets = [name for name, share in SHARES.items() for _ in range(max(1, kills * share // total))]
    targets += ["main"] * (kills - len(targets))
    chosen.shuffle(targets)
    return targets[:kills]


@dataclass
class Campaign:
    """Kills until `left` is empty or the time is over. `log` gets a line a sync."""

    services: Services
    sources: list[Changing]
    snapshots: list[dict[str, bytes]]
    model: Model
    left: list[str]
    random: random.Random
    log: Callable[[str], None]
    killed: Counter[str] = field(default_factory=Counter)
    syncs: int = 0
    ended: Counter[int] = field(default_factory=Counter)
    usual: float = 6.0
    _at: int = 0
    _publishing: int = 0

    def run(self, deadline: float) -> None:
        """Sync after sync."""
        while self.left and time.monotonic() < deadline:
            self._change()
            self._one(self._sync(self._choose()), self._targets())

    def _choose(self) -> Changing:
        return self.random.choices(self.sources, [5, 1])[0]

    def _change(self) -> None:
        """What happens to the documents between two syncs."""
        if self.syncs and self.random.random() < 0.15:
            self._at = (self._at + 1) % len(self.snapshots)
            self.sources[0].become(self.snapshots[self._at])
        for source in self.sources:
            for _ in range(self.random.randint(2, 8)):
                source.change()

    def _sync(self, source: Changing) -> Sync:
        self.syncs += 1
        if source is self.sources[0]:
            arguments = ["sync", source.source]
        else:
            arguments = ["ingest", str(source.folder), "--source", source.source]
        # All of a small source may be gone meanwhile, which is right here.
        arguments.append("--confirm-deletes")
        return Sync(arguments, self.services.variables(), self.services.home.parent / "logs")

    def _targets(self) -> list[str]:
        """What this sync has to bear, the main process last: a service twice at most, what is its own once."""
        wanted = self.random.choices((2, 3, 4, 5, 6), (15, 25, 25, 20, 15))[0]
        chosen: list[str] = []
        for target in list(self.left):
            kind = WORKERS if target in WORKERS else ("main", "suspended") if target in ("main", "suspended") else ()
            full = chosen.count(target) == (1 if kind else 2) or any(other in kind for other in chosen)
            if len(chosen) < wanted and not full:
                chosen.append(target)
                self.left.remove(target)
        return sorted(chosen, key=lambda target: target in ("main", "suspended"))

    def _one(self, sync: Sync, targets: list[str]) -> None:
        said = []
        for target in targets:
            if self.random.random() < 0.3:
                self.random.choice(self.sources).change()
            if self._reach(sync, target) and self._kill(sync, target):
                self.killed[target] += 1
                said.append(f"{target} at {time.monotonic() - sync.started:.1f} s")
            else:
                self.left.append(target)
        self._end(sync, said)

    def _reach(self, sync: Sync, target: str) -> bool:
        """Wait for the instant: any in a sync's usual time, or soon after something began. False: it has ended."""
        moments: dict[str, Callable[[], bool]] = {
            "any": lambda: True,
            "listed": lambda: sync.said("left to do"),
            "workers": lambda: bool(sync.workers()),
            "embedding": lambda: sync.said("/mask: "),
            "publish": lambda: sync.said("/embed: "),
            "publishing": self.services.busy_publishing,
        }
        if target in WORKERS:
            moment, pause = "workers", self.random.choice((0.0, self.random.uniform(0, 1.0)))
        else:
            moment = self.random.choices(list(moments), (20, 20, 15, 15, 15, 15))[0]
            pause = self.random.uniform(0, self.usual if moment == "any" else 0.4)
        late = time.monotonic() + PATIENCE_SECONDS
        while sync.running and not moments[moment]() and time.monotonic() < late:
            time.sleep(POLL_SECONDS)
        time.sleep(pause if sync.running else 0)
        self._publishing += moment == "publishing" and sync.running
        return sync.running

    def _kill(self, sync: Sync, target: str) -> bool:
        if target == "main":
            return kill(sync.process.pid)
        if target == "worker":
            workers = sync.workers()
            return bool(workers) and kill(self.random.choice(workers))
        if target == "fork server":
            server = sync.fork_server()
            return server is not None and kill(server)
        if target == "suspended":
            return self._suspend(sync)
        if target == "backend":
            return self.services.kill_backend(self.random)
        done = self.services.kill_stub() if target == "embedding" else self.services.kill_postmaster()
        time.sleep(self.random.uniform(0, 1.0))
        self.services.up()
        return done

    def _suspend(self, sync: Sync) -> bool:
        """Another sync takes over while this one sleeps; then it wakes up."""
        if not kill(sync.process.pid, signal.SIGSTOP):
            return False
        began = time.monotonic()
        arguments = [str(word) for word in sync.process.args[1:]]  # type: ignore[index,union-attr]
        other = Sync(arguments, self.services.variables(), self.services.home.parent / "logs")
        self.syncs += 1
        while other.running and time.monotonic() < began + SUSPENDED_SECONDS + self.random.uniform(0, 3):
            time.sleep(POLL_SECONDS)
        kill(sync.process.pid, signal.SIGCONT)
        self._end(other, [f"beside {sync.number}"])
        return True

    def _end(self, sync: Sync, said: list[str]) -> None:
        try:
            code = sync.wait(SYNC_SECONDS)
        except subprocess.TimeoutExpired:
            kill(sync.process.pid)
            self.model.problem(f"sync {sync.number} did not end within {SYNC_SECONDS:g} s")
            code = sync.wait(10)
        seconds = time.monotonic() - sync.started
        self.ended[code] += 1
        if code not in ALLOWED:
            self.model.problem(f"sync {sync.number} ended with {code}: {sync.log.read_text(errors='replace')[-1500:]}")
        if code == 0 and not said:
            self.usual = 0.7 * self.usual + 0.3 * seconds
        for process in sync.left_behind():
            self.model.problem(f"sync {sync.number} left a process behind: {process}")
        told = f"{sum(self.killed.values())} kills, {len(self.model.violations)} violations"
        self.log(f"sync {sync.number}: exit {code}, {seconds:.1f} s, {', '.join(said) or 'undisturbed'} ({told})")
