"""all-MiniLM-L6-v2 in onnxruntime: the vectors of sentence-transformers, from a graph that ONNX's own tools accept."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from kb_pipeline.local.embedding_model import LocalModel, find_model
from kb_pipeline.local.runtimes import minilm_graph
from kb_pipeline.local.runtimes.minilm import MiniLM, weights_of
from kb_pipeline.settings import DEFAULT_MODEL
from kb_pipeline_tests.support.extras import needs_models

TEXTS = [
    "The quick brown fox jumps over the lazy dog. " * 12,
    "short",
    "数据库备份 and restore, naïve café, ＦＵＬＬ width",
    "Ünïcödé [SEP] [MASK] tokens\tand\nlines",
    "far beyond the limit of tokens " * 100,
    *(f"sentence {i} " + "and so on " * i for i in range(20)),
]


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM(find_model(DEFAULT_MODEL, None))


@needs_models
def test_vectors_are_those_of_sentence_transformers(model: MiniLM) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(find_model(DEFAULT_MODEL, None)), device="cpu")
    ours = LocalModel(DEFAULT_MODEL, model).embed(TEXTS)
    np.testing.assert_allclose(ours, theirs.encode(TEXTS, normalize_embeddings=True), atol=1e-5)
    assert (model.dimension, model.context) == (theirs.get_embedding_dimension(), theirs.max_seq_length)
    uncut = theirs.tokenizer(TEXTS, truncation=False, padding=False, verbose=False)["input_ids"]
    assert model.count_tokens(TEXTS) == [len(ids) for ids in uncut]


def test_a_text_has_one_vector_whatever_stands_beside_it(model: MiniLM) -> None:
    together = model.encode(TEXTS[:4])
    for text, vector in zip(TEXTS[:4], together, strict=True):
        np.testing.assert_allclose(model.encode([text])[0], vector, atol=1e-6)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_the_graph_is_valid_onnx_and_holds_no_weights() -> None:
    graph = minilm_graph.build(weights_of(find_model(DEFAULT_MODEL, None)))
    assert len(graph) < 50_000
    parsed = onnx.load_model_from_string(graph)
    onnx.shape_inference.infer_shapes(parsed, check_type=True, strict_mode=True)
    assert [(value.name, value.type.tensor_type.elem_type) for value in parsed.graph.input] == [("ids", 7), ("mask", 7)]
    assert [node.op_type for node in parsed.graph.node].count("Softmax") == 6
    outside = [tensor for tensor in parsed.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    assert sum(np.prod(tensor.dims) for tensor in outside) == 22_713_216 - 147_840  # all but the pooler's
