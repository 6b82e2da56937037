"""Asks pip whether every pinned package can be had for each Python that pyproject.toml claims: part of .ci/run.

    python infra/packages/resolve.py [VERSION...]

pip says whether there is a wheel that fits, and what each package requires; only metadata is downloaded. That the pins
agree with one another is looked at here: pip's own resolver needs ten minutes for 270 packages, and evaluates
environment markers by the Python it runs on, not by the one it is asked about.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from check_pins import claimed_versions
from lock import HERE, LISTS, OF_TORCHS_BUILD, left_out_names
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CONSTRAINTS = HERE.parents[1] / "constraints.txt"
# Pins that come as source alone. All are plain Python: one wheel made here goes for every Python.
SOURCE_ALONE = ("antlr4-python3-runtime", "langdetect")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")


def main(versions: list[str]) -> int:
    """Print a line a Python. Returns 1 if one of them cannot install what pyproject.toml names."""
    minors = sorted({version.minor for version in claimed_versions()})
    pythons = versions or [f"3.{minor}" for minor in minors]
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path(folder) / "wheels"
        build = [*PIP, "wheel", "-qq", "--no-deps", "--wheel-dir", str(wheels), "-c", str(CONSTRAINTS)]
        subprocess.run([*build, *SOURCE_ALONE], check=True)
        with ThreadPoolExecutor() as threads:  # each waits for the network most of the time
            answers = list(threads.map(lambda python: resolve(python, wheels), pythons))
    sys.stdout.writelines(f"{answer}\n" for _, answer in answers)
    return not all(works for works, _ in answers)


def resolve(python: str, wheels: Path) -> tuple[bool, str]:
    """Whether all pins go together on this Python, and what is to be said of it."""
    report = wheels.with_name(f"{python}.json")
    command = [*PIP, "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", python, "--target", str(wheels.with_name(python)), "--find-links", str(wheels)]
    command += ["--report", str(report), *(word for file in LISTS for word in ("--requirement", str(HERE / file)))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in (done.stderr + done.stdout).splitlines() if not line.lstrip().startswith("WARNING")]
        return False, "\n".join([f"Python {python}: cannot be resolved", *said])
    chosen = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    lacking = list(unmet(chosen, python))
    return not lacking, "\n".join([f"Python {python}: {len(chosen)} packages, {len(lacking)} unmet", *lacking])


def unmet(chosen: Iterable[Mapping[str, Any]], python: str) -> Iterator[str]:
    """What the packages require under the markers of a Python and is not among them, or in another version."""
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    versions = {canonicalize_name(metadata["name"]): metadata["version"] for metadata in chosen}
    left_out = frozenset(map(canonicalize_name, left_out_names()))
    for metadata in chosen:
        for requirement in map(Requirement, metadata.get("requires_dist", ())):
            if requirement.marker is not None and not requirement.marker.evaluate(environment):
                continue
            name = canonicalize_name(requirement.name)
            version = versions.get(name)
            if name in left_out or OF_TORCHS_BUILD.match(name):
                continue
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                yield f"  {metadata['name']} requires {requirement}, and the choice is {version}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
