"""What can be wrong with an installation, each with a remedy."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from kb_pipeline.core.errors import KbError
from kb_pipeline.local import stack
from kb_pipeline.operations.readiness import Finding, examine_next_sync, guarded
from kb_pipeline.settings import Settings, load_settings
from kb_pipeline.sources import notifications

MINIMUM_FREE_GB = 1.0


def examine(config: Path | None = None, home: Path | None = None) -> list[Finding]:
    """Run every check. None stops the others; invalid settings leave only those that need none."""
    findings = [_python(), _cpu()]
    try:
        settings = load_settings(config=config, home=home)
    except KbError as error:
        return [*findings, Finding("settings", False, error.message, error.remedy)]
    where = str(settings.config_path) if settings.config_path else "no kb.yaml: defaults"
    findings.append(Finding("settings", True, where))
    findings.append(guarded("ports", lambda: _ports(settings)))
    findings.append(guarded("disk", lambda: _disk(settings)))
    findings += examine_next_sync(settings)
    if settings.notifications.queue_url:
        findings.append(guarded("notifications", lambda: _notifications(settings)))
    return findings


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


def _notifications(settings: Settings) -> Finding:
    notifications.check(settings)
    return Finding("notifications", True, str(settings.notifications.queue_url))
