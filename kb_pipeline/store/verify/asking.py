"""Asks the database every check, from one snapshot, so that a run beside it looks like no problem."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from psycopg import sql

from kb_pipeline.core.contracts import Stage
from kb_pipeline.store.database import Connection, identifier
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.ledger.stages import PAGE, Ledger
from kb_pipeline.store.published.spaces import Space, live_spaces
from kb_pipeline.store.verify.checks import (
    DOCUMENT,
    ERASING,
    LEDGER,
    LIVE,
    OLD_HOURS,
    PUBLISHABLE,
    PUBLISHED,
    SPACE,
    WHOLE,
)
from kb_pipeline.store.verify.problems import Check, Expected, Problem
from kb_pipeline.store.views.overview import UNIT_LENGTH

MOST = 1000  # problems reported of one check and source


def verify(connection: Connection, expected: Sequence[Expected], *, whole: bool) -> list[Problem]:
    """What does not hold of these sources; with `whole` also of the tables that all share. Writes nothing, waits for no
    lease. Reads no object: see verify_deep."""
    problems: list[Problem] = []
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        spaces = live_spaces(connection)
        lost = [space for space in spaces if not _exists(connection, space)]
        for check in WHOLE if whole else ():
            problems += _ask(connection, check, "", {}, "")
        if whole:
            problems += [_lost_table(space) for space in lost]
        for one in expected:
            values = _values(one)
            for check in ERASING if one.removed else LEDGER:
                problems += _ask(connection, check, one.source_system, values, "")
            if one.removed:
                continue
            for space in (space for space in spaces if space not in lost):
                values["dimension"] = space.dimension
                for check in SPACE:
                    problems += _ask(connection, check, one.source_system, values, space.table_name)
            problems += _settled_yet_pending(connection, one)
    return problems


def _ask(connection: Connection, check: Check, source: str, values: dict[str, Any], table: str) -> Iterator[Problem]:
    query = sql.SQL(check.query + " LIMIT {most}").format(
        document=DOCUMENT,
        live=LIVE,
        publishable=PUBLISHABLE,
        published=PUBLISHED,
        table=identifier(table),
        unit_length=UNIT_LENGTH,
        most=MOST + 1,
    )
    rows = connection.execute(query, values).fetchall()
    for document_id, name, mendable, a, b in rows[:MOST]:
        words = {"a": _say(a), "b": _say(b), "table": f"kb.{table}", "source": source}
        said, remedy = check.says.format(**words), check.remedy.format(**words)
        if not mendable and check.repair:
            remedy = "a newer version of it is held back (`kb history`): mend that, then its rows are written anew"
        repair = check.repair if mendable else ""
        yield Problem(check.name, source, name or "", f"{said}: {remedy}.", bool(repair), document_id or "", repair)
    if len(rows) > MOST:
        yield Problem(check.name, source, "", f"There are more than these {MOST}: repair, then verify again.", False)


def _say(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M %Z}" if isinstance(value, datetime) else str(value)


def _values(one: Expected) -> dict[str, Any]:
    publish = one.stages.get("publish")
    return {
        "source": one.source_system,
        "chain": one.chain,
        "removed": one.removed,
        "model_key": one.stages["embed"].variant,
        "mask_key": one.stages["mask"].key,
        "publish_key": publish.key if publish else None,
        "space": publish.variant if publish else None,
        "old_hours": OLD_HOURS,
    }


def _exists(connection: Connection, space: Space) -> bool:
    return connection.execute("SELECT to_regclass(%s)", (f"kb.{space.table_name}",)).fetchone() != (None,)


def _lost_table(space: Space) -> Problem:
    detail = f"the vector table kb.{space.table_name} of space {space.space_id} is not there: restore the database."
    return Problem("lost-table", "", "", detail, False)


def _settled_yet_pending(connection: Connection, one: Expected) -> Iterator[Problem]:
    """Documents that are noted as done while a stage would still do something for them: no run would ever come."""
    found: dict[str, tuple[str, Stage]] = {}
    for stage in one.stages.values():
        ledger = Ledger(connection, Lease(one.source_system, "", 0), "", one.stages["embed"].variant)
        pending = ledger.pending_ids(stage)
        while (page := list(islice(pending, PAGE))) and len(found) < MOST:
            rows = connection.execute(
                "SELECT document_id, coalesce(display_name, document_id) FROM kb.document"
                " WHERE document_id = ANY(%s) AND settled_key = %s",
                (page, one.chain),
            )
            found.update({row[0]: (row[1], stage) for row in rows if row[0] not in found})
    for document_id, (name, stage) in found.items():
        detail = (
            f"kb.document says that it is settled, and {stage.name} has work left for it:"
            f" `kb verify --repair`, then `kb sync {one.source_system}`."
        )
        yield Problem("settled-yet-pending", one.source_system, name, detail, True, document_id, "resettle")
