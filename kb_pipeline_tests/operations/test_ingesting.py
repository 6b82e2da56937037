"""`kb ingest`: what it would do, which names it leaves out, and what it does with documents that were forgotten."""

from __future__ import annotations

import pytest

from kb_pipeline.core.errors import NotFound
from kb_pipeline_tests.operations.conftest import Place

NOTE = "# {0}\n\nWhat {0} is about, said at some length so that it makes a passage of its own.\n"
RUBBISH = {".DS_Store": b"\0\1", ".git/config": "[core]", "Thumbs.db": b"\0", "sub/~$plan.md": "owner"}
LEAVES_OUT = "sources: {hr: {exclude: ['drafts/']}}\n"


def notes(*names: str) -> dict[str, str | bytes]:
    return {f"{name}.md": NOTE.format(name) for name in names}


def test_a_dry_run_says_what_ingesting_then_does(place: Place) -> None:
    folder = place.write("hr", notes("one", "two", "three"))
    place.base.ingest(folder, "hr")
    before = place.objects("hr")
    (folder / "two.md").write_text(NOTE.format("another matter"))
    (folder / "three.md").unlink()
    place.write("hr", {**notes("four"), **RUBBISH})
    plan = place.base.plan_ingest(folder, "hr")
    assert (plan.upload, plan.replace, plan.remove, plan.unchanged) == (["four.md"], ["two.md"], ["three.md"], 1)
    assert sorted(plan.left_out) == sorted(RUBBISH)
    assert plan.bytes_to_upload == sum((folder / name).stat().st_size for name in ("four.md", "two.md"))
    told = place.kb("ingest", str(folder), "--source", "hr", "--dry-run", "--json")
    assert (told.code, told.json["dry_run"], told.json["mirror"]["replace"]) == (0, True, ["two.md"])
    said = place.kb("ingest", str(folder), "--source", "hr", "--dry-run").out
    for line in ("to upload: four.md", "to replace: two.md", "to remove: three.md", "nothing was written"):
        assert line in said
    assert place.objects("hr") == before
    assert place.names("hr") == {"one.md", "two.md", "three.md"}
    done = place.base.ingest(folder, "hr").mirror
    assert (done.uploaded, done.replaced, done.deleted, done.unchanged, done.left_out) == (2, 1, 1, 1, len(RUBBISH))


def test_a_dry_run_does_not_bring_a_removed_source_back(place: Place) -> None:
    folder = place.write("hr", notes("one"))
    place.base.ingest(folder, "hr")
    place.base.remove_source("hr")
    place.base.plan_ingest(folder, "hr")
    assert [source.removed for source in place.base.known_sources()] == [True]


def test_what_is_no_document_is_left_out_and_counted(place: Place) -> None:
    folder = place.write("hr", {**notes("one"), **RUBBISH})
    said = place.kb("ingest", str(folder), "--source", "hr")
    assert f"{len(RUBBISH)} files left out" in said.out
    assert place.objects("hr") == {"one.md"}


def test_a_bucket_is_read_by_the_same_patterns(place: Place) -> None:
    place.configure(LEAVES_OUT)
    raw = place.home / "objects" / "raw" / "hr"
    for name, content in {**notes("one", "drafts/two"), **RUBBISH}.items():
        path = raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (plan,) = place.base.plan("hr")
    assert (plan.add, plan.left_out, plan.held) == (1, 5, 0)
    (report,) = place.base.sync("hr")
    assert report.stages["raw"]["costs"]["object_reads"] == 1
    assert (report.left_out, place.names("hr")) == (5, {"one.md"})
    (again,) = place.base.sync("hr")
    assert (again.runs, again.object_reads, again.left_out) == (0, 0, 5)
    (whole,) = place.base.sync("hr", full=True)
    assert (whole.runs, whole.object_reads) == (0, 0)
    (named,) = place.base.sync("hr", keys=["drafts/two.md", ".git/config"])
    assert named.object_reads == 0
    assert place.names("hr") == {"one.md"}
    assert place.base.verify("hr", deep=True) == []


