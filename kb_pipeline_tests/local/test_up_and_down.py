"""`up`, `up` again, `down`, `down` again, with both real servers."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from kb_pipeline.core.errors import DatabaseUnavailable, EmbeddingUnavailable, MissingExtra
from kb_pipeline.local import processes, stack
from kb_pipeline.settings import EmbeddingSettings, Settings
from kb_pipeline_tests.local.conftest import ELSEWHERE

IDLE_MEMORY_MB = 350


@pytest.fixture(scope="module")
def settings(new_home: Callable[[], Path]) -> Settings:
    return Settings(home=new_home())


def embed(url: str, text: str) -> list[float]:
    body = json.dumps({"model": "all-MiniLM-L6-v2", "input": text}).encode()
    request = urllib.request.Request(f"{url}/embeddings", body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return json.load(response)["data"][0]["embedding"]


def test_before_up_every_question_says_what_to_do(settings: Settings) -> None:
    assert [service.running for service in stack.status(settings)] == [False, False]
    with pytest.raises(DatabaseUnavailable, match="kb up"):
        stack.database_dsn(settings)
    with pytest.raises(EmbeddingUnavailable, match="kb up"):
        stack.embedding_urls(settings)


def test_up_gives_a_database_and_an_embedding_server_within_the_memory_promised(settings: Settings) -> None:
    services = stack.up(settings)
    assert [(service.name, service.running) for service in services] == [("postgres", True), ("embedding", True)]
    with psycopg.connect(stack.database_dsn(settings)) as connection:
        connection.execute("CREATE EXTENSION vector")
        assert connection.info.dbname == "kb"
        assert connection.execute("SELECT '[1,2]'::halfvec(2)::text").fetchone() == ("[1,2]",)
    (url,) = stack.embedding_urls(settings)
    assert len(embed(url, "annual leave")) == 384
    assert sum(service.rss_mb or IDLE_MEMORY_MB for service in stack.status(settings)) < IDLE_MEMORY_MB


def test_a_second_up_starts_nothing(settings: Settings) -> None:
    before = [service.pid for service in stack.status(settings)]
    assert [service.pid for service in stack.up(settings)] == before


def test_another_model_is_not_answered_for_by_the_one_that_runs(settings: Settings) -> None:
    other = settings.model_copy(update={"embedding": EmbeddingSettings(model="other/model")})
    with pytest.raises(EmbeddingUnavailable, match="serves all-MiniLM-L6-v2"):
        stack.embedding_urls(other)


def test_a_killed_embedding_server_is_noticed_and_started_again_alone(settings: Settings) -> None:
    database, embedding = stack.status(settings)
    assert embedding.pid is not None
    os.kill(embedding.pid, signal.SIGKILL)
    assert processes.wait_until(lambda: not stack.status(settings)[1].running, 5)
    with pytest.raises(EmbeddingUnavailable, match="kb up"):
        stack.embedding_urls(settings)
    after = stack.up(settings)
    assert (after[0].pid, after[1].port) == (database.pid, embedding.port)
    assert len(embed(stack.embedding_urls(settings)[0], "annual leave")) == 384


def test_down_ends_both_and_a_second_down_does_nothing(settings: Settings) -> None:
    ports = [service.port for service in stack.status(settings)]
    for _ in range(2):
        services = stack.down(settings)
        assert [(service.running, service.pid) for service in services] == [(False, None), (False, None)]
        assert [service.port for service in services] == ports


def test_what_the_settings_provide_is_not_started(new_home: Callable[[], Path]) -> None:
    settings = Settings(home=new_home(), database_dsn="postgresql://db.example/kb", embedding=ELSEWHERE)
    assert [service.running for service in stack.up(settings)] == [False, False]
    assert stack.database_dsn(settings) == "postgresql://db.example/kb"
    assert stack.embedding_urls(settings) == ELSEWHERE.urls


def test_a_model_without_weights_is_named_before_anything_starts(new_home: Callable[[], Path]) -> None:
    settings = Settings(home=new_home(), embedding=EmbeddingSettings(model="nobody/no-such-model"))
    with pytest.raises(MissingExtra):
        stack.up(settings)
    assert [service.running for service in stack.status(settings)] == [False, False]
