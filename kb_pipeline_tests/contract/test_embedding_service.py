"""What the pipeline relies on in an embedding service, tried on our own server and on a real SGLang alike."""

import base64
import json

import numpy as np
import pytest

from kb_pipeline.core.errors import TextRejected
from kb_pipeline.embedding.answers import shortened, token_counts
from kb_pipeline.embedding.client import EmbeddingClient, ModelInfo
from kb_pipeline.embedding.vectors import truncate_and_renormalise
from kb_pipeline_tests.contract import tiny_model
from kb_pipeline_tests.contract.conftest import Reference, Server

TEXTS = tiny_model.TEXT.read_text(encoding="utf-8").splitlines()
TOO_LONG = " ".join(TEXTS * 4)


def vectors_of(answer: dict) -> np.ndarray:
    return np.array([item["embedding"] for item in answer["data"]], dtype=np.float32)


# Vectors


def test_vectors_equal_those_of_transformers(client: EmbeddingClient, reference: Reference) -> None:
    result = client.embed(TEXTS)
    np.testing.assert_allclose(result.vectors, reference.embed(TEXTS), atol=1e-4)
    assert result.rejected == {}
    assert result.usage.texts == len(TEXTS)


def test_a_text_has_the_same_vector_alone_and_in_a_batch(client: EmbeddingClient) -> None:
    together = client.embed(TEXTS).vectors
    alone = np.concatenate([client.embed([text]).vectors for text in TEXTS[:4]])
    np.testing.assert_allclose(together[:4], alone, atol=1e-4)


def test_the_server_appends_the_end_token_and_counts_it(server: Server, reference: Reference) -> None:
    status, answer = server.post({"model": server.model, "input": TEXTS[0]})
    ids = reference.token_ids(TEXTS[0])
    assert status == 200
    assert ids[-1] == reference.end
    assert answer["usage"]["prompt_tokens"] == len(ids)
    [vector] = vectors_of(answer)
    assert vector @ reference.embed_ids(ids) > 0.9999
    assert vector @ reference.embed_ids(ids[:-1]) < 0.999


def test_a_query_carries_its_instruction(client: EmbeddingClient, reference: Reference) -> None:
    vector = client.embed_query("how do I claim a train ticket", "Find the rule that answers the question")
    [expected] = reference.embed(
        ["Instruct: Find the rule that answers the question\nQuery:how do I claim a train ticket"]
    )
    np.testing.assert_allclose(vector, expected, atol=1e-4)


@pytest.mark.parametrize("dimension", [8, 32, 64])
def test_dimensions_are_our_truncate_and_renormalise(server: Server, dimension: int) -> None:
    _, whole = server.post({"model": server.model, "input": TEXTS})
    status, short = server.post({"model": server.model, "input": TEXTS, "dimensions": dimension})
    assert status == 200
    expected = truncate_and_renormalise(vectors_of(whole), dimension)
    np.testing.assert_allclose(vectors_of(short), expected, atol=1e-5)


def test_base64_is_little_endian_float32(server: Server) -> None:
    _, numbers = server.post({"model": server.model, "input": TEXTS[:2], "encoding_format": "float"})
    status, encoded = server.post({"model": server.model, "input": TEXTS[:2], "encoding_format": "base64"})
    assert status == 200
    for item, expected in zip(encoded["data"], vectors_of(numbers), strict=True):
        row = np.frombuffer(base64.b64decode(item["embedding"]), dtype="<f4")
        np.testing.assert_allclose(row, expected, atol=1e-6)


# Refusals: the status and the words that clients rely on


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dimensions": 0}, "must be greater than 0"),
        ({"dimensions": -1}, "must be greater than 0"),
        ({"dimensions": 512}, "greater than max embedding dimension"),
        ({"dimensions": 17}, "only supports [8, 16, 32, 64, 512]"),
        ({"input": ""}, "cannot be empty"),
        ({"input": "  \n"}, "cannot be empty"),
        ({"input": []}, "cannot be empty"),
        ({"input": [TEXTS[0], " "]}, "index 1 cannot be empty"),
        ({"input": TOO_LONG}, "longer than the model's context length ({context} tokens)"),
        ({"input": [TEXTS[0], TOO_LONG]}, "longer than the model's context length ({context} tokens)"),
        ({"encoding_format": "int8"}, "either 'float' or 'base64'"),
    ],
    ids=[
        "dimensions zero",
        "dimensions negative",
        "dimensions above the model's",
        "dimensions not listed",
        "empty",
        "blank",
        "no texts",
        "one blank in a batch",
        "too long",
        "one too long in a batch",
        "unknown encoding",
    ],
)
def test_bad_input_is_refused_as_a_whole(server: Server, fields: dict, words: str) -> None:
    status, answer = server.post({"model": server.model, "input": TEXTS[0], **fields})
    assert status == 400
    assert words.format(context=server.context) in answer["message"]


@pytest.mark.parametrize(
    "body", [b"not json", b"{}", b'{"input": {"text": "x"}}'], ids=["no JSON", "no input", "object"]
)
def test_what_is_no_request_is_refused(server: Server, body: bytes) -> None:
    assert server.post(body)[0] == 400


def test_the_limit_is_one_token_below_the_context(server: Server, reference: Reference) -> None:
    limit = server.context - 1
    words = "a" + " a" * (limit - server.special_tokens - 1)
    assert len(reference.token_ids(words)) == limit
    assert server.post({"model": server.model, "input": words})[0] == 200
    status, answer = server.post({"model": server.model, "input": words + " a"})
    assert status == 400
    assert token_counts(answer["message"]) == (server.context, server.context)


def test_the_model_field_is_not_checked(server: Server) -> None:
    status, answer = server.post({"model": "another-model", "input": TEXTS[0]})
    assert status == 200
    assert answer["model"] != "another-model"


# Endpoints


def test_health_and_server_info(server: Server) -> None:
    assert server.get("/health")[0] == 200
    assert server.get("/server_info")[0] == 200


def test_models_name_the_context(server: Server) -> None:
    _, body = server.get("/v1/models")
    [card] = json.loads(body)["data"]
    assert (card["id"], card["max_model_len"]) == (server.model, server.context)


# How our client takes all that


def test_probe_reports_model_dimension_and_limit(client: EmbeddingClient, server: Server) -> None:
    assert client.probe() == ModelInfo(server.model, server.dimension, server.context)


def test_a_text_too_long_is_cut_and_keeps_its_end_token(
    client: EmbeddingClient, server: Server, reference: Reference
) -> None:
    result = client.embed([TEXTS[0], TOO_LONG, TEXTS[1]])
    assert (result.usage.truncated, result.rejected) == (1, {})
    np.testing.assert_allclose(result.vectors[[0, 2]], reference.embed(TEXTS[:2]), atol=1e-4)

    text, status = TOO_LONG, 400
    while status == 400:
        status, answer = server.post({"model": server.model, "input": text})
        text = shortened(text, answer["message"]) if status == 400 else text
    ids = reference.token_ids(text)
    assert 0.5 * server.context < len(ids) < server.context
    np.testing.assert_allclose(result.vectors[1], reference.embed_ids(ids), atol=1e-4)


def test_blank_texts_are_rejected_and_cost_no_call(client: EmbeddingClient) -> None:
    result = client.embed(["", TEXTS[0], "\u3000"])
    assert set(result.rejected) == {0, 2}
    assert all(isinstance(error, TextRejected) for error in result.rejected.values())
    assert not result.vectors[[0, 2]].any()
    assert result.usage.calls == 1
