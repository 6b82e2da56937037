"""The state machine: what sources, settings, services and machines do to a knowledge base, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kb_pipeline.core.contracts import StageName
from kb_pipeline.core.errors import EmbeddingUnavailable
from kb_pipeline.core.identity import document_id
from kb_pipeline.defs.running.syncing import SyncOptions
from kb_pipeline.operations import verifying
from kb_pipeline.store.views.overview import retry
from kb_pipeline_tests.state_machine import checks, upkeep
from kb_pipeline_tests.state_machine.drawing import (
    COLLECT_POINTS,
    DAMAGES,
    ERASE_POINTS,
    STAGES,
    WORDS,
    at,
    data_of,
    documents,
    keys,
    kill,
    moments,
    nths,
    picks,
    plain,
    sources,
)
from kb_pipeline_tests.state_machine.history import History
from kb_pipeline_tests.state_machine.stages import HUGE
from kb_pipeline_tests.state_machine.watching import Tally
from kb_pipeline_tests.state_machine.world import ACCESS, KEPT_OUT, KEYS, SOURCES, World


class KeepsInStep(RuleBasedStateMachine):
    """`world` and `tally` are given by whoever runs it."""

    world: ClassVar[World]
    tally: ClassVar[Tally]

    def __init__(self) -> None:
        super().__init__()
        self.history = History(self.world, self.tally)

    # What happens in the source systems.

    @rule(source=sources, key=keys, lines=documents)
    def put(self, source: str, key: str, lines: Sequence[str]) -> None:
        self._count("put")
        self.history.put(source, key, data_of(lines))

    @initialize(all_lines=st.lists(plain, min_size=len(KEYS), max_size=len(KEYS)))
    def begin(self, all_lines: list[Sequence[str]]) -> None:
        for source in SOURCES:
            self.put_many(source, all_lines)

    @rule(source=sources, all_lines=st.lists(plain, min_size=3, max_size=len(KEYS)))
    def put_many(self, source: str, all_lines: list[Sequence[str]]) -> None:
        self._count("put many")
        for key, lines in zip(KEYS, all_lines, strict=False):
            self.history.put(source, key, data_of(lines))

    @precondition(lambda self: self.history.objects)
    @rule(pick=picks)
    def touch(self, pick: int) -> None:
        self._count("touch")
        source, key = self._object(pick)
        self.history.put(source, key, self.history.objects[source, key])

    @precondition(lambda self: self.history.objects)
    @rule(pick=picks, key=keys)
    def move(self, pick: int, key: str) -> None:
        self._count("move")
        source, old = self._object(pick)
        if old != key:
            self.history.put(source, key, self.history.objects[source, old])
            self.history.put(source, old, None)

    @precondition(lambda self: self.history.objects)
    @rule(pick=picks, source=sources, key=keys)
    def copy(self, pick: int, source: str, key: str) -> None:
        self._count("copy")
        self.history.put(source, key, self.history.objects[self._object(pick)])

    @precondition(lambda self: self.history.objects)
    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        self._count("delete")
        self.history.put(*self._object(pick), None)

    @precondition(lambda self: self.history.objects)
    @rule(pick=picks, kept=st.integers(0, 3))
    def delete_many(self, pick: int, kept: int) -> None:
        self._count("delete many")
        source, _ = self._object(pick)
        for _, key in [one for one in sorted(self.history.objects) if one[0] == source][kept:]:
            self.history.put(source, key, None)

    # Settings and services.

    @rule()
    def change_masking(self) -> None:
        self._count("change the masking policy")
        self.history.how = self.history.how._replace(keeps_money=not self.history.how.keeps_money)

    @rule()
    def change_chunking(self) -> None:
        self._count("change a chunking setting")
        self.history.how = self.history.how._replace(lines=3 - self.history.how.lines)

    @rule()
    def change_prefix(self) -> None:
        self._count("change what is sent to the model")
        self.history.how = self.history.how._replace(prefixed=not self.history.how.prefixed)

    @rule(first=st.integers(0, len(ACCESS) - 1), second=st.integers(0, len(ACCESS) - 1))
    def change_access(self, first: int, second: int) -> None:
        self._count("change access groups")
        self.history.access = (first, second)

    @rule(size=st.sampled_from([1, 2, 3, 100]))
    def bound_runs(self, size: int) -> None:
        self._count("change the size of runs")
        self.history.documents = size

    @rule(word=st.sampled_from(WORDS), silent=st.booleans())
    def refuse(self, word: str, silent: bool) -> None:
        self._count("the model leaves a text unanswered" if silent else "the model refuses a text")
        self.history.untroubled = False
        (self.world.model.silent if silent else self.world.model.refused).add(word)

    @rule()
    def heal(self) -> None:
        self._count("the model is well again")
        self.world.model.silent.clear()
        self.world.model.refused.clear()

    # Syncs.

    @rule(source=sources, confirm=st.booleans(), full=st.booleans(), rehash=st.booleans())
    def sync(self, source: str, confirm: bool, full: bool, rehash: bool) -> None:
        self._count("sync")
        self.history.sync(source, SyncOptions(confirm, rehash and full, full))

    @rule(source=sources)
    def sync_twice(self, source: str) -> None:
        self._count("sync twice")
        first = self.history.sync(source)
        if first is None or first.waiting:
            return
        before, objects = self.world.written(*KEPT_OUT), self.world.objects()
        report = self.history.sync(source)
        assert report is not None
        assert report.runs == 0, "a run with nothing to do"
        assert self.world.model.sent == []
        assert self.world.written(*KEPT_OUT) == before, "rows were written with nothing to do"
        assert self.world.objects() == objects
        problems = [
            problem
            for problem in verifying.verify(self.history.settings, source, deep=not self.history.damaged)
            if problem.check != "hanging-lease" or not self.history.paused
        ]
        assert not problems, f"kb verify says: {problems}"

    @rule(source=sources, hinted=st.lists(keys, max_size=3, unique=True))
    def sync_keys(self, source: str, hinted: list[str]) -> None:
        self._count("sync hinted keys")
        expected = self.history.expect(source)
        ended = self.history.disturbed(source, SyncOptions(keys=hinted))
        objects = self.history.objects
        present = {document_id(source, key) for key in hinted if objects.get((source, key), HUGE) != HUGE}
        wanted = {of: expected.final[of] for of in present}
        # What is made again from the stage before takes more runs than hints ask for.
        if ended != "completed" or self.history.damaged:
            return
        checks.check_rows(self.world.seen(), wanted, self.history.visible, f"after {hinted} were hinted")

    @rule(source=sources, moment=moments, confirm=st.booleans())
    def kill_sync(self, source: str, moment: tuple[str, int], confirm: bool) -> None:
        self._count("kill a sync")
        self.history.disturbed(source, SyncOptions(confirm), at(moment, kill))

    @precondition(lambda self: self.history.paused is None)
    @rule(source=sources, moment=moments)
    def disconnect_sync(self, source: str, moment: tuple[str, int]) -> None:
        self._count("PostgreSQL ends the connections of a sync")
        self.history.disturbed(source, None, at(moment, self.world.disconnect))

    @rule(source=sources, moment=moments, key=keys, lines=st.none() | documents)
    def change_meanwhile(self, source: str, moment: tuple[str, int], key: str, lines: Sequence[str] | None) -> None:
        self._count("change an object during a sync")
        data = None if lines is None else data_of(lines)
        self.history.disturbed(
            source,
            None,
            at(moment, lambda: self.history.put(source, key, data)),
            changed={document_id(source, key): data},
        )

    @rule(source=sources)
    def sync_without_model(self, source: str) -> None:
        self._count("sync while the model is down")
        self.world.model.down = True
        try:
            ended = self.history.disturbed(source)
            assert ended in ("completed", EmbeddingUnavailable.__name__)
        finally:
            self.world.model.down = False

    @rule(source=sources, name=st.sampled_from(STAGES))
    def one_stage(self, source: str, name: StageName) -> None:
        self._count("one stage alone")
        self.history.alone(source, name)

    @precondition(lambda self: self.history.paused is None)
    @rule(source=sources, moment=moments)
    def pause_sync(self, source: str, moment: tuple[str, int]) -> None:
        self._count("suspend a sync")
        self.history.pause(source, moment)

    @precondition(lambda self: self.history.paused is not None)
    @rule(dies=st.booleans())
    def wake_sync(self, dies: bool) -> None:
        self._count("wake a suspended sync")
        self.history.wake(kill=dies)

    # Upkeep, and what breaks.

    @rule(pick=picks, kind=st.sampled_from(DAMAGES))
    def damage(self, pick: int, kind: str) -> None:
        self._count("damage an artifact")
        upkeep.damage(self.history, pick, kind)

    @rule()
    def retry(self) -> None:
        self._count("retry the quarantine")
        retry(self.world.reader, None, None)

    @rule(
        days=st.sampled_from([0.0, 30.0]),
        clear=st.booleans(),
        moment=st.none() | st.tuples(st.sampled_from(COLLECT_POINTS), nths),
    )
    def collect_garbage(self, days: float, clear: bool, moment: tuple[str, int] | None) -> None:
        self._count("collect garbage and clear text" if clear else "collect garbage")
        upkeep.collect_garbage(self.history, days, clear, at(moment, kill) if moment else None)

    @rule(source=sources, key=keys, moment=st.none() | st.tuples(st.sampled_from(ERASE_POINTS), nths))
    def forget(self, source: str, key: str, moment: tuple[str, int] | None) -> None:
        self._count("forget a document")
        upkeep.forget_document(self.history, source, key, at(moment, kill) if moment else None)

    @invariant()
    def in_step(self) -> None:
        self.history.check()

    def teardown(self) -> None:
        self.history.end()

    def _object(self, pick: int) -> tuple[str, str]:
        return sorted(self.history.objects)[pick % len(self.history.objects)]

    def _count(self, name: str) -> None:
        self.tally.rules[name] += 1
