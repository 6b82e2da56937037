"""Writes the lists of pinned packages from pyproject.toml: `make lock`. Needs the package uv.

    python infra/packages/lock.py [--upgrade]

Pins stay as they are where pyproject.toml allows it; --upgrade takes the newest. All lists are resolved together, for
every Python that pyproject.toml claims, so any of them can be installed on top of run.txt.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parents[1] / "pyproject.toml"
# File: extras of pyproject.toml, and what it is for. Each but the first leaves out what run.txt has.
LISTS = {
    "run.txt": ((), "What every installation needs."),
    "local.txt": (("local", "demo"), "What the embedded stack and the demo add to run.txt."),
    "dev.txt": (("dev",), "What tests, checks and benchmarks add."),
    "models.txt": (("models",), "What models other than all-MiniLM-L6-v2 add. torch goes first, with dependencies."),
    "hi-res.txt": (("hi-res",), "What the strategy hi_res adds."),
}
# Which of them torch wants depends on its build: none for the CPU, gigabytes for CUDA. pip decides when it is there.
OF_TORCHS_BUILD = re.compile(r"(nvidia|cuda)-|triton\b")


def main(arguments: list[str]) -> int:
    """Write all lists. Returns uv's exit code when a set cannot be resolved; it has said why."""
    with tempfile.TemporaryDirectory() as folder:
        together, previous, left_out = (Path(folder) / name for name in ("all.txt", "previous.txt", "left-out.txt"))
        previous.write_text("" if "--upgrade" in arguments else "".join(map(_pins_text, LISTS)))
        # An override whose marker is never true takes a package away.
        left_out.write_text("".join(f'{name} ; python_version < "0"\n' for name in left_out_names()))
        every = tuple(extra for extras, _ in LISTS.values() for extra in extras)
        try:
            _resolve(every, previous, left_out, together)
            base: list[str] = []
            for file, (extras, purpose) in LISTS.items():
                pins = _resolve(extras, together, left_out, Path(folder) / file)
                added = [pin for pin in pins if pin not in base]
                base = base or pins
                heading = f"# {purpose}\n# Written by `make lock`; installed with --no-deps.\n"
                (HERE / file).write_text(heading + "".join(f"{pin}\n" for pin in added))
        except subprocess.CalledProcessError as error:
            return error.returncode
    return 0


def left_out_names() -> list[str]:
    """What left-out.txt names."""
    lines = (HERE / "left-out.txt").read_text().splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]


def _pins_text(file: str) -> str:
    path = HERE / file
    return path.read_text() if path.exists() else ""


def _resolve(extras: tuple[str, ...], constraints: Path, overrides: Path, output: Path) -> list[str]:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate"]
    command += ["--fork-strategy", "fewest", "--constraint", str(constraints), "--override", str(overrides)]
    command += [word for extra in extras for word in ("--extra", extra)]
    subprocess.run([*command, str(PROJECT), "--output-file", str(output)], check=True)
    return [pin for pin in output.read_text().splitlines() if not OF_TORCHS_BUILD.match(pin)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