def test_what_is_in_already_stays_until_someone_confirms(place: Place) -> None:
    folder = place.write("hr", notes("one", "drafts/two", "drafts/three"))
    place.base.ingest(folder, "hr")
    place.configure(LEAVES_OUT)
    (plan,) = place.base.plan("hr")
    assert (plan.held, plan.left_out, plan.delete) == (2, 0, 0)
    assert "2 documents are in although patterns exclude" in " ".join(place.kb("plan", "hr").out.split())
    (folder / "drafts" / "two.md").write_text(NOTE.format("another matter"))
    place.write("hr", notes("drafts/four"))
    done = place.base.ingest(folder, "hr").mirror
    assert (done.replaced, done.left_out, done.held) == (1, 1, 2)
    assert place.names("hr") == {"one.md", "drafts/two.md", "drafts/three.md"}
    (report,) = place.base.sync("hr", full=True)
    assert (report.deleted, report.brake) == (0, None)
    assert place.base.search("another matter", "hr")[0].source_file == "drafts/two.md", "it stays in step"


def test_what_patterns_exclude_goes_once_someone_confirms(place: Place) -> None:
    folder = place.write("hr", notes("one", "drafts/two", "drafts/three"))
    place.base.ingest(folder, "hr")
    place.configure(LEAVES_OUT)
    (report,) = place.base.sync("hr", confirm_deletes=True)
    assert report.deleted == 2
    assert place.names("hr") == {"one.md"}
    assert place.objects("hr") == {"one.md", "drafts/two.md", "drafts/three.md"}, "the source keeps its objects"
    (report,) = place.base.sync("hr", full=True)
    assert (report.runs, place.names("hr")) == (0, {"one.md"})
    place.configure("")
    (report,) = place.base.sync("hr")
    assert place.names("hr") == {"one.md", "drafts/two.md", "drafts/three.md"}, "other patterns, another look"
    place.configure(LEAVES_OUT)
    done = place.base.ingest(folder, "hr", confirm_deletes=True)
    assert (done.mirror.deleted, done.sync.deleted) == (2, 2)
    assert place.objects("hr") == place.names("hr") == {"one.md"}
    assert (folder / "drafts" / "two.md").is_file()


def test_a_forgotten_document_is_said_to_be_and_not_uploaded_again(place: Place) -> None:
    folder = place.write("hr", notes("one", "two"))
    place.base.ingest(folder, "hr")
    gone = place.base.forget("two.md").document_id
    (place.home / "objects" / "raw" / "hr" / "two.md").unlink()
    report = place.base.ingest(folder, "hr").mirror
    assert [(file.name, file.document_id) for file in report.forgotten] == [("two.md", gone)]
    assert (report.uploaded, report.unchanged, place.objects("hr")) == (0, 1, {"one.md"})
    assert place.base.plan_ingest(folder, "hr").forgotten == report.forgotten
    said = " ".join(place.kb("ingest", str(folder), "--source", "hr").out.split())
    assert f"forgotten, so not taken in: two.md (`kb remember {gone}`" in said


@pytest.mark.parametrize("name", ["two.md", "hr/two.md", "ID"])
def test_a_document_that_is_remembered_comes_back(place: Place, name: str) -> None:
    folder = place.write("hr", notes("one", "two"))
    place.base.ingest(folder, "hr")
    gone = place.base.forget("two.md").document_id
    assert [source.forgotten for source in place.base.known_sources()] == [1]
    assert "1 documents are forgotten" in place.kb("source", "list").out
    place.base.sync("hr")
    told = place.kb("remember", gone[:8] if name == "ID" else name, "--json")
    assert (told.code, told.json) == (0, {"document_id": gone, "source_system": "hr"})
    assert [source.forgotten for source in place.base.known_sources()] == [0]
    place.base.sync("hr")
    assert place.names("hr") == {"one.md", "two.md"}
    assert "two.md" in {result.source_file for result in place.base.search("two")}
    assert place.base.verify(deep=True) == []


def test_only_a_forgotten_document_can_be_remembered(place: Place) -> None:
    place.base.ingest(place.write("hr", notes("one")), "hr")
    with pytest.raises(NotFound, match=r"hr/one\.md .* is not forgotten"):
        place.base.remember("one.md")
    with pytest.raises(NotFound, match="no document of that id or name"):
        place.base.remember("two.md")
    assert place.kb("remember", "one.md").code == 3
