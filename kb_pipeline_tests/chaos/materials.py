"""Real documents to load: snapshots of a documentation folder, and office files; the demo's own where there is no
corpus."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kb_pipeline.demo.writing import contents, render

HISTORY = "history/dolphinscheduler-docs"
SUFFIXES = ("docx", "pdf", "html")
LARGEST_BYTES = 60_000


@dataclass(frozen=True)
class Materials:
    """`snapshots` of a folder of Markdown, path -> bytes; `files` in other formats, by name."""

    snapshots: list[dict[str, bytes]]
    files: dict[str, bytes]


def materials(corpus: Path, pages: int, files: int) -> Materials:
    """At most `pages` pages a snapshot and `files` other files."""
    if not corpus.is_dir():
        return _of_the_demo(pages, files)
    snapshots = [_pages(path, pages) for path in sorted((corpus / HISTORY).glob("*.tar.gz"))]
    found: dict[str, bytes] = {}
    for suffix in SUFFIXES:
        paths = sorted((corpus / "docs" / suffix).rglob(f"*.{suffix}"), key=lambda p: (p.stat().st_size, p.name))
        small = [path for path in paths if 500 < path.stat().st_size < LARGEST_BYTES]
        found.update({path.name: path.read_bytes() for path in small[: -(-files // len(SUFFIXES))]})
    return Materials(snapshots, found)


def _pages(archive: Path, count: int) -> dict[str, bytes]:
    """The first pages of every folder in turn, so that both languages and all depths are there."""
    with tarfile.open(archive) as tar:
        members = {m.name: m for m in tar.getmembers() if m.isfile() and m.name.endswith(".md")}
        ordered = _dealt(sorted(members), lambda name: name.rpartition("/")[0])
        small = [name for name in ordered if members[name].size < LARGEST_BYTES // 5][:count]
        return {name: tar.extractfile(members[name]).read() for name in small}  # type: ignore[union-attr]


def _dealt(names: list[str], group_of: Callable[[str], str]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(group_of(name), []).append(name)
    most = max(map(len, groups.values()), default=0)
    return [group[n] for n in range(most) for group in groups.values() if n < len(group)]


def _of_the_demo(pages: int, files: int) -> Materials:
    made = {path: render(path, text) for path, text in contents().items()}
    markdown = {path: data for path, data in made.items() if path.endswith(".md")}
    later = {
        path: data + f"\n\n## Later\n\nPage {n} was read again.\n".encode()
        for n, (path, data) in enumerate(markdown.items())
    }
    others = {path.rpartition("/")[2]: data for path, data in made.items() if path.endswith(SUFFIXES)}
    return Materials(
        [dict(list(markdown.items())[:pages]), dict(list(later.items())[:pages])], dict(list(others.items())[:files])
    )
