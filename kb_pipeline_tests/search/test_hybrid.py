"""Hybrid retrieval: by vector and by word, fused by reciprocal rank."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from kb_pipeline.search.hybrid import MAX_QUERY_WORDS, RRF_K
from kb_pipeline.store.database import Connection
from kb_pipeline.store.published.spaces import lacks_index
from kb_pipeline_tests.search.conftest import Find
from kb_pipeline_tests.support.lines import LineSource

Fill = Callable[..., LineSource]

LINES = ["annual leave is twenty days", "the office opens at nine", "travel needs approval", "the canteen is closed"]


def test_first_in_both_lists_is_first_and_scores_by_reciprocal_rank(fill: Fill, find: Find) -> None:
    fill("hr", a="\n".join(LINES))
    first, *others = find("annual leave", like=LINES[0])
    assert first.content == LINES[0]
    assert first.score == pytest.approx(2 / (RRF_K + 1), abs=1e-6)
    assert [result.rank for result in (first, *others)] == [1, 2, 3, 4]
    assert [result.score for result in others] == sorted((result.score for result in others), reverse=True)


def test_a_word_and_a_meaning_that_point_apart_both_come_before_what_neither_names(fill: Fill, find: Find) -> None:
    fill("hr", a="\n".join(LINES))
    found = [result.content for result in find("canteen", like=LINES[2])]
    assert set(found[:2]) == {LINES[2], LINES[3]}
    assert found[0] == LINES[3], "it is in both lists"


def test_equal_places_go_by_the_word(fill: Fill, find: Find) -> None:
    """One is nearest and has no word, the other has the word and, being one of two, is second nearest."""
    fill("hr", a="alpha\nbeta")
    assert [result.content for result in find("beta", like="alpha")] == ["beta", "alpha"]


def test_a_rare_word_weighs_more_than_frequent_ones(fill: Fill, find: Find) -> None:
    lines = [f"common words number {n}" for n in range(20)]
    fill("hr", a="\n".join([*lines, "zanzibar"]))
    found = find("common words zanzibar", like=lines[3])
    assert [result.content for result in found[:2]] == ["zanzibar", lines[3]], "words of every line count for nothing"
    assert find("zanzibar common", like="zanzibar")[0].content == "zanzibar"


def test_a_word_that_is_everywhere_still_finds_when_there_is_no_other(fill: Fill, find: Find) -> None:
    fill("hr", a="\n".join(f"policy {n}" for n in range(10)))
    assert len(find("policy")) == 10


def test_a_search_keeps_to_its_sources(fill: Fill, find: Find) -> None:
    fill("hr", a="annual leave")
    fill("wiki", b="annual leave")
    fill("contracts", c="annual leave and more")
    assert {result.source_system for result in find("annual leave")} == {"hr", "wiki", "contracts"}
    assert [result.source_system for result in find("annual leave", sources=["wiki"])] == ["wiki"]
    assert {result.source_system for result in find("annual leave", sources=["wiki", "hr"])} == {"hr", "wiki"}
    assert find("annual leave", sources=["nowhere"]) == []


def test_a_filter_does_not_cost_results_among_many_of_another_source(
    fill: Fill, find: Find, reader: Connection
) -> None:
    """The index gives the nearest of all sources, and goes on until enough of them are of the right one."""
    fill("large", **{f"d{n}": "\n".join(f"line {n} {m} of many" for m in range(100)) for n in range(10)})
    fill("small", a="\n".join(f"needle {n}" for n in range(10)))
    assert not lacks_index(reader, LineSource(reader, None, None).space())  # type: ignore[arg-type]
    reader.execute("SET enable_sort = off")  # over so few rows the planner would sort them all, and leave the index
    assert len(find("nothing of that", sources=["small"])) == 10


def test_a_deleted_document_is_not_found(fill: Fill, find: Find, connection: Connection) -> None:
    """Its rows go with it; were any left, nobody would see them."""
    fill("hr", a="annual leave", b="annual leave of others")
    connection.execute("UPDATE kb.document SET deleted_at = now() WHERE key = 'a.txt'")
    assert [result.content for result in find("annual leave")] == ["annual leave of others"]


def test_where_the_model_does_not_know_the_language_words_decide(fill: Fill, find: Find) -> None:
    """One has the rarer word, the other is nearest and has the word that both have."""
    rare, near = "zanzibar holiday", "holiday plan"
    fill("hr", a="\n".join([rare, near, *(f"line {n}" for n in range(40))]))
    assert find(rare, like=near)[0].content == near
    assert find(rare, like=near, knows=False)[0].content == rare


def test_only_so_many_words_of_a_query_are_looked_up(fill: Fill, find: Find) -> None:
    """Each costs a scan of its own: a page of text put as a query must not take minutes."""
    lines = [f"line {n}" for n in range(60)]
    fill("hr", a="\n".join([*lines, "needle"]))
    others = ["".join(pair) for pair in itertools.product("bcdfg", "hjklm", "npqrs")][:MAX_QUERY_WORDS]
    within = find(" ".join([*others[1:], "needle"]), like=lines[0], limit=60)
    beyond = find(" ".join([*others, "needle"]), like=lines[0], limit=60)
    assert next(result.rank for result in within if result.content == "needle") == 1
    assert [result.rank for result in beyond if result.content == "needle"] != [1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("住房公积金", "住房公积金按月缴纳"),
        ("公积金怎么缴纳？", "住房公积金按月缴纳"),
        ("年假", "员工每年有十天年假"),
        ("ＶＰＮ", "远程办公使用VPN连接"),
        ("VPN连接", "远程办公使用VPN连接"),
    ],
)
def test_chinese_words_are_found_by_themselves(fill: Fill, find: Find, query: str, expected: str) -> None:
    """The vector points at another line: only the words can find it."""
    lines = ["住房公积金按月缴纳", "员工每年有十天年假", "远程办公使用VPN连接", "食堂周末不开放", "加班需要经理批准"]
    fill("hr", a="\n".join(lines))
    found = [result.content for result in find(query, like="食堂周末不开放")]
    assert expected in found[:2]


@pytest.mark.parametrize(
    "query",
    [
        "'quoted' \"twice\"",
        "back\\slash \\' \\\\",
        "a & b | !c <-> d:* (e)",
        "'; DROP TABLE kb.chunk; --",
        "😀 emoji 👍🏽",
        "%s %(text)s {vectors} $1 ?",
        "\t\n  ",
        "...!!!",
        "a\u200bb\ufeffc",
        "l'été naïve ﬁnance",
        "word " * 20_000,
        "字" * 10_000,
        "x" * 50_000,
    ],
    ids=lambda query: repr(query[:20]),
)
def test_any_query_is_only_a_query(fill: Fill, find: Find, query: str) -> None:
    fill("hr", a="\n".join(LINES))
    assert len(find(query, like=LINES[0])) == 4
    assert find(query, like=LINES[0])[0].content == LINES[0]


def test_an_empty_knowledge_base_has_no_answers(find: Find) -> None:
    assert find("anything") == []


def test_a_limit_above_what_there_is_gives_all_and_one_below_the_best(fill: Fill, find: Find) -> None:
    fill("hr", a="\n".join(LINES))
    assert len(find("annual", limit=200)) == 4
    assert [result.content for result in find("annual leave", like=LINES[0], limit=1)] == [LINES[0]]


def test_a_limit_above_the_usual_candidates_is_met(fill: Fill, find: Find) -> None:
    fill("hr", a="\n".join(f"line {n}" for n in range(300)))
    assert len(find("nothing", limit=150)) == 150


def test_a_result_says_where_it_stands(fill: Fill, find: Find) -> None:
    fill("hr", handbook="annual leave")
    (result,) = find("annual leave")
    assert (result.source_system, result.source_file) == ("hr", "handbook.txt")
    assert (result.page_start, result.section_path) == (None, ())
