"""Settings: typed, from kb.yaml and the environment; a mistake is one clear error, and a secret is never repeated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from kb_pipeline.core.errors import SettingsError
from kb_pipeline.settings import ENTITIES, Settings, check_source_name, load_settings

SECRET = "hunter2"


@pytest.fixture
def load(tmp_path: Path):  # type: ignore[no-untyped-def]
    """load(yaml text, environment): settings as a command would read them."""

    def run(text: str | bytes = "", environ: Mapping[str, str] | None = None) -> Settings:
        config = tmp_path / "kb.yaml"
        config.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_settings(environ or {}, config=config)

    return run


BAD = {
    "not a number": ("chunking: {max_tokens: hunter2}", "chunking.max_tokens"),
    "too small": ("chunking: {max_tokens: 1}", "chunking.max_tokens"),
    "negative": ("limits: {seconds: -1}", "limits.seconds"),
    "too little memory": ("limits: {memory_mb: 1}", "limits.memory_mb"),
    "unknown section": ("hunter2: {}", "hunter2"),
    "unknown setting": ("limits: {hours: 1}", "limits.hours"),
    "a section that is none": ("limits: 3", "limits"),
    "a section that is a list": ("embedding: [a]", "embedding"),
    "unknown entity": ("defaults: {masking: {SHOE_SIZE: mask}}", "defaults.masking.SHOE_SIZE"),
    "unknown action": ("defaults: {masking: {MONEY: hunter2}}", "defaults.masking.MONEY"),
    "partly shown amount": ("defaults: {masking: {MONEY: partial}}", "defaults.masking"),
    "label with blanks": ("defaults: {masking: {MONEY: <an amount>}}", "defaults.masking.MONEY"),
    "unknown setting of a source": ("sources: {hr: {color: red}}", "sources.hr.color"),
    "source name": ("sources: {Human Resources: {}}", "sources"),
    "object store": ("object_store: {url: 'ftp://hunter2@host'}", "object_store.url"),
    "encryption in a folder": ("object_store: {clear_encryption: {algorithm: AES256}}", "object_store"),
    "unknown encryption": (
        "object_store: {url: 's3://bucket', clear_encryption: {algorithm: hunter2}}",
        "object_store.clear_encryption.algorithm",
    ),
    "key without the key service": (
        "object_store: {url: 's3://bucket', clear_encryption: {algorithm: AES256, kms_key_id: hunter2}}",
        "object_store.clear_encryption",
    ),
    "clear retention": ("retention: {clear_days: -1}", "retention.clear_days"),
    "embedding address": ("embedding: {urls: ['hunter2']}", "embedding.urls"),
    "dimension over what can be indexed": ("embedding: {dimension: 5000}", "embedding.dimension"),
    "queue of notifications": ("notifications: {queue_url: 'sqs://hunter2'}", "notifications.queue_url"),
    "queue without a name": ("notifications: {queue_url: 'https://sqs.example.com'}", "notifications.queue_url"),
    "secret in a queue's address": (
        "notifications: {queue_url: 'https://me:hunter2@sqs.example.com/1/kb'}",
        "notifications.queue_url",
    ),
    "lease": ("lease: {ttl_seconds: 0}", "lease.ttl_seconds"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_names_file_setting_and_remedy(load, tmp_path: Path, name: str) -> None:  # type: ignore[no-untyped-def]
    text, setting = BAD[name]
    with pytest.raises(SettingsError) as caught:
        load(text)
    error = caught.value
    assert str(tmp_path / "kb.yaml") in error.message
    assert f"{setting}" in error.message
    assert error.remedy
    if setting != SECRET:
        assert SECRET not in str(error), "values are not repeated: one might be a secret in the wrong place"
    assert "\n" not in str(error)
    assert error.__cause__ is None


def test_all_mistakes_are_named_at_once(load) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError, match="2 invalid settings") as caught:
        load("limits: {seconds: 0}\nlease: {ttl_seconds: 0}")
    assert "limits.seconds" in str(caught.value)
    assert "lease.ttl_seconds" in str(caught.value)


@pytest.mark.parametrize("name", ["database_dsn", "embedding_api_key", "home", "dagster_home", "config_path"])
def test_what_belongs_in_the_environment_is_refused_in_the_file(load, name: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError, match=rf"{name}.*environment alone.*Remove it") as caught:
        load(f"{name}: {SECRET}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["limits: [1", "a: b: c", "\tlimits: 1", "limits: {seconds: 1}}", b"\xff\xfe\x00bad", b"a: \x00", "a: &x *y"],
)
def test_what_is_no_yaml_is_named_as_such(load, tmp_path: Path, text: str | bytes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError, match="not valid YAML") as caught:
        load(text)
    assert str(tmp_path / "kb.yaml") in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "sources:\n  hr:\n    masking: {PERSON: mask}\n  hr:\n    masking: {PERSON: keep}\n",
        "limits: {seconds: 1}\nlimits: {seconds: 2}\n",
    ],
    ids=["a source", "a section"],
)
def test_a_name_that_stands_twice_is_refused(load, text: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError, match=r"(hr|limits) is set twice, again in line [24]"):
        load(text)


def test_a_settings_file_that_is_none_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kb.yaml").symlink_to(tmp_path / "nowhere.yaml")
    with pytest.raises(SettingsError, match=r"kb\.yaml is not a file"):
        load_settings({})
    (tmp_path / "kb.yaml").unlink()
    (tmp_path / "kb.yaml").mkdir()
    with pytest.raises(SettingsError, match=r"kb\.yaml is not a file"):
        load_settings({})


def test_a_variable_that_is_not_utf_8_is_named_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="KB_DATABASE_DSN holds bytes") as caught:
        load_settings({"KB_DATABASE_DSN": "postgresql://u:ge\udcffheim@h/kb"}, home=tmp_path)
    assert "heim" not in str(caught.value)


@pytest.mark.parametrize("text", ["just text", "- a\n- b", "3"])
def test_what_is_no_mapping_is_named_as_such(load, text: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError, match="must hold settings by name"):
        load(text)


def test_yaml_cannot_run_code(load, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError):
        load(f"limits: !!python/object/apply:pathlib.Path.touch ['{tmp_path}/made']")
    assert not (tmp_path / "made").exists()


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.yaml.*no such file"):
        load_settings({"KB_CONFIG": str(tmp_path / "nothing.yaml")})


def test_nothing_at_all_is_a_setting_too(load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    settings = load_settings({})
    assert settings.home == tmp_path / ".kb"
    assert settings.config_path is None
    assert settings.object_store_url == (tmp_path / ".kb" / "objects").as_uri()
    assert load("").limits == settings.limits
    assert load("# only a comment").limits == settings.limits


def test_the_environment_wins_over_the_file_and_the_caller_over_both(load, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    text = "object_store: {url: 's3://from-file', region: r}\nembedding: {urls: ['http://file'], batch_texts: 7}"
    environ = {
        "KB_HOME": "/from/environment",
        "KB_OBJECT_STORE_URL": "s3://from-environment/x",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9000",
        "KB_EMBEDDING_URLS": "http://one/v1/, http://two ,",
        "KB_DATABASE_DSN": f"postgresql://kb:{SECRET}@db.example/kb",
        "KB_EMBEDDING_API_KEY": SECRET,
    }
    settings = load(text, environ)
    assert (settings.object_store.url, settings.object_store.region) == ("s3://from-environment/x", "r")
    assert settings.object_store.endpoint == "http://127.0.0.1:9000"
    assert (settings.embedding.urls, settings.embedding.batch_texts) == (("http://one/v1", "http://two"), 7)
    assert settings.home == Path("/from/environment")
    assert load_settings(environ, config=settings.config_path, home=tmp_path).home == tmp_path


def test_a_secret_shows_in_no_printed_form(load) -> None:  # type: ignore[no-untyped-def]
    environ = {"KB_DATABASE_DSN": f"postgresql://kb:{SECRET}@db.example/kb", "KB_EMBEDDING_API_KEY": SECRET}
    settings = load("", environ)
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.database_dsn
    assert SECRET in settings.database_dsn.get_secret_value()


@pytest.mark.parametrize(
    ("environ", "setting"),
    [
        ({"KB_OBJECT_STORE_URL": f"ftp://{SECRET}"}, "object_store.url"),
        ({"KB_EMBEDDING_URLS": SECRET}, "embedding.urls"),
    ],
)
def test_a_mistake_in_the_environment_is_laid_at_its_door(load, environ: dict[str, str], setting: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError) as caught:
        load("", environ)
    assert setting in str(caught.value)
    assert next(iter(environ)) in caught.value.message
    assert next(iter(environ)) in caught.value.remedy
    assert "kb.yaml" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_masking_policy_masks_whatever_nobody_said_to_keep(load) -> None:  # type: ignore[no-untyped-def]
    settings = load(
        "defaults: {masking: {MONEY: keep, IP_ADDRESS: keep}}\nsources: {wiki: {masking: {MONEY: mask}}, hr: {}}"
    )
    kept = {"MONEY": "keep", "IP_ADDRESS": "keep"}
    assert settings.masking_for("hr").actions == {**dict.fromkeys(ENTITIES, "mask"), **kept}
    assert settings.masking_for("wiki").action("MONEY") == "mask"
    assert settings.masking_for("unknown to kb.yaml") == settings.masking_for("hr")
    assert Settings().masking_for("any").actions == dict.fromkeys(ENTITIES, "mask")


@pytest.mark.parametrize("name", ["hr", "a", "0", "a-b_c9", "x" * 63])
def test_names_of_sources(name: str) -> None:
    assert check_source_name(name) == name


@pytest.mark.parametrize("name", ["", "HR", "-a", "_a", "a b", "人事", "a/b", "..", "a\n", "x" * 64, "ａ"])
def test_what_cannot_name_a_source(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        check_source_name(name)


MEANT = {
    "emebdding: {urls: []}": "emebdding: there is no such setting; did you mean embedding?",
    "limits: {second: 1}": "limits.second: there is no such setting; did you mean seconds?",
    "sources: {hr: {maksing: {}}}": "sources.hr.maksing: there is no such setting; did you mean masking?",
    "sources: {hr: {access: [{match: '*', group: [a]}]}}": "0.group: there is no such setting; did you mean groups?",
    "object_store: {clear_encryption: {algoritm: AES256}}": "did you mean algorithm?",
    "max_tokens: 100": "max_tokens: there is no such setting; did you mean chunking.max_tokens?",
    "lease: {colour: red}": "lease.colour: there is no such setting: known are wait_seconds, ttl_seconds",
    "defaults: {masking: {PHONE: mask}}": "did you mean PHONE_NUMBER?",
}


@pytest.mark.parametrize("text", MEANT)
def test_a_misspelt_setting_is_told_what_was_meant(load, text: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError) as caught:
        load(text)
    assert MEANT[text] in caught.value.message


def test_progress_is_plain_unless_the_environment_says_otherwise(load) -> None:  # type: ignore[no-untyped-def]
    assert load().progress == "plain"
    assert load("", {"KB_PROGRESS": "json"}).progress == "json"
    with pytest.raises(SettingsError, match="KB_PROGRESS"):
        load("", {"KB_PROGRESS": "loud"})
