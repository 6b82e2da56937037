"""Writes a graph in ONNX's file format, which is one protobuf message; field numbers are those of onnx.proto.

The package onnx does the same in 33 MB and with a protobuf of its own choice: too much for the messages used here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

OPSET = 20  # the first with Gelu
_IR_VERSION = 9  # the file format that came with it
_TYPES = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}
_EXTERNAL = 1  # TensorProto.DataLocation
# AttributeProto.AttributeType
_FLOAT, _INT, _INTS = 1, 2, 7

Attribute = float | int | Sequence[int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor of float32 numbers lies: `offset` is its first byte in `file`."""

    file: str
    offset: int
    shape: tuple[int, ...]


def node(kind: str, inputs: Iterable[str], output: str, **attributes: Attribute) -> bytes:
    """A NodeProto: operator `kind` of the standard set makes `output` from `inputs`."""
    named = b"".join(_message(5, _attribute(name, value)) for name, value in attributes.items())
    return b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind) + named


def constant(name: str, value: npt.ArrayLike, kind: type[np.generic]) -> bytes:
    """A TensorProto that holds its own numbers, as `kind` (float32 or int64)."""
    array = np.asarray(value, dtype=kind)
    return _tensor(name, array.shape, array.dtype) + _message(9, array.tobytes())


def in_file(name: str, place: Place) -> bytes:
    """A TensorProto of float32 numbers that lie in a file beside the graph, or in the folder the session is told."""
    entries = {"location": place.file, "offset": str(place.offset), "length": str(4 * math.prod(place.shape))}
    located = _messages(13, (_text(1, key) + _text(2, entry) for key, entry in entries.items()))
    return _tensor(name, place.shape, np.dtype(np.float32)) + located + _number(14, _EXTERNAL)


def value(name: str, shape: Sequence[int | str], dtype: np.dtype[np.generic]) -> bytes:
    """A ValueInfoProto: an input or output of the graph. A dimension with a name has any size."""
    sizes = b"".join(_message(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in shape)
    return _text(1, name) + _message(2, _message(1, _number(1, _TYPES[dtype]) + _message(2, sizes)))


def model(nodes: Sequence[bytes], tensors: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]) -> bytes:
    """A ModelProto of one graph: what onnxruntime loads."""
    parts = ((1, nodes), (5, tensors), (11, inputs), (12, outputs))
    graph = _text(2, "graph") + b"".join(_messages(field, part) for field, part in parts)
    return _number(1, _IR_VERSION) + _message(7, graph) + _message(8, _number(2, OPSET))


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + _key(2, 5) + struct.pack("<f", value) + _number(20, _FLOAT)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _INT)
    return _text(1, name) + b"".join(_number(8, each) for each in value) + _number(20, _INTS)


def _tensor(name: str, shape: Sequence[int], dtype: np.dtype[np.generic]) -> bytes:
    return b"".join(_number(1, size) for size in shape) + _number(2, _TYPES[dtype]) + _text(8, name)


def _messages(field: int, contents: Iterable[bytes]) -> bytes:
    return b"".join(_message(field, content) for content in contents)


def _message(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _message(field, content.encode())


def _number(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value)


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; a negative number as its 64-bit two's complement."""
    value &= (1 << 64) - 1
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
