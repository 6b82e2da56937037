"""The client on bad days: what is tried again, what is split, what is given up, and that no text is repeated."""

import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kb_pipeline.core.errors import EmbeddingUnavailable, SettingsError, TextRejected, TextUnanswered
from kb_pipeline.embedding.client import EmbeddingClient
from kb_pipeline.embedding.servers import Servers
from kb_pipeline.embedding.troubles import LEAST_PATIENCE_SECONDS, Pace, wait_seconds
from kb_pipeline.embedding.vectors import unit
from kb_pipeline_tests.embedding.conftest import (
    DIMENSION,
    FaultyServer,
    Reply,
    answer,
    faulty_server,
    refusal,
    vector_of,
)

SECRET = "zebra-crossing"
TEXTS = [f"text {i:02}" for i in range(16)]


def client_of(*servers: FaultyServer, **options: float) -> EmbeddingClient:
    return EmbeddingClient([server.url for server in servers], "m", **{"max_retries": 2, **options})


def refuse_texts_with(word: str, reply: Reply):
    return lambda texts: reply if any(word in text for text in texts) else answer(texts)


# Tried again


@pytest.mark.parametrize(
    "reply",
    [
        refusal("overloaded", 500),
        refusal("bad gateway", 502),
        refusal("busy", 429),
        Reply(200, b"<html>"),
        Reply(200, {"data": "none"}),
        answer(["one too", "many"], [np.ones(DIMENSION)] * 2),
        Reply(200, {"data": [{"index": 0, "embedding": "AAAA"}]}),
    ],
    ids=["500", "502", "429", "no JSON", "no list", "too many", "no vector"],
)
def test_a_passing_fault_is_tried_again(server: FaultyServer, reply: Reply) -> None:
    server.fail_first(reply, times=2)
    result = client_of(server).embed(["a"])
    np.testing.assert_allclose(result.vectors, unit(vector_of("a")[None]), atol=1e-6)
    assert len(server.batches) == 3


def test_an_answer_that_does_not_come_is_tried_again(server: FaultyServer) -> None:
    server.fail_first(Reply(200, {}, delay=0.6), times=1)
    assert client_of(server, timeout_seconds=0.2).embed(["a"]).usage.texts == 1


def test_retry_after_is_obeyed(server: FaultyServer) -> None:
    server.fail_first(Reply(429, {}, {"Retry-After": "0.4"}), times=1)
    began = time.monotonic()
    client_of(server).embed(["a"])
    assert time.monotonic() - began >= 0.4


def test_pauses_double_up_to_a_limit_and_jitter_shortens_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb_pipeline.embedding.troubles.FIRST_WAIT_SECONDS", 0.5)
    assert [wait_seconds(attempt, None, 0.0) for attempt in range(4)] == [0.5, 1.0, 2.0, 4.0]
    assert wait_seconds(100, None, 0.0) == 30.0
    assert wait_seconds(0, None, 0.999) == pytest.approx(0.25, abs=0.001)
    assert wait_seconds(0, 7.0, 0.5) == 7.0
    assert wait_seconds(0, 3600.0, 0.5) == 30.0


def test_another_server_takes_over(server: FaultyServer, second_server: FaultyServer) -> None:
    server.respond = lambda _: refusal("down", 503)
    result = client_of(server, second_server, batch_texts=2).embed(TEXTS)
    assert result.usage.texts == 16
    assert len(server.batches) < 8


def test_a_server_that_is_gone_is_passed_over(server: FaultyServer) -> None:
    client = EmbeddingClient(["http://127.0.0.1:9", server.url], "m", max_retries=0, batch_texts=4)
    assert client.embed(TEXTS).usage.texts == 16


