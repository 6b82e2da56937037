"""One history of a knowledge base: what was done to it, what it must hold now, and the checks in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from kb_pipeline.core.contracts import StageName
from kb_pipeline.core.errors import DatabaseUnavailable, EmbeddingUnavailable, KbError, LeaseLost
from kb_pipeline.core.identity import document_id, sha256_hex
from kb_pipeline.defs.running.syncing import SyncOptions
from kb_pipeline.pipeline.reports import SyncReport
from kb_pipeline.settings import Settings
from kb_pipeline_tests.state_machine import checks
from kb_pipeline_tests.state_machine.paused import Killed, PausedSync
from kb_pipeline_tests.state_machine.spec import NONE, Expected, Rows, Spec, rows_of, standings
from kb_pipeline_tests.state_machine.stages import HUGE, How
from kb_pipeline_tests.state_machine.watching import Tally, Watching
from kb_pipeline_tests.state_machine.world import SOURCES, World, settings_of


class History(Watching):
    """A knowledge base from its beginning. `objects` is what the source systems hold, `visible` what readers see."""

    def __init__(self, world: World, tally: Tally) -> None:
        super().__init__(world, tally)
        self.objects: dict[tuple[str, str], bytes] = {}
        self.versions: dict[str, bytes] = {}
        self.put_ever: dict[str, list[bytes]] = {}
        self.forgotten: set[str] = set()
        self.how, self.access, self.documents = How(), (0,) * len(SOURCES), 100
        self.paused_how = self.how
        self.untroubled = True  # nothing was ever lost: no text is to be sent twice
        self.ever_sent: set[str] = set()

    @property
    def settings(self) -> Settings:
        return settings_of(self.world.dsn, self.world.store.config.url, self.how, self.access, self.documents)

    def put(self, source: str, key: str, data: bytes | None) -> None:
        """What a source system does: put an object, or delete it."""
        self.world.put(source, key, data)
        if data is None:
            self.objects.pop((source, key), None)
            return
        self.objects[source, key] = data
        self.versions[sha256_hex(data)] = data
        self.put_ever.setdefault(document_id(source, key), []).append(data)

    def expect(self, source: str, *, confirmed: bool = False) -> Expected:
        """What a sync of the whole source must lead to now."""
        return Spec(
            self.world,
            self.settings,
            source,
            self.how,
            {key: data for (of, key), data in self.objects.items() if of == source},
            standings(self.world.reader, source, self.versions),
            self.visible,
            self.put_ever,
            confirmed,
            bool(self.damaged),
        ).expect()

    def sync(self, source: str, options: SyncOptions | None = None) -> SyncReport | None:
        """A sync that nothing disturbs: afterwards everything is exactly as it must be. None when it gave up because
        the model refused every text of many documents."""
        options = options or SyncOptions()
        expected = self.expect(source, confirmed=options.confirm_deletes)
        with self.watched(expected.during if expected.exact else {}, expected.moves):
            try:
                report = self._sync(source, options)
            except EmbeddingUnavailable:
                assert self.world.model.refused | self.world.model.silent
                self._half_way(source, _allowed(expected), "a sync that gave up")
                return None
        self._settled(source, expected)
        return report

    def disturbed(
        self,
        source: str,
        options: SyncOptions | None = None,
        at: Callable[[str], None] | None = None,
        changed: Mapping[str, bytes | None] | None = None,
    ) -> str:
        """A sync during which `at` does something at fault points. `changed` documents are put or deleted meanwhile:
        they may then be in any state that they were ever put into. Afterwards each document is in its old state or in
        its new one. Returns how it ended."""
        options = options or SyncOptions()
        expected = self.expect(source, confirmed=options.confirm_deletes)
        allowed = _allowed(expected)
        if options.keys is not None:
            self._allow_deletes(source, allowed)
        for of, data in (changed or {}).items():
            states = self._any_state(source, of, data) | {self.visible.get(of, NONE)}
            allowed[of] = allowed.get(of, set()) | states
        ended, self.untroubled = "completed", self.untroubled and at is None
        moves = expected.moves if options.keys is None else expected.known_moves
        with self.watched(allowed, {} if changed else moves, at):
            try:
                self._sync(source, options)
            except Killed:
                self._died(source)
                ended = "killed"
            except (DatabaseUnavailable, EmbeddingUnavailable) as error:
                self.untroubled = False
                ended = type(error).__name__
        self.tally.endings[ended] += 1
        if ended == "completed" and not changed and options.keys is None:
            self._settled(source, expected)
        else:
            self._half_way(source, allowed, f"a sync that was disturbed ({ended})")
        return ended

    def alone(self, source: str, name: StageName) -> None:
        """One stage by itself."""
        expected = self.expect(source)
        self.steal(source)
        allowed = _allowed(expected)
        self._allow_deletes(source, allowed)
        hows = [self.how._replace(lines=lines) for lines in (1, 2)]
        for of in allowed:  # a stage alone takes what the one before made under the settings of then
            allowed[of] = allowed[of] | self._states(source, of, self.put_ever.get(of, []), hows)
            if name == "publish":
                allowed[of].add(NONE)  # withdrawn, before masking has come round to it
        with self.watched(allowed, expected.known_moves), suppress(EmbeddingUnavailable):
            self.unless_busy(source, lambda: self.world.alone(self.settings, source, name))
        self._half_way(source, allowed, f"{name} alone")

    def pause(self, source: str, moment: tuple[str, int]) -> None:
        """Start a sync and suspend it at a fault point."""
        expected = self.expect(source)
        settings = self.settings
        self.world.model.sent.clear()
        self.paused = PausedSync(source, lambda: self.world.sync(settings, source, SyncOptions()), *moment)
        if not self.paused.start():
            self.paused, ended = None, self.paused
            if ended.error is None:
                self._settled(source, expected)
                return
            if not isinstance(ended.error, EmbeddingUnavailable):
                raise ended.error
            self._half_way(source, _allowed(expected), "a sync that gave up")
            return
        self.untroubled = False
        self.paused.lease = self.world.lease(source)
        self._half_way(source, _allowed(expected), f"a sync suspended at {moment[0]}")
        self.paused_how = self.how

    def wake(self, *, kill: bool = False) -> None:
        """Let the suspended sync go on. When another took its lease it can change nothing any more."""
        assert self.paused
        paused, before, rows = self.paused, self.world.written("hint", "source"), self.visible
        held = self.world.lease(paused.source)
        stolen = self._holds_lease(paused) and held != paused.lease
        error = paused.wake(kill=kill)
        # It may end a run that had nothing left to write, and begin another under a lease of its own.
        stolen = stolen and self._token(paused.source) == (held and held[0])
        self.paused = None
        if error is not None and not isinstance(error, KbError | Killed):
            raise error
        self.tally.endings[f"woken, {'stolen' if stolen else 'alone'}: {type(error).__name__}"] += 1
        seen = self.world.seen()
        if stolen:
            assert isinstance(error, LeaseLost | Killed | None), repr(error)
            assert self.world.written("hint", "source") == before, "a sync that lost its lease wrote something"
            assert seen.rows == rows
            return
        if isinstance(error, Killed):
            self._died(paused.source)
        ids = self.world.ids(paused.source)
        allowed = {of: self._any_state(paused.source, of) | {rows.get(of, NONE)} for of in ids}
        checks.check_rows(seen, allowed, rows, "a sync that was woken")
        self.visible = seen.rows

    def steal(self, source: str) -> None:
        """Make a suspended sync of the source lose touch with its lease, if it holds it."""
        if self.paused and self.paused.source == source:
            self.world.expire(source)

    def _token(self, source: str) -> int | None:
        lease = self.world.lease(source)
        return lease and lease[0]

    def _holds_lease(self, paused: PausedSync) -> bool:
        return bool(paused.lease and paused.lease[1] and paused.lease[1].startswith("run-"))

    def _died(self, source: str) -> None:
        """A run of this process was killed. It gave nothing back, unless it had never taken the lease."""
        paused = self.paused
        if paused and paused.source == source and self.world.lease(source) == paused.lease:
            return
        self.world.leave_dead_lease(source)

    def _sync(self, source: str, options: SyncOptions) -> SyncReport:
        self.steal(source)
        return self.unless_busy(source, lambda: self.world.sync(self.settings, source, options))

    def _half_way(self, source: str, allowed: Mapping[str, set[Rows]], what: str) -> None:
        """Some documents may have come to their end, others not: what readers see now is what they saw last."""
        seen = self.world.seen()
        checks.check_rows(seen, allowed, self.visible, f"after {what} of {source}")
        self.visible = seen.rows

    def _settled(self, source: str, expected: Expected) -> None:
        """A sync came to its end: everything is as it must be."""
        seen = self.world.seen()
        checks.check_rows(seen, expected.final, self.visible, f"after a sync of {source}")
        self.visible = seen.rows
        if expected.exact:
            checks.check_ledger(self.world, source, expected)
        groups = {of: self.settings.access_groups(source, key) for of, key in self.world.ids(source).items()}
        checks.check_groups(self.world, groups)
        self.check_names(source, self.settings.masking_for(source))
        sent = Counter(self.world.model.sent)
        if self.untroubled:
            twice = [text for text in sent if sent[text] > 1 or text in self.ever_sent]
            assert not twice, f"sent again: {twice}"
            self.ever_sent.update(sent)

    def _allow_deletes(self, source: str, allowed: dict[str, set[Rows]]) -> None:
        """Without a listing fewer documents are known to be gone, so that the brake may not hold."""
        present = {document_id(of, key) for of, key in self.objects if of == source}
        for of in allowed.keys() - present:
            allowed[of] = allowed[of] | {NONE}

    def _any_state(self, source: str, of: str, new: bytes | None = None) -> set[Rows]:
        """Every state that a document may be in when its changes are not followed one by one."""
        versions = [*self.put_ever.get(of, []), *([] if new is None else [new])]
        return self._states(source, of, versions, {self.how, self.paused_how}) | {NONE}

    def _states(self, source: str, of: str, versions: Collection[bytes], hows: Collection[How]) -> set[Rows]:
        key = self.world.ids(source).get(of, "")
        return {rows_of(source, key, data, how) or NONE for data in versions if data != HUGE for how in hows}


def _allowed(expected: Expected) -> dict[str, set[Rows]]:
    return {of: states | expected.final[of] for of, states in expected.during.items()}
