"""The servers that the contract suite runs over: ours with all-MiniLM-L6-v2 in onnxruntime, ours with a tiny model in
torch where the extra `models` is installed, and a real SGLang over that model when its address is given.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kb_pipeline.embedding.client import EmbeddingClient
from kb_pipeline.local.embedding_model import find_model
from kb_pipeline.settings import DEFAULT_MODEL
from kb_pipeline_tests.contract import tiny_model
from kb_pipeline_tests.support.databases import new_database, server_dsn
from kb_pipeline_tests.support.extras import HAS_MODELS, WHY_NOT, needs_models

__all__ = ["new_database", "server_dsn"]  # fixtures

MODEL = "qwen3-embedding-tiny"
DIMENSIONS_ALLOWED = "8,16,32,64,512"  # 512 is above both models' own, so that "greater than max" can be reached
READY_SECONDS = 120


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sglang-url", help="a running SGLang server over the tiny model (infra/sglang/test.sh)")
    parser.addoption("--sglang-model", help="the folder of the tiny model that it serves")


@dataclass(frozen=True)
class Server:
    """A running server, and what is known of its model: the folder, how many numbers a vector has, the limit of tokens,
    how many special tokens it adds."""

    url: str
    folder: Path
    model: str = MODEL
    dimension: int = tiny_model.DIMENSION
    context: int = tiny_model.CONTEXT
    special_tokens: int = 1

    def post(self, body: object) -> tuple[int, dict]:
        """POST to /v1/embeddings as plain HTTP: status and JSON answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/v1/embeddings", data=data, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def get(self, path: str) -> tuple[int, bytes]:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as response:
            return response.status, response.read()


@contextmanager
def local_server(log: Path, *options: str) -> Iterator[str]:
    """Start kb_pipeline's own embedding server as a process on a free port; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "kb_pipeline.local.embedding_server", "--port", str(port), *options],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=10)
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def sglang_url(request: pytest.FixtureRequest) -> str:
    """The address of a real SGLang server that serves the tiny model as `qwen3-embedding-tiny`."""
    url = request.config.getoption("--sglang-url", None)
    if not url:
        pytest.skip("needs a real SGLang: run `make test-sglang`")
    return url


MINILM = {"model": DEFAULT_MODEL, "dimension": 384, "context": 256, "special_tokens": 2}
SERVERS = ("onnxruntime", pytest.param("torch", marks=needs_models), pytest.param("sglang", marks=pytest.mark.sglang))


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if request.param == "sglang":
        url = request.getfixturevalue("sglang_url")
        yield Server(url, Path(request.config.getoption("--sglang-model")))
        return
    folder = tmp_path_factory.mktemp("model")
    if request.param == "onnxruntime":
        with local_server(folder / "server.log", "--matryoshka", DIMENSIONS_ALLOWED) as url:
            yield Server(url, find_model(DEFAULT_MODEL, None), **MINILM)
        return
    tiny_model.write(folder)
    options = ("--model", MODEL, "--model-path", str(folder), "--matryoshka", DIMENSIONS_ALLOWED)
    with local_server(folder / "server.log", *options) as url:
        yield Server(url, folder)


@pytest.fixture
def client(server: Server) -> Iterator[EmbeddingClient]:
    client = EmbeddingClient([server.url], server.model, batch_texts=8, max_retries=1)
    yield client
    client.close()


class Reference:
    """The server's model in plain transformers, one text at a time, at unit length: the mean of all hidden states for
    all-MiniLM-L6-v2, the last token's for the tiny model."""

    def __init__(self, server: Server) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(server.folder)
        self._model = AutoModel.from_pretrained(server.folder).eval()
        self._mean = server.model == DEFAULT_MODEL

    def token_ids(self, text: str) -> list[int]:
        """As the model sees it, special tokens included."""
        return self.tokenizer(text)["input_ids"]

    @property
    def end(self) -> int:
        """The token that ends every text."""
        return self.token_ids("a")[-1]

    def embed_ids(self, ids: list[int]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            hidden = self._model(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()
        vector = hidden.mean(axis=0) if self._mean else hidden[-1]
        return vector / np.linalg.norm(vector)

    def embed(self, texts: list[str]) -> np.ndarray:
        return np.stack([self.embed_ids(self.token_ids(text)) for text in texts])


@pytest.fixture(scope="session")
def reference(server: Server) -> Reference:
    if not HAS_MODELS:
        pytest.skip(WHY_NOT)
    return Reference(server)