def test_a_server_that_answers_again_has_its_turns_back_before_its_rest_is_over(
    server: FaultyServer, second_server: FaultyServer
) -> None:
    server.fail_first(Reply(503, {}, {"Retry-After": "30"}), times=1)
    servers = Servers([server.url, second_server.url], "m", None, timeout=5.0, max_retries=2)
    for text in ("a", "b"):
        servers.embed([text])
    assert (server.batches, second_server.batches) == ([["a"]], [["a"], ["b"]]), "it rests, as it asked to"
    servers.embed(["c"], url=server.url)
    for text in ("d", "e"):
        servers.embed([text])
    assert (server.batches, second_server.batches) == ([["a"], ["c"], ["d"]], [["a"], ["b"], ["e"]])
    servers.close()


# Given up


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (refusal("down", 503), "HTTP 503"),
        (refusal("busy", 429), "HTTP 429"),
        (Reply(200, b"<html>"), "no list of embeddings"),
        (Reply(200, {}, delay=0.3), "no answer in time"),
        (answer(["x", "y"], [np.ones(3)] * 2), "2 vectors"),
    ],
    ids=["503", "429", "no JSON", "hang", "wrong number"],
)
def test_a_service_that_stays_away_ends_the_call_with_one_clear_error(
    server: FaultyServer, reply: Reply, what: str
) -> None:
    server.respond = lambda _: reply
    with pytest.raises(EmbeddingUnavailable, match=rf"{server.url}.*embedding\.urls.*{what}.*sync again"):
        client_of(server, timeout_seconds=0.1, max_retries=1, batch_texts=2).embed([SECRET, *TEXTS])


def test_the_next_call_after_giving_up_starts_afresh(server: FaultyServer) -> None:
    client = client_of(server, max_retries=1)
    server.respond = lambda _: refusal("down", 503)
    with pytest.raises(EmbeddingUnavailable):
        client.embed(TEXTS)
    server.batches.clear()
    server.fail_first(refusal("down", 503), times=1)
    assert client.embed(TEXTS).usage.texts == 16


@pytest.mark.parametrize(
    ("status", "setting"),
    [(401, "KB_EMBEDDING_API_KEY"), (403, "KB_EMBEDDING_API_KEY"), (404, "embedding.model")],
)
def test_a_wrong_key_or_model_is_a_mistake_in_the_settings(server: FaultyServer, status: int, setting: str) -> None:
    server.respond = lambda _: refusal("no", status)
    with pytest.raises(SettingsError, match=setting):
        client_of(server).embed(TEXTS)
    assert len(server.batches) == 1


def test_a_server_that_refuses_every_text_is_blamed_not_the_texts(server: FaultyServer) -> None:
    server.respond = lambda _: refusal("This model does not appear to be an embedding model")
    with pytest.raises(SettingsError, match=r"refuses every text.*--is-embedding"):
        client_of(server).embed(TEXTS)


def test_a_model_that_returns_nothing_usable_is_blamed_not_the_texts(server: FaultyServer) -> None:
    server.respond = lambda texts: answer(texts, [np.full(DIMENSION, np.nan)] * len(texts))
    with pytest.raises(SettingsError, match=r"no usable vector.*bfloat16"):
        client_of(server).embed(TEXTS)


# One bad text costs itself alone


@pytest.mark.parametrize("status", [400, 422])
def test_a_text_that_is_refused_is_isolated(server: FaultyServer, status: int) -> None:
    message = f"cannot take {SECRET}"
    server.respond = refuse_texts_with(SECRET, refusal(message, status))
    texts = [*TEXTS[:9], SECRET, *TEXTS[9:]]
    result = client_of(server).embed(texts)
    assert list(result.rejected) == [9]
    assert isinstance(result.rejected[9], TextRejected)
    good = [i for i in range(17) if i != 9]
    np.testing.assert_allclose(result.vectors[good], unit(np.stack([vector_of(t) for t in TEXTS])), atol=1e-6)
    assert not result.vectors[9].any()
    assert result.usage.texts == 16


