"""Canaries: in every kind of document, whole, and known again however they are written."""

import pytest

from kb_pipeline.auditing.canaries import TELLING, canaries
from kb_pipeline.core.media_type import detect
from kb_pipeline.parsing import parse
from kb_pipeline.settings import ENTITIES

PLANTED = canaries(7, ENTITIES)


def test_every_entity_that_tells_is_planted_and_no_other() -> None:
    assert set(PLANTED.values.values()) == set(TELLING)
    assert set(canaries(7, ["PHONE_NUMBER"]).values.values()) == {"PHONE_NUMBER"}
    assert canaries(8, ENTITIES).values.keys().isdisjoint(PLANTED.values)


@pytest.mark.parametrize("key", PLANTED.documents)
def test_each_document_is_read_and_holds_some(key: str) -> None:
    data = PLANTED.documents[key]
    text = "\n".join(element.text for element in parse(data, detect(data, key)))
    assert sum(PLANTED.found_in(text).values()) > 5


def test_a_value_is_known_again_without_its_groups_and_nothing_else_is() -> None:
    for value, entity in PLANTED.values.items():
        assert PLANTED.found_in(f"x{value.replace(' ', '').replace('-', '')}x").get(entity), value
    assert PLANTED.found_in("员工手册 2026-03-20 13800 13800") == {}
