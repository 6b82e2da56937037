"""Searches: of the source that was asked, masked as that source masks, and by words while the model is away."""

from __future__ import annotations

import pytest

from kb_pipeline.core.errors import EmbeddingUnavailable, SettingsError
from kb_pipeline_tests.operations.conftest import Place

LEAVE = "# Leave\n\nAnnual leave is asked for two weeks before it begins.\n"
TRAVEL = "# Travel\n\nTrains are booked by the office, flights by whoever flies.\n"
MOBILE = "13800138000"


def test_a_search_of_one_source_finds_nothing_of_another(place: Place) -> None:
    place.base.ingest(place.folder("wiki", leave=LEAVE), "wiki")
    place.base.ingest(place.folder("hr", other=LEAVE, travel=TRAVEL), "hr")
    everywhere = place.base.search("annual leave")
    assert {result.source_system for result in everywhere} == {"hr", "wiki"}
    found = place.base.search("annual leave", "hr")
    assert {result.source_system for result in found} == {"hr"}
    assert found[0].source_file == "other.md"


def test_the_model_is_asked_as_the_source_in_scope_masks(place: Place) -> None:
    place.configure("sources:\n  crm: {masking: {PHONE_NUMBER: keep}}\n  hr: {}\n")
    place.base.ingest(place.folder("crm", a=LEAVE), "crm")
    place.base.ingest(place.folder("hr", a=TRAVEL), "hr")
    for source, asked in (("crm", MOBILE), ("hr", "<PHONE_NUMBER>"), (None, "<PHONE_NUMBER>")):
        place.base.search(f"call {MOBILE}", source)
        assert place.stub.texts[-1] == f"call {asked}"


def test_a_model_of_another_dimension_is_an_error_that_names_both(place: Place) -> None:
    place.base.ingest(place.folder("hr", a=LEAVE), "hr")
    place.stub.dimension = 16
    with pytest.raises(EmbeddingUnavailable, match=r"answers with 16 dimensions.*was filled with 32"):
        place.base.search("annual leave")
    assert place.kb("search", "annual leave").code == 4


def test_while_the_model_is_down_words_answer_and_it_is_said(place: Place) -> None:
    place.base.ingest(place.folder("hr", leave=LEAVE, travel=TRAVEL), "hr")
    well = place.base.search("annual leave")
    assert (well.answered_by, well.reason) == ("meaning and words", "")
    place.stub.down_after = 0
    found = place.base.search("annual leave")
    assert [result.source_file for result in found] == ["leave.md"], "the vector list is left out"
    assert found.answered_by == "words"
    assert place.stub.url.removesuffix("/v1") in found.reason
    said = place.kb("search", "annual leave")
    assert said.code == 0
    assert "leave.md" in said.out
    assert "Answered by words alone" in said.err
    told = place.kb("search", "annual leave", "--json")
    assert (told.code, told.json["answered_by"], told.json["reason"]) == (0, "words", found.reason)


def test_a_server_of_another_model_is_no_server_that_is_down(place: Place) -> None:
    place.base.ingest(place.folder("hr", leave=LEAVE), "hr")
    place.stub.faults[""] = 404
    with pytest.raises(SettingsError, match="embedding server"):
        place.base.search("annual leave")
