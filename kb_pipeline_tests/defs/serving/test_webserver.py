"""Attacks on the UI from pages of other sites, replayed against Dagster's real webserver with the guard and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dagster import DagsterInstance
from dagster_webserver.webserver import DagsterWebserver
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from kb_pipeline.defs.dagster_private import workspace_context
from kb_pipeline.defs.serving.webserver import application

# A mutation that needs no code location; any other would run by the same way.
MUTATION = "mutation { setNuxSeen }"
DONE = {"data": {"setNuxSeen": True}}
UI = "http://127.0.0.1:3000"
JSON = {"content-type": "application/json"}
BODY = b'{"query": "mutation { setNuxSeen }"}'
GRAPHQL_WS = ["graphql-ws"]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    home = tmp_path_factory.mktemp("dagster")
    workspace = home / "workspace.yaml"
    workspace.write_text("load_from: []\n")
    with DagsterInstance.local_temp(str(home)) as instance, workspace_context(instance, workspace, "test") as context:
        yield context


@pytest.fixture(scope="module")
def guarded(context: Any) -> TestClient:
    return TestClient(application(context, ["kb.example"]), base_url=UI)


@pytest.fixture(scope="module")
def unguarded(context: Any) -> TestClient:
    return TestClient(DagsterWebserver(context).create_asgi_app(), base_url=UI)


ATTACKS = {
    "a form posts text/plain": {
        "method": "POST",
        "headers": {"content-type": "text/plain", "origin": "http://evil.example", "sec-fetch-site": "cross-site"},
        "params": {"query": MUTATION},
    },
    "the same from a browser that tells nothing": {
        "method": "POST",
        "headers": {"content-type": "text/plain"},
        "params": {"query": MUTATION},
    },
    "text/plain that also says application/json": {
        "method": "POST",
        "headers": {"content-type": "text/plain; application/json"},
        "content": BODY,
    },
    "an <img> whose address is a mutation": {
        "method": "GET",
        "headers": {"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"},
        "params": {"query": MUTATION},
    },
    "the <img> in an old browser": {"method": "GET", "headers": {}, "params": {"query": MUTATION}},
    "a name of the attacker's that leads to 127.0.0.1": {
        "method": "POST",
        "headers": {**JSON, "host": "evil.example:3000", "origin": "http://evil.example:3000"},
        "content": BODY,
    },
    "a foreign page with JSON": {
        "method": "POST",
        "headers": {**JSON, "origin": "https://evil.example"},
        "content": BODY,
    },
    "a page in a sandbox": {"method": "POST", "headers": {**JSON, "origin": "null"}, "content": BODY},
    "another program's page on loopback": {
        "method": "POST",
        "headers": {**JSON, "origin": "http://127.0.0.1:8888"},
        "content": BODY,
    },
    "a page of the same site": {"method": "POST", "headers": {**JSON, "sec-fetch-site": "same-site"}, "content": BODY},
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_no_page_of_another_site_runs_a_mutation(
    guarded: TestClient, unguarded: TestClient, attack: dict[str, Any]
) -> None:
    assert unguarded.request(url="/graphql", **attack).json() == DONE  # else nothing would be shown here
    answer = guarded.request(url="/graphql", **attack)
    assert 400 <= answer.status_code < 500
    assert "setNuxSeen" not in answer.text


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:8888", "null"])
def test_no_page_of_another_site_opens_a_websocket(guarded: TestClient, unguarded: TestClient, origin: str) -> None:
    headers = {"origin": origin}
    with unguarded.websocket_connect("/graphql", GRAPHQL_WS, headers=headers) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json() == {"type": "connection_ack"}
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        guarded.websocket_connect("/graphql", GRAPHQL_WS, headers=headers),
    ):
        pass
    assert refused.value.code == 1008


def test_a_rebound_name_opens_no_websocket(guarded: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        guarded.websocket_connect("/graphql", GRAPHQL_WS, headers={"host": "evil.example"}),
    ):
        pass


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("localhost:3000", "http://localhost:3000"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("kb.example", "https://kb.example"),
        ("localhost:3000", None),
    ],
)
def test_the_ui_itself_works(guarded: TestClient, host: str, origin: str | None) -> None:
    own = {"host": host} | ({"origin": origin, "sec-fetch-site": "same-origin"} if origin else {})
    assert guarded.get("/", headers={**own, "accept": "text/html"}).status_code == 200
    assert guarded.post("/graphql", content=BODY, headers={**own, **JSON}).json() == DONE
    with guarded.websocket_connect("/graphql", GRAPHQL_WS, headers=own) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json() == {"type": "connection_ack"}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("HEAD", {}, 405),
        ("PUT", JSON, 405),
        ("POST", JSON | {"host": "127.0.0.1.evil.example"}, 403),
        ("POST", JSON | {"host": "evil@127.0.0.1"}, 403),
        ("POST", JSON | {"host": ""}, 403),
    ],
)
def test_near_misses(guarded: TestClient, method: str, headers: dict[str, str], status: int) -> None:
    assert guarded.request(method, "/graphql", headers=headers, content=BODY).status_code == status


def test_what_is_reported_from_outside_is_json_too(guarded: TestClient) -> None:
    """Dagster's endpoints for assets that others make write to its books as well."""
    assert guarded.post("/report_asset_materialization/chunks", params={"partition": "hr"}).status_code == 415


def test_a_link_on_another_site_may_lead_to_the_ui(guarded: TestClient) -> None:
    assert guarded.get("/runs", headers={"sec-fetch-site": "cross-site"}).status_code == 200
