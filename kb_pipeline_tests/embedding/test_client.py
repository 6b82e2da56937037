"""The client on good days: order, batches, queries, addresses."""

import itertools

import numpy as np
import pytest

from kb_pipeline.core.errors import EmbeddingUnavailable, SettingsError
from kb_pipeline.embedding.client import EmbeddingClient, ModelInfo
from kb_pipeline.embedding.vectors import unit
from kb_pipeline_tests.embedding.conftest import DIMENSION, FaultyServer, Reply, answer, refusal, vector_of

TEXTS = [f"text {i} " + "x" * (i * 7 % 40) for i in range(50)]


def expected(texts: list[str]) -> np.ndarray:
    return unit(np.stack([vector_of(text) for text in texts]))


def test_row_i_is_the_unit_vector_of_text_i(server: FaultyServer) -> None:
    result = EmbeddingClient([server.url], "m", batch_texts=8, concurrency=3).embed(TEXTS)
    np.testing.assert_allclose(result.vectors, expected(TEXTS), atol=1e-6)
    assert result.vectors.dtype == np.float32
    assert (result.usage.calls, result.usage.texts, result.usage.tokens) == (7, 50, 50)


def test_batches_hold_texts_of_similar_length(server: FaultyServer) -> None:
    EmbeddingClient([server.url], "m", batch_texts=10, concurrency=1).embed(TEXTS)
    lengths = [[len(text) for text in batch] for batch in server.batches]
    assert [len(batch) for batch in lengths] == [10] * 5
    assert all(min(one) >= max(next_one) for one, next_one in itertools.pairwise(lengths))


def test_no_texts_cost_no_call(server: FaultyServer) -> None:
    result = EmbeddingClient([server.url], "m").embed([])
    assert len(result.vectors) == 0
    assert server.batches == []


def test_several_servers_share_the_work(server: FaultyServer, second_server: FaultyServer) -> None:
    result = EmbeddingClient([server.url, second_server.url + "/v1"], "m", batch_texts=5).embed(TEXTS)
    np.testing.assert_allclose(result.vectors, expected(TEXTS), atol=1e-6)
    assert len(server.batches) == len(second_server.batches) == 5


def test_a_query_with_an_instruction_is_worded_as_the_model_was_trained(server: FaultyServer) -> None:
    client = EmbeddingClient([server.url], "m")
    vector = client.embed_query("train tickets", "Find the rule")
    assert vector.shape == (DIMENSION,)
    client.embed_query("train tickets")
    assert server.batches == [["Instruct: Find the rule\nQuery:train tickets"], ["train tickets"]]


def test_the_api_key_is_sent(server: FaultyServer) -> None:
    EmbeddingClient([server.url], "m", api_key="k").embed(["a"])
    assert server.headers[0]["authorization"] == "Bearer k"


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert EmbeddingClient([server.url], "m", max_retries=0).embed(["a"]).usage.texts == 1


def test_what_is_meant_for_another_service_is_not_sent(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "elsewhere")
    EmbeddingClient([server.url], "m").embed(["a"])
    assert "elsewhere" not in str(server.headers)


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(EmbeddingUnavailable) as error:
        EmbeddingClient(["http://user:secret@127.0.0.1:9"], "m", max_retries=0).probe()
    assert "http://127.0.0.1:9" in str(error.value)
    assert "secret" not in str(error.value)


def test_probe_reports_what_is_served(server: FaultyServer) -> None:
    server.models = Reply(200, {"object": "list", "data": [{"id": "org/M", "object": "model", "max_model_len": 512}]})
    assert EmbeddingClient([server.url], "m").probe() == ModelInfo("m", DIMENSION, 512)


def test_probe_does_without_a_list_of_models(server: FaultyServer) -> None:
    server.models = refusal("no such page", 404)
    assert EmbeddingClient([server.url], "m").probe() == ModelInfo("m", DIMENSION, None)


def test_probe_refuses_a_server_of_another_model(server: FaultyServer) -> None:
    with pytest.raises(SettingsError, match=r"serves m, not other.*embedding\.model"):
        EmbeddingClient([server.url], "other").probe()


def test_probe_refuses_servers_of_two_dimensions(server: FaultyServer, second_server: FaultyServer) -> None:
    second_server.respond = lambda texts: answer(texts, [np.ones(DIMENSION + 1) for _ in texts])
    with pytest.raises(SettingsError, match=r"8.*9|9.*8"):
        EmbeddingClient([server.url, second_server.url], "m", max_retries=0).probe()


def test_probe_names_the_address_that_does_not_answer() -> None:
    with pytest.raises(EmbeddingUnavailable, match=r"http://127\.0\.0\.1:9 .*embedding\.urls.*kb up"):
        EmbeddingClient(["http://127.0.0.1:9"], "m", max_retries=0).probe()


def test_probe_needs_one_server_of_several(server: FaultyServer) -> None:
    client = EmbeddingClient(["http://127.0.0.1:9", server.url], "m", max_retries=0)
    assert client.probe().dimension == DIMENSION


def test_no_address_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(SettingsError, match=r"embedding\.urls"):
        EmbeddingClient([], "m")
