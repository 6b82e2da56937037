"""A process that dies between two durable steps, at every named point: the next one leaves what an undisturbed one
would have left."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import psycopg
import pytest
from psycopg import sql

from kb_pipeline.core.contracts import StageName
from kb_pipeline.core.faults import KILLED
from kb_pipeline.core.identity import document_id
from kb_pipeline.pipeline.catalogue import WORKER_STAGES
from kb_pipeline_tests.e2e.workspace import REPOSITORY, Workspace, write_files
from kb_pipeline_tests.support.databases import new_database, server_dsn
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub, embedding_stub
from kb_pipeline_tests.support.fault_server import FaultServer

pytestmark = pytest.mark.long

__all__ = ["new_database", "server_dsn"]

BASE = "fault_points_base"
SPACE = sql.Identifier("kb", "vector_all_minilm_l6_v2_32")
PAGES = {
    "lamps.md": "# Lamps\n\nThe lamps in the hall are changed in spring.\n\n## Spare\n\nSpare ones: in the cellar.\n",
    "doors.md": "# Doors\n\nThe door of the store is green.\n",
    "trains.md": "# Trains\n\nThe last train leaves at eleven.\n",
    "prices.md": "# Prices\n\nA lamp costs $ 40 and a door costs $ 900.\n",
    "gates.md": "# Gates\n\nThe gate is shut at nine.\n",
}
KEEP = "sources: {wiki: {masking: {MONEY: keep}}}\n"
# What is expected of a process at once, and not after a pause: nobody wants to wait here.
CONFIG = "lease: {ttl_seconds: 5}\nretention: {days: 0, clear_days: 0, grace_hours: 0}\n"


@dataclass
class Place:
    """A knowledge base of its own: files, database, settings."""

    folder: Path
    dsn: str
    url: str

    @property
    def raw(self) -> Path:
        return self.folder / "objects" / "raw" / "wiki"

    @property
    def variables(self) -> dict[str, str]:
        return {
            "KB_HOME": str(self.folder),
            "KB_CONFIG": str(self.folder / "kb.yaml"),
            "KB_OBJECT_STORE_URL": (self.folder / "objects").as_uri(),
            "KB_DATABASE_DSN": self.dsn,
            "KB_EMBEDDING_URLS": self.url,
        }

    def configure(self, more: str) -> None:
        (self.folder / "kb.yaml").write_text(CONFIG + more)

    def replace(self, key: str, text: str) -> None:
        """A new object in the place of the old one, which other knowledge bases share."""
        (self.raw / key).unlink(missing_ok=True)
        write_files(self.raw, {key: text})

    def bury(self) -> None:
        """The lease of a dead process need not be waited for here: test_lease.py shows that it is not held for long."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("UPDATE kb.source_lease SET expires_at = now() - interval '1 s' WHERE holder <> ''")

    def state(self) -> dict[str, Any]:
        """Everything that must be the same again, whatever happened on the way."""
        with psycopg.connect(self.dsn) as connection:
            rows = connection.execute(
                sql.SQL(
                    "SELECT d.key, c.chunk_id, c.ordinal, c.content, c.section_path, c.text_hash, v.embedding::text"
                    " FROM kb.chunk c JOIN kb.document d USING (document_id) LEFT JOIN {} v USING (chunk_id)"
                    " ORDER BY 2"
                ).format(SPACE)
            ).fetchall()
            asked = {
                "documents": "SELECT document_id, content_hash, deleted_at IS NULL, forgotten_at IS NULL,"
                " settled_key, display_name FROM kb.document ORDER BY 1",
                "stages": "SELECT document_id, stage, stage_key, status, fingerprint, output_hash, rows"
                " FROM kb.stage_state ORDER BY 1, 2",
                "artifacts": "SELECT fingerprint, output_hash, rows, expired_at IS NULL FROM kb.artifact ORDER BY 1",
                "versions": "SELECT DISTINCT document_id, content_hash, published_at IS NULL, withdrawn_at IS NULL"
                " FROM kb.document_version ORDER BY 1, 2",
                "hints": "SELECT key, gone FROM kb.hint ORDER BY 1",
                "source": "SELECT source_system, brake - 'since', removed_at IS NULL, access_key FROM kb.source",
                "holders": "SELECT source_system FROM kb.source_lease WHERE holder IS NOT NULL AND expires_at > now()",
                "indexes": "SELECT indexname FROM pg_indexes WHERE schemaname = 'kb' ORDER BY 1",
            }
            found = {name: connection.execute(query.encode()).fetchall() for name, query in asked.items()}
            uris = {row[0] for row in connection.execute("SELECT uri FROM kb.artifact WHERE expired_at IS NULL")}
        missing = [uri for uri in uris if not (self.folder / "objects" / uri).is_file()]
        return {"rows": rows, **found, "artifacts that are not there": missing}

    def objects(self) -> set[str]:
        """Every artifact object, whether a row names it or not."""
        root = self.folder / "objects"
        return {path.relative_to(root).as_posix() for path in (root / "artifacts").rglob("*.arrow*")}


