"""The local embedding server with the model it serves by default, and the ways in which it declines to start.

What it shares with SGLang is in contract/test_embedding_service.py, over a model with shortened dimensions.
"""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from kb_pipeline.core.errors import MissingExtra, SettingsError
from kb_pipeline.embedding.client import EmbeddingClient, ModelInfo
from kb_pipeline.local import embedding_model
from kb_pipeline.local.embedding_api import Matryoshka, matryoshka_of
from kb_pipeline.local.embedding_model import find_model
from kb_pipeline.settings import DEFAULT_MODEL
from kb_pipeline_tests.contract.conftest import Server, local_server
from kb_pipeline_tests.support.extras import needs_models


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with local_server(tmp_path_factory.mktemp("minilm") / "server.log") as url:
        yield Server(url, find_model(DEFAULT_MODEL, None), DEFAULT_MODEL)


@pytest.fixture
def client(server: Server) -> Iterator[EmbeddingClient]:
    client = EmbeddingClient([server.url], DEFAULT_MODEL)
    yield client
    client.close()


def test_minilm_is_served_by_default(client: EmbeddingClient) -> None:
    assert client.probe() == ModelInfo(DEFAULT_MODEL, 384, 256)


def test_texts_of_one_meaning_are_near_each_other(client: EmbeddingClient) -> None:
    vectors = client.embed(
        ["How do I claim travel costs?", "Reimbursement of journeys", "The server was patched"]
    ).vectors
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.4 > 0.2 > far


def test_minilm_has_no_shorter_vectors(server: Server) -> None:
    status, answer = server.post({"input": "a", "dimensions": 128})
    assert status == 400
    assert "does not support matryoshka representation" in answer["message"]


def test_minilm_takes_255_tokens(server: Server) -> None:
    assert server.post({"input": "a " * 253})[0] == 200
    status, answer = server.post({"input": "a " * 254})
    assert status == 400
    assert "The input (256 tokens) is longer than the model's context length (256 tokens)." in answer["message"]


@pytest.mark.parametrize("ids", [[101, 102], [[101, 102]]], ids=["flat", "nested"])
def test_token_ids_are_refused(server: Server, ids: list) -> None:
    status, answer = server.post({"input": ids})
    assert status == 400
    assert "token ids are not accepted" in answer["message"]


def test_requests_at_the_same_time_do_not_disturb_each_other(server: Server) -> None:
    texts = [f"sentence number {i} " + "and so on " * (i % 5) for i in range(12)]
    alone = EmbeddingClient([server.url], DEFAULT_MODEL).embed(texts).vectors
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda text: server.post({"input": text}), texts))
    rows = np.array([answer["data"][0]["embedding"] for _, answer in answers])
    np.testing.assert_allclose(rows, alone, atol=1e-5)


def test_the_server_stays_under_the_memory_promised(server: Server, client: EmbeddingClient) -> None:
    client.embed(["a sentence of some length " * 8] * 32)
    port = int(server.url.rpartition(":")[2])
    [process] = [child for child in psutil.Process().children() if listens_on(child, port)]
    assert process.memory_info().rss < 300 * 2**20


def listens_on(process: psutil.Process, port: int) -> bool:
    try:
        return any(c.laddr and c.laddr.port == port for c in process.net_connections())
    except psutil.AccessDenied:  # PostgreSQL, which runs under another account or cannot be looked into
        return False


# Declining to start


def start(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kb_pipeline.local.embedding_server", "--port", "1", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@needs_models
def test_a_model_whose_weights_are_not_here_is_named_with_the_remedy() -> None:
    ended = start("--model", "Qwen/Qwen3-Embedding-0.6B-absent")
    assert ended.returncode == 3
    assert "Qwen/Qwen3-Embedding-0.6B-absent" in ended.stderr
    assert "hf download" in ended.stderr
    assert "--model-path" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no model weights"):
        find_model("m", tmp_path)


def test_a_name_that_cannot_be_a_model_is_refused() -> None:
    with pytest.raises(MissingExtra, match=r"not on this machine"):
        find_model("../../etc", None)


def test_weights_other_than_the_pinned_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_model, "DEFAULT_WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(SettingsError, match=r"not the pinned ones.*Reinstall"):
        find_model(DEFAULT_MODEL, None)


@pytest.mark.parametrize(
    ("model", "option", "expected"),
    [
        ("Qwen/Qwen3-Embedding-0.6B", None, Matryoshka(True)),
        (DEFAULT_MODEL, None, Matryoshka(False)),
        (DEFAULT_MODEL, "any", Matryoshka(True)),
        ("Qwen/Qwen3-Embedding-0.6B", "none", Matryoshka(False)),
        ("m", "64, 128", Matryoshka(True, (64, 128))),
    ],
)
def test_which_dimensions_may_be_asked_for(model: str, option: str | None, expected: Matryoshka) -> None:
    assert matryoshka_of(model, option) == expected


@pytest.mark.parametrize("option", ["all", "64,x", "0", ""])
def test_dimensions_that_are_no_numbers_are_refused(option: str) -> None:
    with pytest.raises(SettingsError, match="--matryoshka"):
        matryoshka_of("m", option)


def test_minilm_is_loaded_and_embeds_without_torch() -> None:
    code = (
        "import sys; from kb_pipeline.local.embedding_model import load_model;"
        "assert load_model('all-MiniLM-L6-v2', None).embed(['a']).shape == (1, 384);"
        "sys.exit(bool({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_another_model_without_the_extra_is_refused_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_model, "_TORCH", ("no_such_package",))
    embedding_model.check_packages(DEFAULT_MODEL, None)
    with pytest.raises(MissingExtra, match=r"no_such_package.*kb-pipeline\[models\].*make models"):
        embedding_model.check_packages("Qwen/Qwen3-Embedding-0.6B", None)
    with pytest.raises(MissingExtra, match="make models"):
        embedding_model.check_packages(DEFAULT_MODEL, Path("another copy"))