EACH_FAULT = {
    "500": (refusal("assertion failed", 500), "unanswered"),
    "HTML": (Reply(200, b"<html>"), "rejected"),
    "no list": (Reply(200, {"data": "none"}), "rejected"),
    "no vector": (Reply(200, {"data": []}), "rejected"),
    "wrong length": (answer(["x"], [np.ones(3)]), "rejected"),
    "429": (refusal("busy", 429), "unanswered"),
    "502": (refusal("bad gateway", 502), "unanswered"),
    "503": (refusal("starting", 503), "unanswered"),
    "504": (refusal("gateway timeout", 504), "unanswered"),
    "hang": (Reply(200, {}, delay=0.4), "unanswered"),
    "closed": (Reply(0), "unanswered"),
}


@pytest.mark.parametrize("fault", EACH_FAULT)
def test_what_is_wrong_with_one_text_every_time_costs_that_one_alone(server: FaultyServer, fault: str) -> None:
    """Rejected when there is an answer and it is of no use: another one would be no better. Unanswered when there is
    none: nobody has said anything about this text yet."""
    reply, becomes = EACH_FAULT[fault]
    server.respond = refuse_texts_with(SECRET, reply)
    client = client_of(server, timeout_seconds=0.2)
    client.probe()
    result = client.embed([*TEXTS[:9], SECRET, *TEXTS[9:]])
    assert {"rejected": list(result.rejected), "unanswered": list(result.unanswered)}[becomes] == [9]
    assert len(result.rejected) + len(result.unanswered) == 1
    assert result.usage.texts == 16
    good = [i for i in range(17) if i != 9]
    np.testing.assert_allclose(result.vectors[good], unit(np.stack([vector_of(t) for t in TEXTS])), atol=1e-6)
    said = [*result.rejected.values(), *result.unanswered.values()]
    assert all(SECRET not in str(error) and error.remedy for error in said)
    assert isinstance(said[0], TextRejected if becomes == "rejected" else TextUnanswered)


def test_texts_that_hang_cost_the_time_limit_once(server: FaultyServer) -> None:
    """The first one shows that it is the texts; from then on patience is made of what good answers take."""
    server.respond = refuse_texts_with(SECRET, Reply(200, {}, delay=4.0))
    texts = [f"{SECRET} {n}" if n < 3 else f"text {n}" for n in range(80)]
    client = client_of(server, timeout_seconds=3.0, batch_texts=16, concurrency=1, max_retries=4)
    client.probe()
    began = time.monotonic()
    result = client.embed(texts)
    spent = time.monotonic() - began
    assert sorted(result.unanswered) == [0, 1, 2]
    assert result.usage.texts == 77
    naive = 3 * 5 * 3.0  # each text with each retry at the limit
    assert spent < naive / 2


def test_patience_follows_what_others_took() -> None:
    pace = Pace()
    assert pace.patience(["x" * 100]) == LEAST_PATIENCE_SECONDS
    pace.add(0.1, ["word"])
    pace.add(0.5, ["x" * 500, "x" * 500])
    assert pace.patience(["word"]) == pytest.approx(5.0), "ten times the slowest"
    assert pace.patience(["x" * 3000]) == pytest.approx(15.0), "a larger request is given more"


def test_a_service_that_hangs_is_given_up_after_two_time_limits(server: FaultyServer) -> None:
    """One for the texts, one for a plain word: not one for each retry."""
    client = client_of(server, timeout_seconds=0.3, max_retries=4, concurrency=1)
    client.probe()
    server.batches.clear()
    server.respond = lambda _: Reply(200, {}, delay=1.0)
    with pytest.raises(EmbeddingUnavailable, match="no answer in time"):
        client.embed(TEXTS)
    assert len(server.batches) == 2


def test_many_failing_texts_are_not_each_waited_for_as_long_as_the_first(server: FaultyServer) -> None:
    server.respond = refuse_texts_with(SECRET, refusal("assertion failed", 500))
    client = client_of(server, batch_texts=4, concurrency=1, max_retries=6)
    client.embed([SECRET + "0", "a", "b", "c"])
    first = len(server.batches)
    client.embed([SECRET + "1", "d", "e", "f"])
    assert len(server.batches) - first <= first - 5


