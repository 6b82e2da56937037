"""The outside switched off: see sitecustomize.py."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def offline(log: Path) -> dict[str, str]:
    """Environment variables with which Python reaches this machine alone; `log` takes what else is asked for."""
    log.touch()
    before = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(FOLDER)]
    return {"PYTHONPATH": os.pathsep.join([str(FOLDER), *before]), "KB_OFFLINE_LOG": str(log)}


def asked_for(log: Path) -> list[str]:
    """What was asked for, one line each."""
    return log.read_text(encoding="utf-8").splitlines()
