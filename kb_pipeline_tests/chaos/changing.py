"""A folder of documents that keeps changing, at random but by a seed; the model is told before each change."""

from __future__ import annotations

import random
import threading
from pathlib import Path

from kb_pipeline_tests.chaos.expected import NOTHING, Expected
from kb_pipeline_tests.chaos.model import Model

WORDS = [
    *("lamp", "door", "shelf", "train", "garden", "winter", "copper", "letter", "market", "bridge", "quiet", "seven"),
    *("harbour", "window", "paper", "engine", "valley", "north", "river", "morning"),
    *("仓库", "夜班", "钥匙", "楼层", "维护", "清单", "路由", "节点"),
]


class Changing:
    """The documents of one source: files below `folder`, replaced in one step each. `pool` are documents to add, of
    one format each; Markdown is edited too."""

    def __init__(
        self, source: str, folder: Path, model: Model, expected: Expected, pool: dict[str, bytes], seed: str
    ) -> None:
        self.source, self.folder, self.pool = source, folder, pool
        self._model, self._expected, self._random = model, expected, random.Random(seed)
        self._beside = folder.parent.parent / f"{source}.part"  # on the same disk, in no listing
        self._beside.parent.mkdir(parents=True, exist_ok=True)
        self.files: dict[str, bytes] = {}
        self.changes: dict[str, int] = {}
        self._number = 0
        self._lock = threading.Lock()  # files change while a sync runs, and between syncs

    def become(self, snapshot: dict[str, bytes]) -> None:
        """Be this set of files: a step of a real history."""
        with self._lock:
            for key in self.files.keys() - snapshot.keys():
                self._delete(key)
            for key, data in snapshot.items():
                if self.files.get(key) != data:
                    self._put(key, data)
            self._count("history")

    def change(self) -> None:
        """One random change."""
        kinds = {
            self._edit: 8, self._add: 2, self._rename: 3, self._copy: 1, self._drop: 2, self._touch: 1, self._replace: 1
        }  # fmt: skip
        with self._lock:
            kind = self._random.choices(list(kinds), list(kinds.values()))[0]
            if kind():
                self._count(kind.__name__.strip("_"))

    def _count(self, kind: str) -> None:
        self.changes[kind] = self.changes.get(kind, 0) + 1

    def _edit(self) -> bool:
        keys = [key for key in self.files if key.endswith(".md")]
        if not keys:
            return False
        key = self._random.choice(sorted(keys))
        parts = self.files[key].decode(errors="replace").split("\n\n")
        at = self._random.randrange(len(parts) + 1)
        if len(parts) > 3 and self._random.random() < 0.3:
            del parts[min(at, len(parts) - 1)]
        else:
            parts.insert(at, self._paragraph())
        return self._put(key, "\n\n".join(parts).encode())

    def _add(self) -> bool:
        missing = sorted(set(self.pool) - set(self.files))
        if missing and self._random.random() < 0.7:
            key = self._random.choice(missing)
            return self._put(key, self.pool[key])
        text = "\n\n".join([f"# New page {self._next()}", *(self._paragraph() for _ in range(5))])
        return self._put(f"added/page-{self._number}.md", text.encode())

    def _rename(self) -> bool:
        key = self._any()
        folder = self._random.choice(("", "moved/", "moved/again/"))
        return bool(key) and self._move(key, f"{folder}{self._next()}-{key.rpartition('/')[2]}")

    def _copy(self) -> bool:
        key = self._any()
        return bool(key) and self._put(f"copies/{self._next()}-{key.rpartition('/')[2]}", self.files[key])

    def _drop(self) -> bool:
        if len(self.files) <= 0.6 * len(self.pool):
            return False
        self._delete(self._any())
        return True

    def _touch(self) -> bool:
        key = self._any()
        if key:
            self._write(key, self.files[key])
        return bool(key)

    def _replace(self) -> bool:
        """Another document under the same name."""
        key = self._any()
        others = sorted(name for name in self.pool if name.rpartition(".")[2] == key.rpartition(".")[2])
        return bool(key and others) and self._put(key, self.pool[self._random.choice(others)])

    def _any(self) -> str:
        return self._random.choice(sorted(self.files)) if self.files else ""

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _paragraph(self) -> str:
        return f"Note {self._next()}: " + " ".join(self._random.choices(WORDS, k=self._random.randint(5, 60))) + "."

    def _put(self, key: str, data: bytes) -> bool:
        rows = self._expected.rows(key, data)
        if rows is None:
            return False
        self._model.put((self.source, key), rows)
        self._write(key, data)
        self.files[key] = data
        return True

    def _write(self, key: str, data: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        self._beside.write_bytes(data)
        self._beside.replace(path)

    def _delete(self, key: str) -> None:
        self._model.put((self.source, key), NOTHING)
        (self.folder / key).unlink()
        del self.files[key]

    def _move(self, old: str, new: str) -> bool:
        data = self.files[old]
        rows = self._expected.rows(new, data)
        if rows is None:
            return False
        self._model.move((self.source, old), (self.source, new), rows)
        (self.folder / new).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / old).rename(self.folder / new)
        self.files[new] = self.files.pop(old)
        return True
