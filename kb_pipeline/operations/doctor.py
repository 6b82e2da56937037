"""What can be wrong with an installation, each with a remedy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kb_pipeline.core.errors import KbError
from kb_pipeline.embedding.client import EmbeddingClient
from kb_pipeline.local import stack
from kb_pipeline.masking import load_models
from kb_pipeline.pipeline.opening import object_store_config
from kb_pipeline.settings import Settings, load_settings
from kb_pipeline.sources import notifications
from kb_pipeline.store.database import MINIMUM_PGVECTOR, connect, describe, pgvector_version
from kb_pipeline.store.objects.object_store import ObjectStore

MINIMUM_FREE_GB = 1.0
MINIMUM_POSTGRES = 160000


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, whether it is well, what was seen, and what to do if it is not."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def examine(config: Path | None = None, home: Path | None = None) -> list[Finding]:
    """Run every check. None stops the others; invalid settings leave only those that need none."""
    findings = [_python(), _cpu()]
    try:
        settings = load_settings(config=config, home=home)
    except KbError as error:
        return [*findings, Finding("settings", False, error.message, error.remedy)]
    where = str(settings.config_path) if settings.config_path else "no kb.yaml: defaults"
    findings.append(Finding("settings", True, where))
    checks: tuple[tuple[str, Callable[[Settings], Finding]], ...] = (
        ("ports", _ports),
        ("disk", _disk),
        ("database", _database),
        ("object store", _objects),
        ("embedding service", _embedding),
        *((("notifications", _notifications),) if settings.notifications.queue_url else ()),
        *((("masking models", _masking_models),) if settings.masking_models else ()),
    )
    return findings + [_guarded(name, check, settings) for name, check in checks]


def _guarded(name: str, check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    try:
        return check(settings)
    except KbError as error:
        return Finding(name, False, error.message, error.remedy)
    except OSError as error:
        return Finding(name, False, f"{type(error).__name__}: {error.strerror}", "Check KB_HOME and its rights.")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), version, "Use Python 3.11 or later.")


def _cpu() -> Finding:
    info = Path("/proc/cpuinfo")
    has = not info.is_file() or " avx2" in info.read_text(encoding="utf-8", errors="replace")
    return Finding(
        "cpu features",
        has,
        "AVX2" if has else "no AVX2",
        "The embedded PostgreSQL needs AVX2: set KB_DATABASE_DSN to a server of your own.",
    )


def _ports(settings: Settings) -> Finding:
    services = stack.status(settings)
    detail = ", ".join(f"{s.name}: {s.port if s.running else s.detail}" for s in services)
    ok = all(s.running or s.detail.startswith("not needed") for s in services)
    return Finding("ports", ok, detail, "Run `kb up`: it chooses free loopback ports and starts what is missing.")


def _disk(settings: Settings) -> Finding:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    remedy = "Free some space, or set KB_HOME to a folder on a larger disk."
    return Finding("disk", free >= MINIMUM_FREE_GB, f"{free:.1f} GB free below {settings.home}", remedy)


def _database(settings: Settings) -> Finding:
    dsn = stack.database_dsn(settings)
    with connect(dsn) as connection:
        server, vector = connection.info.server_version, pgvector_version(connection)
    wanted = ".".join(map(str, MINIMUM_PGVECTOR))
    seen = ".".join(map(str, vector)) if vector else "none"
    detail = f"PostgreSQL {server // 10000}.{server % 10000} at {describe(dsn)}, pgvector {seen}"
    ok = server >= MINIMUM_POSTGRES and vector is not None and vector >= MINIMUM_PGVECTOR
    return Finding("database", ok, detail, f"Install PostgreSQL 16 or later with pgvector {wanted} or later.")


def _objects(settings: Settings) -> Finding:
    ObjectStore(object_store_config(settings)).check()
    return Finding("object store", True, f"{settings.object_store_url}: list, write, read, delete")


def _embedding(settings: Settings) -> Finding:
    urls, key = stack.embedding_urls(settings), settings.embedding_api_key
    client = EmbeddingClient(
        urls, settings.embedding.model, api_key=key.get_secret_value() if key else None, max_retries=0
    )
    try:
        info = client.probe()
    finally:
        client.close()
    return Finding("embedding service", True, f"{info.model}, {info.dimension} dimensions, at {', '.join(urls)}")


def _notifications(settings: Settings) -> Finding:
    notifications.check(settings)
    return Finding("notifications", True, str(settings.notifications.queue_url))


def _masking_models(settings: Settings) -> Finding:
    load_models(settings.masking_for(""))
    names = (f"{language}: {model.model}" for language, model in settings.masking_models.items())
    return Finding("masking models", True, ", ".join(names))