def test_a_search_whose_text_is_not_answered_says_so(server: FaultyServer) -> None:
    server.respond = refuse_texts_with(SECRET, refusal("busy", 429))
    with pytest.raises(TextUnanswered, match="HTTP 429"):
        client_of(server).embed_query(SECRET)


def test_the_first_call_waits_for_a_service_that_comes_up() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    client = EmbeddingClient([f"http://127.0.0.1:{port}"], "m", max_retries=10)
    with ThreadPoolExecutor(1) as other:
        found = other.submit(client.probe)
        time.sleep(0.05)
        with faulty_server(port):
            assert found.result(timeout=30).dimension == DIMENSION


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_a_text_without_a_usable_vector_is_tried_alone_then_rejected(server: FaultyServer, bad: float) -> None:
    server.respond = lambda texts: answer(
        texts, [np.full(DIMENSION, bad) if SECRET in text else vector_of(text) for text in texts]
    )
    result = client_of(server).embed([*TEXTS, SECRET])
    assert list(result.rejected) == [16]
    assert server.batches.count([SECRET]) == 1
    assert result.usage.texts == 16


def test_a_vector_spoilt_by_its_neighbours_is_mended_alone(server: FaultyServer) -> None:
    server.respond = lambda texts: answer(
        texts, [np.full(DIMENSION, np.nan) if len(texts) > 1 else vector_of(text) for text in texts]
    )
    result = client_of(server).embed(TEXTS)
    assert result.rejected == {}
    np.testing.assert_allclose(result.vectors, unit(np.stack([vector_of(t) for t in TEXTS])), atol=1e-6)


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("names_counts", [True, False])
def test_texts_too_long_are_cut_until_they_fit(server: FaultyServer, names_counts: bool, status: int) -> None:
    limit = 40

    def respond(texts: list[str]) -> Reply:
        longest = max(len(text) for text in texts)
        if longest < limit:
            return answer(texts)
        counts = f"The input ({longest} tokens) is longer than the model's context length ({limit} tokens)."
        return refusal(counts if names_counts else "the input is too long", status)

    server.respond = respond
    result = client_of(server).embed(["a", "b" * 39, "c" * 40, "d" * 1000])
    assert (result.rejected, result.usage.truncated, result.usage.texts) == ({}, 2, 4)
    sent = [batch[0] for batch in server.batches if len(batch) == 1]
    assert max(len(text) for text in sent if text[0] == "c" and len(text) < limit) > 10
    np.testing.assert_allclose(np.linalg.norm(result.vectors, axis=1), 1.0, atol=1e-6)


def test_a_text_that_no_cut_makes_fit_is_rejected(server: FaultyServer) -> None:
    server.respond = refuse_texts_with("x", refusal("the input is too long"))
    result = client_of(server).embed(["xxxxxxxx", "a"])
    assert list(result.rejected) == [0]


def test_texts_that_cannot_be_sent_are_rejected_without_a_call(server: FaultyServer) -> None:
    result = client_of(server).embed(["", " \n\u3000", "half \ud83d", "a"])
    assert set(result.rejected) == {0, 1, 2}
    assert server.batches == [["a"]]


# No text is repeated


def test_no_text_reaches_a_message_or_the_log(server: FaultyServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.respond = refuse_texts_with(SECRET, refusal(f"invalid: {SECRET}"))
    client = client_of(server, max_retries=1)
    rejection = client.embed([*TEXTS, SECRET]).rejected[16]
    server.respond = refuse_texts_with(SECRET, refusal(f"crashed on {SECRET}", 500))
    failure = client.embed([*TEXTS, SECRET]).unanswered[16]
    server.respond = lambda texts: refusal(f"invalid: {texts}", 503)
    with pytest.raises(EmbeddingUnavailable) as unavailable:
        client.embed([SECRET])
    said = " ".join([str(rejection), str(failure), str(unavailable.value), repr(unavailable.value), caplog.text])
    assert SECRET not in said
    assert "HTTP 503" in said
