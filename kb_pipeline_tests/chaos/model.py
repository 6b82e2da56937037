"""What readers may see: every version that each document ever had, in order, and how far a reader has come."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from kb_pipeline_tests.chaos.expected import NOTHING

Name = tuple[str, str]  # source system, key


@dataclass(slots=True)
class Story:
    """Digests of a document's versions, oldest first; NOTHING is "not there". A reader that saw number `floor` sees no
    earlier one again."""

    versions: list[str] = field(default_factory=lambda: [NOTHING])
    floor: int = 0

    @property
    def seen_current(self) -> bool:
        return self.floor == len(self.versions) - 1


class Model:
    """A change is told here before it is made, so that no reader can see what is not known yet."""

    def __init__(self) -> None:
        self.stories: dict[Name, Story] = {}
        self.violations: list[str] = []
        self.snapshots = 0
        self._moves: dict[Name, Name] = {}  # new name -> old one, until the new one was seen
        self._told: set[tuple[Name, str]] = set()
        self._lock = threading.Lock()

    def put(self, name: Name, version: str) -> None:
        """The document is about to have these rows, or none (NOTHING: it is about to be deleted)."""
        with self._lock:
            self._moves.pop(name, None)
            if version == NOTHING:
                self._moves = {new: old for new, old in self._moves.items() if old != name}
            versions = self.stories.setdefault(name, Story()).versions
            if versions[-1] != version:
                versions.append(version)

    def move(self, old: Name, new: Name, version: str) -> None:
        """The same bytes are about to be under another key: from now on one of the two can be read, if the old one can
        be now."""
        self.put(new, version)
        self.put(old, NOTHING)
        with self._lock:
            story = self.stories[old]
            if story.floor == len(story.versions) - 2 and version != NOTHING:
                self._moves[new] = old

    def problem(self, text: str) -> None:
        """Something that must not be."""
        with self._lock:
            self.violations.append(text)

    def observe(self, rows: Mapping[Name, str]) -> None:
        """One snapshot of the tables: the digest of each document's rows."""
        with self._lock:
            self.snapshots += 1
            for name in self.stories.keys() | rows.keys():
                self._observe(name, rows.get(name, NOTHING))
            for new, old in list(self._moves.items()):
                if rows.get(new, NOTHING) != NOTHING:
                    del self._moves[new]
                elif rows.get(old, NOTHING) == NOTHING:
                    self.violations.append(f"{old} was moved to {new} and can be read under neither name")
                    del self._moves[new]

    def _observe(self, name: Name, version: str) -> None:
        story = self.stories.get(name, Story())
        for number in range(story.floor, len(story.versions)):
            if story.versions[number] == version:
                story.floor = number
                return
        if (name, version) in self._told:
            return
        self._told.add((name, version))
        if version == NOTHING:
            what = "no version"
        elif version in story.versions:
            what = f"version {story.versions.index(version)} again, after version {story.floor}"
        else:
            what = "rows of no single version"
        self.violations.append(f"{name}: a reader saw {what}")
