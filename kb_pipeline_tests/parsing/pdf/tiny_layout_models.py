"""A Hugging Face cache with the models of hi_res in small: a layout model that sees the same boxes on every page, and a
table model of random weights. Both are loaded by the code that loads the real ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# The picture that YOLOX looks at, the strides of its grids, and the numbers of its labels.
HIGH, WIDE = 1024, 768
STRIDES = (8, 16, 32)
FOOTER, HEADER, TEXT, TITLE = 4, 5, 9, 10
LABELS = 11

Region = tuple[int, float, float, float, float]


def write_cache(home: Path, regions: Sequence[Region]) -> None:
    """`regions`: label, left, top, right, bottom, as parts of 1 of a page three wide and four high."""
    from kb_pipeline.parsing.pdf.hi_res import WEIGHTS

    (layout, file), (tables, _) = WEIGHTS
    _write_layout(_snapshot(home, layout) / file, regions)
    _write_tables(_snapshot(home, tables))


def _snapshot(home: Path, repository: str) -> Path:
    folder = home / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    return snapshot


def _write_layout(path: Path, regions: Sequence[Region]) -> None:
    """An ONNX graph whose answer is a constant: centre and logarithm of the size in cells of the coarsest grid, that
    there is something, and what."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    cells = [(HIGH // stride) * (WIDE // stride) for stride in STRIDES]
    answer = np.zeros((1, sum(cells), 5 + LABELS), dtype=np.float32)
    across = WIDE // STRIDES[-1]
    for number, (label, left, top, right, bottom) in enumerate(regions):
        wide, high = (right - left) * WIDE, (bottom - top) * HIGH
        x, y = (left * WIDE + wide / 2) / STRIDES[-1], (top * HIGH + high / 2) / STRIDES[-1]
        row = answer[0, sum(cells[:-1]) + number]
        row[:4] = x - number % across, y - number // across, math.log(wide / STRIDES[-1]), math.log(high / STRIDES[-1])
        row[4], row[5 + label] = 1, 1
    graph = helper.make_graph(
        [helper.make_node("Identity", ["answer"], ["output"])],
        "layout",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, HIGH, WIDE])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, list(answer.shape))],
        [numpy_helper.from_array(answer, "answer")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))


def _write_tables(folder: Path) -> None:
    import torch
    from transformers import (
        DetrImageProcessor,
        ResNetConfig,
        TableTransformerConfig,
        TableTransformerForObjectDetection,
    )

    torch.manual_seed(1)
    config = TableTransformerConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], out_features=["stage4"]
        ),
        num_queries=4,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        num_labels=6,
    )
    TableTransformerForObjectDetection(config).save_pretrained(folder)
    DetrImageProcessor().save_pretrained(folder)