Prepare = Callable[[Place], dict[str, Any]]


@dataclass(frozen=True)
class Scenario:
    """What a verb finds. `prepare` returns its arguments; `first`: the knowledge base is empty."""

    verb: str
    prepare: Prepare
    first: bool = False


def _nothing(place: Place) -> dict[str, Any]:
    return {}


def _changes(place: Place) -> dict[str, Any]:
    """An edit, an addition, a rename, a copy and a delete."""
    place.replace("lamps.md", PAGES["lamps.md"].replace("spring", "autumn"))
    place.replace("bridges.md", "# Bridges\n\nThe bridge is closed in winter.\n")
    (place.raw / "doors.md").rename(place.raw / "green-doors.md")
    shutil.copy(place.raw / "prices.md", place.raw / "prices-again.md")
    (place.raw / "trains.md").unlink()
    return {}


def _emptied(place: Place) -> dict[str, Any]:
    """A listing that comes back empty: the brake holds."""
    for path in place.raw.iterdir():
        path.unlink()
    return {}


def _another_policy(place: Place) -> dict[str, Any]:
    """Prices are masked from now on, and the model refuses the page as masked so (see the fixture stub)."""
    place.configure("")
    return {}


def _named(place: Place) -> dict[str, Any]:
    """A hint for a key that is gone, and one for a key that never was."""
    (place.raw / "trains.md").unlink()
    return {"keys": ["trains.md", "never.md"]}


def _folder(place: Place) -> dict[str, Any]:
    """A folder to mirror, with a page more and one less."""
    folder = place.folder / "drop"
    write_files(folder, {**PAGES, "bridges.md": "# Bridges\n\nThe bridge is closed in winter.\n"})
    (folder / "trains.md").unlink()
    return {"folder": str(folder)}


def _garbage(server: FaultServer) -> Prepare:
    def prepare(place: Place) -> dict[str, Any]:
        """A document that was deleted, one that was edited, and an object that no row names."""
        _changes(place)
        assert server.ask("sync", place.variables) == 0
        orphan = place.folder / "objects" / "artifacts" / "clear" / "parse" / "ff" / "orphan.arrow"
        orphan.parent.mkdir(parents=True, exist_ok=True)
        orphan.write_bytes(b"left by a run that died")
        return {}

    return prepare


def _document(place: Place) -> dict[str, Any]:
    return {"document": document_id("wiki", "lamps.md")}


# Which scenario passes a point; every other point is passed by a sync of some changes.
FIRST = ("run.index_built", "publish.space_ready", "run.settled")
SCENARIO_OF = {
    "delete.braked": "emptied",
    "publish.withdrawn": "policy",
    "raw.marked_gone": "named",
    "mirror.stored": "ingest",
    "mirror.deleted": "ingest",
    "erase.source_marked": "remove",
    **dict.fromkeys(FIRST, "first"),
}
# Points that are not on the way of a process of ours that can be asked here, and the test that passes them.
ELSEWHERE = {"notifications.before_acknowledge": "sources/test_notifications.py"}
STAGES = [name for name in get_args(StageName) if name != "raw"]
EXPANDED = {
    "{stage.name}.computed": STAGES,
    "{stage.name}.committed": STAGES,
    "{stage.name}.reused": [name for name in STAGES if name != "publish"],  # publish shares nothing
    "{stage}.written": list(WORKER_STAGES),
}


def named_points() -> list[str]:
    """Every point in the source code."""
    found: set[str] = set()
    for path in (REPOSITORY / "kb_pipeline").rglob("*.py"):
        for formatted, name in re.findall(r'fault_point\((f?)"([^"]+)"\)', path.read_text()):
            stages = EXPANDED[name] if formatted else [""]
            found.update(re.sub(r"{.*}", stage, name) if formatted else name for stage in stages)
    return sorted(found)


def scenario_of(point: str) -> str:
    if point.startswith("collect."):
        return "collect"
    if point.startswith("erase.") and point not in SCENARIO_OF:
        return "forget"
    return SCENARIO_OF.get(point, "changes")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture(scope="module")
def stub() -> Iterator[EmbeddingStub]:
    with embedding_stub() as stub:
        stub.faults["MONEY"] = 400
        yield stub


