"""infra/compose.yaml read as data: what is published, pinned, checked, and where its variables come from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kb_pipeline.settings import load_settings

INFRA = Path(__file__).parents[2] / "infra"
TEXT = (INFRA / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ["code", "daemon", "webserver"]


def test_the_services_of_the_production_shape() -> None:
    assert sorted(SERVICES) == sorted(["postgres", "objects", "sglang", *OURS])


def test_only_the_webserver_is_published_and_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(published) == ["webserver"]
    assert all(port.startswith("127.0.0.1:") for port in published["webserver"])


def test_the_webserver_is_the_guarded_one() -> None:
    assert SERVICES["webserver"]["command"][:3] == ["python", "-m", "kb_pipeline.defs.serving.webserver"]
    assert not [name for name, service in SERVICES.items() if "dagster-webserver" in service.get("command", [])]


def test_the_inner_network_has_no_way_out() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert {name for name, service in SERVICES.items() if service["networks"] != ["inside"]} == {"webserver"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_pinned_checked_and_restarted(name: str) -> None:
    service = SERVICES[name]
    assert re.search(r":v?\d+\.\d+", service["image"])
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"


def test_every_volume_and_dependency_is_declared() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{[^}]*\}", "/variable", volume).split(":")[0]
            if source.startswith("./"):
                assert (INFRA / source).is_file(), source
            elif not source.startswith("/"):
                assert source in COMPOSE["volumes"], source
        assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_the_example_environment_names_every_variable_and_holds_no_secret() -> None:
    lines = (INFRA / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(re.findall(r"\$\{(\w+)", TEXT)) == set(example)
    assert not any(value for name, value in example.items() if re.search("PASSWORD|KEY", name))


def test_a_secret_that_is_not_set_stops_the_start() -> None:
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|KEY))(:\?)?", TEXT)
    assert secrets
    assert all(required for _, required in secrets)


def test_our_settings_accept_the_environment_and_kb_yaml() -> None:
    environment = {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", re.sub(r"\$\{\w+:\?[^}]*\}", "secret", str(value)))
        for name, value in SERVICES["code"]["environment"].items()
    }
    settings = load_settings({**environment, "KB_CONFIG": str(INFRA / "kb.yaml")})
    assert settings.object_store_url == "s3://kb"
    assert settings.object_store.endpoint == "http://objects:8333"
    assert settings.embedding.urls == ("http://sglang:30000/v1",)
    assert settings.database_dsn is not None


def test_the_model_served_is_the_model_asked_for() -> None:
    command = SERVICES["sglang"]["command"]
    served = next(part.split("=")[1] for part in command if part.startswith("--served-model-name="))
    settings = load_settings({"KB_CONFIG": str(INFRA / "kb.yaml")})
    assert settings.embedding.model == served
    assert "--is-embedding" in command
    assert str(settings.embedding.dimension) in next(part for part in command if "matryoshka" in part)


def test_all_of_ours_run_one_image_with_one_environment() -> None:
    assert len({SERVICES[name]["image"] for name in OURS}) == 1
    assert all(SERVICES[name]["environment"] == SERVICES["code"]["environment"] for name in OURS)


def test_dagster_finds_its_code_where_compose_runs_it() -> None:
    workspace = yaml.safe_load((INFRA / "dagster" / "workspace.yaml").read_text(encoding="utf-8"))
    server = workspace["load_from"][0]["grpc_server"]
    assert server["host"] in SERVICES
    assert str(server["port"]) in SERVICES[server["host"]]["command"]
