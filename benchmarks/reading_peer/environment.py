"""The environment that unstructured reads in: torch and more, which the project itself does without."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

PYTHON = "UNSTRUCTURED_PYTHON"
"""The variable that names the Python of another environment with unstructured[pdf]."""
FOLDER = Path(__file__).parents[2] / ".venv-unstructured"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_READ = Path(__file__).with_name("read.py")
_BUILD_SECONDS, _READ_SECONDS = 1800, 3600


class PeerMissing(Exception):
    """The environment cannot be made, or nothing can be read in it; says why."""


def answers(ask: Literal["texts", "seconds"], paths: Sequence[Path]) -> Mapping[Path, Any]:
    """What read.py tells of each file. Raises PeerMissing."""
    given = json.dumps([str(path) for path in paths])
    command = [str(python()), str(_READ), ask]
    done = _run(command, _READ_SECONDS, given)
    return {Path(path): answer for path, answer in json.loads(done).items()}


def python() -> Path:
    """The environment's Python; where its requirements have changed, or it is not there, it is made first."""
    if named := os.environ.get(PYTHON):
        return Path(named)
    found = FOLDER / "bin" / "python"
    built_with = FOLDER / ".built-with"
    if not (built_with.is_file() and built_with.read_text() == built_from()):
        print(f"building {FOLDER.name} (2.5 GB, some minutes; once)", file=sys.stderr)
        shutil.rmtree(FOLDER, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(FOLDER)], _BUILD_SECONDS)
        pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        torch = next(line for line in REQUIREMENTS.read_text().splitlines() if line.startswith("torch=="))
        _run([*pip, torch], _BUILD_SECONDS)
        _run([*pip, "--no-deps", "--requirement", str(REQUIREMENTS)], _BUILD_SECONDS)
        built_with.write_text(built_from())
    return found


def built_from() -> str:
    """What the environment depends on."""
    return hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()


def _run(command: Sequence[str], seconds: float, given: str | None = None) -> str:
    try:
        return subprocess.run(command, timeout=seconds, capture_output=True, text=True, check=True, input=given).stdout
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:]
        raise PeerMissing(f"{Path(command[0]).name} {' '.join(command[1:4])}: {' '.join(last)}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissing(f"{Path(command[0]).name}: {type(error).__name__}") from None
