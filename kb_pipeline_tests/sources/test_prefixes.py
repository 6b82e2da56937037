"""Which source systems a store holds that nobody has named yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb_pipeline.core.errors import ObjectStoreUnavailable
from kb_pipeline.sources.prefixes import NewPrefixes, new_prefixes
from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(ObjectStoreConfig((tmp_path / "objects").as_uri()))


def test_new_folders_with_documents_are_named_and_unusable_names_counted(store: ObjectStore, tmp_path: Path) -> None:
    for path in ("raw/wiki/a.md", "raw/hr/b.md", "raw/legal/deep/c.md", "raw/Staff Files/d.md", "raw/人事/e.md"):
        store.put(path, b"x")
    (tmp_path / "objects" / "raw" / "empty").mkdir()
    assert new_prefixes(store, "raw", {"hr"}) == NewPrefixes(("legal", "wiki"), unusable=2)


def test_a_folder_that_cannot_be_listed_hides_no_other(store: ObjectStore) -> None:
    store.put("raw/wiki/a.md", b"x")
    store.put("raw/odd/a.md", b"x")
    folder = Path(store.config.url.removeprefix("file://")) / "raw" / "odd"
    (folder / "a.md").rename(folder / "line\nbreak.md")
    assert new_prefixes(store, "raw", ()).names == ("odd", "wiki")


def test_a_store_that_is_down_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("a file where a folder should be")
    with pytest.raises(ObjectStoreUnavailable):
        new_prefixes(ObjectStore(ObjectStoreConfig((tmp_path / "objects").as_uri())), "raw", ())
