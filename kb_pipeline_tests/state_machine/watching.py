"""What is looked at while a history goes on: at every fault point, before every text that is sent, after every step."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from kb_pipeline.core import faults
from kb_pipeline.core.contracts import StageName, Task
from kb_pipeline.core.errors import SourceBusy
from kb_pipeline.core.identity import fingerprint, text_hash
from kb_pipeline.masking import mask_name
from kb_pipeline.pipeline.catalogue import catalogue
from kb_pipeline.settings import MaskingPolicy, Settings
from kb_pipeline_tests.state_machine import checks
from kb_pipeline_tests.state_machine.paused import PausedSync
from kb_pipeline_tests.state_machine.spec import Rows
from kb_pipeline_tests.state_machine.world import World

T = TypeVar("T")


@dataclass
class Tally:
    """What was done in all histories so far."""

    rules: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)

    @property
    def steps(self) -> int:
        return sum(self.rules.values())


@dataclass
class Watch:
    """What readers may see while a sync runs."""

    allowed: Mapping[str, set[Rows]]
    moves: Mapping[str, list[str]]
    others: Mapping[str, Rows]


class Watching(ABC):
    """`visible` is what readers must see, `damaged` are artifacts that were broken on purpose, `paused` is a sync that
    was suspended."""

    def __init__(self, world: World, tally: Tally) -> None:
        self.world, self.tally = world, tally
        world.reset()
        world.model.on_texts = self._check_texts
        world.on_task = self._check_task
        self.visible: dict[str, Rows] = {}
        self.damaged: set[str] = set()
        self.paused: PausedSync | None = None
        self._vectors = checks.Vectors()
        self._watch: Watch | None = None
        self._at: Callable[[str], None] | None = None
        self._thread = threading.get_ident()
        self._callback = ExitStack()
        self._callback.enter_context(faults.on_reach(self.reached))

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """The settings in force."""

    def check(self) -> None:
        """What must hold after every step."""
        seen = self.world.seen()
        checks.check_rows(seen, {}, self.visible, "between two steps")
        self._vectors.check(seen)
        checks.check_artifacts(self.world, self.damaged)

    def reached(self, name: str) -> None:
        """A fault point, of this thread's sync or of the suspended one."""
        self.tally.points[name] += 1
        if threading.get_ident() != self._thread:
            if self.paused:
                self.paused.reached(name)
            return
        if self._watch:
            self._look(self._watch, f"at {name}")
        if self._at:
            self._at(name)

    def end(self) -> None:
        """The history is over."""
        try:
            if self.paused:
                self.paused.wake(kill=True)
        finally:
            self._callback.close()

    def _look(self, watch: Watch, when: str) -> None:
        seen = self.world.seen()
        checks.check_rows(seen, watch.allowed, watch.others if watch.allowed else seen.rows, when)
        checks.check_moves(seen, watch.moves, when)

    @contextmanager
    def watched(
        self,
        allowed: Mapping[str, set[Rows]],
        moves: Mapping[str, list[str]],
        at: Callable[[str], None] | None = None,
    ) -> Iterator[None]:
        """Look at what readers see at each fault point, then let `at` do something there."""
        shown = {of: to for of, to in moves.items() if of in self.visible}
        self._watch, self._at = Watch(allowed, shown, self.visible), at
        self.world.model.sent.clear()
        try:
            yield
        finally:
            self._watch = self._at = None

    def unless_busy(self, source: str, work: Callable[[], T]) -> T:
        """A suspended sync may renew its lease at the moment it is taken: then it loses touch once more."""
        for _ in range(5):
            try:
                return work()
            except SourceBusy:
                self.world.expire(source)
        return work()

    def check_names(self, source: str, policy: MaskingPolicy) -> None:
        """Documents are shown by their names as masked under the policy in force."""
        for key, name in self.world.reader.execute(
            "SELECT key, display_name FROM kb.document WHERE source_system = %s AND deleted_at IS NULL"
            " AND settled_key IS NOT NULL",
            (source,),
        ):
            assert name == mask_name(key, policy), f"{name} is shown"

    def _check_texts(self, texts: Sequence[str]) -> None:
        """Nothing is sent that has a vector."""
        self._vectors.add(list(texts))
        if threading.get_ident() == self._thread:
            known = self.world.held(map(text_hash, texts))
            assert not known, f"sent although there is a vector: {[t for t in texts if text_hash(t) in known]}"

    def _check_task(self, stage: StageName, task: Task) -> None:
        """Nothing is computed that was computed before, unless its object expired and a stage after it needs that."""
        if threading.get_ident() == self._thread:
            onward = catalogue(self.settings, task.source_system)[stage].onward
            assert not self._serves(task.fingerprint, list(onward.values())), f"{stage} is done again"

    def _serves(self, name: str, onward: Sequence[str]) -> bool:
        row = self.world.reader.execute(
            "SELECT output_hash, expired_at IS NULL FROM kb.artifact WHERE fingerprint = %s", (name,)
        ).fetchone()
        if row is None or row[1]:
            return row is not None
        return self._serves(fingerprint(onward[0], row[0]), onward[1:])
