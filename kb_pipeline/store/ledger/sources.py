"""The source systems that the ledger knows, and which of them has its deletes held back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kb_pipeline.store.database import Connection


@dataclass(frozen=True, slots=True)
class LedgerSource:
    """A source system: when its listing last differed from the one before (None: never listed), and whether it was
    removed."""

    name: str
    listed_at: datetime | None
    removed: bool


@dataclass(frozen=True, slots=True)
class Brake:
    """Deletes that wait for someone's word: documents that are `gone` for good, of `live` ones, for `seconds` now."""

    gone: int
    live: int
    moved: int
    since: str
    seconds: float


def ledger_sources(connection: Connection) -> list[LedgerSource]:
    """Every source system that was ever looked at, by name."""
    rows = connection.execute("SELECT source_system, listed_at, removed_at IS NOT NULL FROM kb.source ORDER BY 1")
    return [LedgerSource(*row) for row in rows]


def is_removed(connection: Connection, source_system: str) -> bool:
    """Whether someone removed the source system; False for one that the ledger does not know."""
    row = connection.execute(
        "SELECT removed_at IS NOT NULL FROM kb.source WHERE source_system = %s", (source_system,)
    ).fetchone()
    return row == (True,)


def bring_back(connection: Connection, source_system: str) -> None:
    """A source system that was removed is looked after again. Does nothing to any other."""
    connection.execute(
        "UPDATE kb.source SET removed_at = NULL WHERE source_system = %s AND removed_at IS NOT NULL", (source_system,)
    )


def access_key_of(connection: Connection, source_system: str) -> str | None:
    """The key of the access rules that were last applied to the source system's documents."""
    row = connection.execute("SELECT access_key FROM kb.source WHERE source_system = %s", (source_system,)).fetchone()
    return row[0] if row else None


def listing_state(connection: Connection, source_system: str) -> tuple[datetime, str | None]:
    """The database's time now, and the digest of the listing that was compared last. The source is in the ledger."""
    row = connection.execute(
        "SELECT clock_timestamp(), listing_digest FROM kb.source WHERE source_system = %s", (source_system,)
    ).fetchone()
    assert row
    return row[0], row[1]


def brakes(connection: Connection) -> dict[str, Brake]:
    """The source systems whose deletes are held back."""
    rows = connection.execute(
        "SELECT source_system, coalesce((brake->>'gone')::bigint, 0), coalesce((brake->>'live')::bigint, 0),"
        " coalesce((brake->>'moved')::bigint, 0), brake->>'since',"
        " extract(epoch FROM clock_timestamp() - (brake->>'since')::timestamptz)::float8"
        " FROM kb.source WHERE brake IS NOT NULL AND removed_at IS NULL ORDER BY 1"
    )
    return {row[0]: Brake(*row[1:]) for row in rows}


def lag_seconds(connection: Connection, source_system: str) -> float:
    """For how long the key that has waited longest has not been looked at; 0 when none waits."""
    row = connection.execute(
        "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(received_at)), 0)::float8 FROM kb.hint"
        " WHERE source_system = %s AND NOT gone",
        (source_system,),
    ).fetchone()
    return round(row[0], 3) if row else 0.0
