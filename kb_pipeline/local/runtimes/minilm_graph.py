"""all-MiniLM-L6-v2 as a graph of standard ONNX operators: a BERT of six layers, mean pooling, unit length.

The graph names the weights as the model's file does and holds none of them. They stay as they lie in that file, so that
it can be mapped: Gemm reads a matrix of the shape (out, in) without transposing it first.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kb_pipeline.local.runtimes import onnx_format
from kb_pipeline.local.runtimes.onnx_format import Place

DIMENSION = 384
LAYERS = 6
HEADS = 12
_EPSILON = 1e-12
_MASKED = -1e9  # added to the score of padding; softmax makes zero of it
_IDS = np.dtype(np.int64)
_NUMBERS = np.dtype(np.float32)


def build(places: Mapping[str, Place]) -> bytes:
    """The graph: inputs `ids` and `mask` (texts, tokens) int64, output `vectors` (texts, 384) float32 at unit length.

    `places` says where each weight lies, by the name it has in the model's file.
    """
    graph = _Graph(places)
    hidden = _embeddings(graph)
    for layer in range(LAYERS):
        hidden = _layer(graph, hidden, f"encoder.layer.{layer}.")
    _pool(graph, hidden)
    return onnx_format.model(
        graph.nodes,
        graph.tensors,
        [onnx_format.value(name, ("texts", "tokens"), _IDS) for name in ("ids", "mask")],
        [onnx_format.value("vectors", ("texts", DIMENSION), _NUMBERS)],
    )


class _Graph:
    """Nodes and tensors so far. What a method takes and returns are names of tensors."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self.nodes: list[bytes] = []
        self.tensors: list[bytes] = []
        self._places = places

    def op(self, kind: str, *inputs: str, output: str = "", **attributes: onnx_format.Attribute) -> str:
        name = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(onnx_format.node(kind, inputs, name, **attributes))
        return name

    def weight(self, name: str) -> str:
        self.tensors.append(onnx_format.in_file(name, self._places[name]))
        return name

    def integers(self, *values: int) -> str:
        name = f"integers_{len(self.tensors)}"
        self.tensors.append(onnx_format.constant(name, values, np.int64))
        return name

    def number(self, value: float) -> str:
        name = f"number_{len(self.tensors)}"
        self.tensors.append(onnx_format.constant(name, value, np.float32))
        return name

    def linear(self, x: str, name: str) -> str:
        return self.op("Gemm", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), transB=1)

    def normalised(self, x: str, name: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=_EPSILON)


def _embeddings(graph: _Graph) -> str:
    """What the layers begin with, (texts * tokens, 384). Besides, three tensors by name that all layers use:
    `by_head` and `by_token` are shapes, `masked` (texts, 1, 1, tokens) is added to scores."""
    size = graph.op("Shape", "ids")
    graph.op("Concat", size, graph.integers(HEADS, DIMENSION // HEADS), output="by_head", axis=0)
    graph.op("Concat", size, graph.integers(DIMENSION), output="by_token", axis=0)
    graph.op("Cast", "mask", output="present", to=1)  # float32
    absent = graph.op("Sub", graph.number(1.0), "present")
    scores = graph.op("Mul", absent, graph.number(_MASKED))
    graph.op("Unsqueeze", scores, graph.integers(1, 2), output="masked")

    words = graph.op("Gather", graph.weight("embeddings.word_embeddings.weight"), "ids")
    tokens = graph.op("Shape", "ids", start=1, end=2)
    places = graph.weight("embeddings.position_embeddings.weight")
    places = graph.op("Slice", places, graph.integers(0), tokens, graph.integers(0))
    kind = graph.op("Gather", graph.weight("embeddings.token_type_embeddings.weight"), graph.integers(0))
    summed = graph.op("Add", graph.op("Add", words, places), kind)
    flat = graph.op("Reshape", summed, graph.integers(-1, DIMENSION))
    return graph.normalised(flat, "embeddings.LayerNorm")


def _layer(graph: _Graph, x: str, name: str) -> str:
    attention = graph.linear(_attention(graph, x, f"{name}attention.self."), f"{name}attention.output.dense")
    x = graph.normalised(graph.op("Add", attention, x), f"{name}attention.output.LayerNorm")
    inner = graph.op("Gelu", graph.linear(x, f"{name}intermediate.dense"))
    return graph.normalised(graph.op("Add", graph.linear(inner, f"{name}output.dense"), x), f"{name}output.LayerNorm")


def _attention(graph: _Graph, x: str, name: str) -> str:
    query, key, value = (
        graph.op("Transpose", graph.op("Reshape", graph.linear(x, f"{name}{part}"), "by_head"), perm=order)
        for part, order in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3)))
    )
    each = graph.number((DIMENSION // HEADS) ** -0.5)
    scores = graph.op("Add", graph.op("Mul", graph.op("MatMul", query, key), each), "masked")
    seen = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), value)
    return graph.op("Reshape", graph.op("Transpose", seen, perm=(0, 2, 1, 3)), graph.integers(-1, DIMENSION))


def _pool(graph: _Graph, x: str) -> None:
    """The mean over the tokens of each text, padding left out, at unit length."""
    present = graph.op("Unsqueeze", "present", graph.integers(2))
    counted = graph.op("Mul", graph.op("Reshape", x, "by_token"), present)
    total = graph.op("ReduceSum", counted, graph.integers(1), keepdims=0)
    # The sum in place of the mean: both have one direction, and only that is left.
    graph.op("LpNormalization", total, output="vectors", axis=-1, p=2)