@pytest.fixture(scope="module")
def new_place(
    server: FaultServer,
    stub: EmbeddingStub,
    new_database: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Place]:
    """Makes a copy of a knowledge base that holds PAGES, or one whose documents were not synced yet."""
    numbers = itertools.count()
    base = Place(tmp_path_factory.mktemp("base"), new_database(name=BASE), stub.url)
    base.configure(KEEP)
    write_files(base.raw, PAGES)
    assert server.ask("sync", base.variables) == 0

    def make(*, first: bool) -> Place:
        folder = tmp_path_factory.mktemp(f"place{next(numbers)}")
        place = Place(folder, new_database("template1" if first else BASE), stub.url)
        place.configure(KEEP)
        kept = base.folder / "objects" / ("raw" if first else "")
        shutil.copytree(kept, folder / "objects" / ("raw" if first else ""), copy_function=os.link)  # keeps the ETags
        return place

    return make


@pytest.fixture(scope="module")
def scenarios(server: FaultServer) -> dict[str, Scenario]:
    return {
        "first": Scenario("sync", _nothing, first=True),
        "changes": Scenario("sync", _changes),
        "emptied": Scenario("sync", _emptied),
        "policy": Scenario("sync", _another_policy),
        "named": Scenario("sync", _named),
        "ingest": Scenario("ingest", _folder),
        "collect": Scenario("collect", _garbage(server)),
        "forget": Scenario("forget", _document),
        "remove": Scenario("remove", _nothing),
    }


@pytest.fixture(scope="module")
def undisturbed(
    server: FaultServer, new_place: Callable[..., Place], scenarios: dict[str, Scenario]
) -> Callable[[str], tuple[dict[str, Any], int]]:
    """What a scenario leaves when nothing dies, and how many artifact objects: undisturbed(name)."""
    known: dict[str, tuple[dict[str, Any], int]] = {}

    def find(name: str) -> tuple[dict[str, Any], int]:
        if name not in known:
            scenario = scenarios[name]
            place = new_place(first=scenario.first)
            arguments = scenario.prepare(place)
            assert server.ask(scenario.verb, place.variables, **arguments) == 0
            known[name] = place.state(), len(place.objects())
        return known[name]

    return find


def test_every_point_is_passed_by_a_test() -> None:
    points = named_points()
    assert len(points) >= 40
    assert ELSEWHERE.keys() | SCENARIO_OF.keys() <= set(points), "a point is named here and nowhere else"
    for point, test in ELSEWHERE.items():
        assert point in (REPOSITORY / "kb_pipeline_tests" / test).read_text()


@pytest.mark.parametrize("point", [point for point in named_points() if point not in ELSEWHERE])
def test_a_process_that_dies_there_is_made_up_for(
    point: str,
    server: FaultServer,
    new_place: Callable[..., Place],
    scenarios: dict[str, Scenario],
    undisturbed: Callable[[str], tuple[dict[str, Any], int]],
) -> None:
    name = scenario_of(point)
    scenario, (expected, objects) = scenarios[name], undisturbed(name)
    place = new_place(first=scenario.first)
    arguments = scenario.prepare(place)
    assert server.ask(scenario.verb, place.variables, point, **arguments) == KILLED, "it did not pass there"
    place.bury()
    assert server.ask(scenario.verb, place.variables, **arguments) == 0
    assert place.state() == expected
    if scenario.verb in ("collect", "forget", "remove"):  # a sync may leave an object behind, these may not
        assert len(place.objects()) == objects
    written = place.objects()
    if scenario.verb in ("sync", "ingest"):
        assert server.ask(scenario.verb, place.variables, **arguments) == 0
        assert (place.state(), place.objects()) == (expected, written), "a further sync found work"


@pytest.mark.parametrize("point", ["parse.committed", "publish.committed", "lease.before_release"])
def test_the_command_dies_there_too(
    point: str, new_place: Callable[..., Place], undisturbed: Callable[[str], tuple[dict[str, Any], int]]
) -> None:
    place = new_place(first=False)
    _changes(place)
    workspace = Workspace(place.folder, place.folder / "kb.yaml", place.variables)
    died = workspace.kb("sync", "wiki", env={"KB_FAULT": point})
    assert died.returncode == KILLED, died.stderr
    synced = workspace.kb("sync", "wiki")
    assert synced.returncode == 0, synced.stderr
    place.bury()  # after lease.before_release there was nothing left to do, and no run to take the lease over
    assert place.state() == undisturbed("changes")[0]


def test_a_worker_that_dies_once_costs_no_document(
    new_place: Callable[..., Place], undisturbed: Callable[[str], tuple[dict[str, Any], int]]
) -> None:
    """Each worker dies with its second document; one worker at a time, so that none meets the same document again."""
    place = new_place(first=True)
    place.configure(KEEP + "limits: {workers: 1}\n")
    workspace = Workspace(place.folder, place.folder / "kb.yaml", place.variables)
    synced = workspace.kb("sync", "wiki", env={"KB_FAULT": "mask.written:2"})
    assert synced.returncode == 0, synced.stderr
    assert place.state() == undisturbed("first")[0]
