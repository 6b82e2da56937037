"""Checks the lists of pinned packages against pyproject.toml and against what is installed: part of `make check`.

    python infra/packages/check_pins.py

Says what is wrong, a line each, and exits 1: a requirement of pyproject.toml that its lists do not satisfy, a package
that another requires and no list has, an installed version other than the pinned one, and a package that does not run
on every Python that pyproject.toml claims.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from lock import HERE, LISTS, OF_TORCHS_BUILD, PROJECT, left_out_names
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

LATEST_PATCH = 99  # stands for whatever patch releases a Python will have


def main() -> int:
    """Print what is wrong. Returns 1 if anything is."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    pins = {file: read_pins(file) for file in LISTS}
    installed = dict(_installed(pins.values()))
    wrong = [
        *unsatisfied(project, pins),
        *(line for name, version in _every(pins).items() for line in differing(name, version, installed)),
        *unlisted(installed, _every(pins), frozenset(map(canonicalize_name, left_out_names()))),
        *too_new(installed, claimed_versions()),
    ]
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    sys.stdout.write(f"packages: {len(installed)} of {len(_every(pins))} pins installed, {len(wrong)} wrong\n")
    return bool(wrong)


def read_pins(file: str) -> dict[str, Version]:
    """The pins of a list that hold on this machine."""
    lines = (HERE / file).read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    here = [pin for pin in requirements if pin.marker is None or pin.marker.evaluate()]
    return {canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("==")) for pin in here}


def claimed_versions() -> list[Version]:
    """The first and the last patch release of each Python that pyproject.toml claims."""
    allowed = SpecifierSet(tomllib.loads(PROJECT.read_text())["project"]["requires-python"])
    every = (Version(f"3.{minor}.{patch}") for minor in range(30) for patch in (0, LATEST_PATCH))
    return [version for version in every if version in allowed]


def unsatisfied(project: dict[str, object], pins: dict[str, dict[str, Version]]) -> Iterator[str]:
    """Requirements of pyproject.toml whose list has another version, or none."""
    optional = project["optional-dependencies"]
    assert isinstance(optional, dict)
    for file, (extras, _) in LISTS.items():
        wanted = [*(project["dependencies"] if not extras else ()), *(line for e in extras for line in optional[e])]  # type: ignore[misc]
        available = {**pins["run.txt"], **pins[file]}
        for requirement in map(Requirement, wanted):
            version = available.get(canonicalize_name(requirement.name))
            if version is None or version not in requirement.specifier:
                yield f"{file}: pyproject.toml asks for {requirement}, and the pin is {version}; run `make lock`"


def differing(name: str, pinned: Version, installed: dict[str, Distribution]) -> Iterator[str]:
    """An installed version that is not the pinned one. A build of one's own (2.13.0+cpu) counts as its version."""
    found = installed.get(name)
    if found is not None and Version(found.version).public != pinned.public:
        yield f"{name}: {found.version} is installed, and {pinned} is pinned"


def unlisted(installed: dict[str, Distribution], pins: dict[str, Version], left_out: frozenset[str]) -> Iterator[str]:
    """What an installed package requires, and no list has or has in another version."""
    for name, found in installed.items():
        for requirement in map(Requirement, found.requires or ()):
            needed = canonicalize_name(requirement.name)
            if needed in left_out or OF_TORCHS_BUILD.match(needed) or not _applies(requirement.marker):
                continue
            if needed not in pins or not requirement.specifier.contains(pins[needed], prereleases=True):
                yield f"{name} requires {requirement}, and the pin is {pins.get(needed)}"


def too_new(installed: dict[str, Distribution], pythons: Iterable[Version]) -> Iterator[str]:
    """Packages whose Requires-Python leaves out a Python that pyproject.toml claims."""
    for name, found in installed.items():
        allowed = SpecifierSet(found.metadata.get("Requires-Python", ""))
        lacking = [str(python) for python in pythons if python not in allowed]
        if lacking:
            yield f"{name} {found.version} needs Python {allowed}, and pyproject.toml claims {', '.join(lacking)}"


def _applies(marker: Marker | None) -> bool:
    return marker is None or marker.evaluate({"extra": ""})


def _every(pins: dict[str, dict[str, Version]]) -> dict[str, Version]:
    return {name: version for file in pins.values() for name, version in file.items()}


def _installed(pins: Iterable[dict[str, Version]]) -> Iterator[tuple[str, Distribution]]:
    for name in {name for file in pins for name in file}:
        try:
            yield name, distribution(name)
        except PackageNotFoundError:
            continue


if __name__ == "__main__":
    sys.exit(main())
