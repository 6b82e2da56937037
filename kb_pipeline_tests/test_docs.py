"""The documentation says what the code has: settings, variables, verbs, errors, targets, files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from kb_pipeline.cli import kb
from kb_pipeline.core import errors
from kb_pipeline.settings import ENTITIES, NamedEntityModel, Settings, SourceSettings

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PLACES = ("docs", "infra", "benchmarks", "notebooks", "kb_pipeline", "kb_pipeline_tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for place in PLACES for page in (ROOT / place).rglob("*.md"))])
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]

_ROW = re.compile(r"^\| `([a-z_.A-Z]+)` \| (.+?) \| ", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def settings() -> Iterator[tuple[str, object]]:
    """Every setting of kb.yaml with its default."""
    for section, field in Settings.model_fields.items():
        if field.exclude or section in ("sources", "masking_models"):
            continue
        model = field.get_default(call_default_factory=True)
        assert isinstance(model, BaseModel)
        yield from ((f"{section}.{name}", getattr(model, name)) for name in type(model).model_fields)
    yield from ((f"sources.NAME.{name}", None) for name in SourceSettings.model_fields)
    yield from ((f"masking_models.LANGUAGE.{name}", None) for name in NamedEntityModel.model_fields)


@pytest.mark.parametrize(("name", "default"), list(settings()))
def test_every_setting_is_documented_with_its_default(name: str, default: object) -> None:
    documented = dict(_ROW.findall(read(DOCS / "settings.md")))
    assert name in documented
    if name.endswith("masking") or name.startswith(("sources.", "masking_models.")):  # maps: said in words
        return
    plain = list(default) if isinstance(default, tuple) else default
    plain = int(plain) if isinstance(plain, float) and plain.is_integer() else plain
    said = documented[name].strip("`")
    assert said == (plain if isinstance(plain, str) and plain else json.dumps(plain))


def test_no_setting_is_documented_that_does_not_exist() -> None:
    documented = {name for name, _ in _ROW.findall(read(DOCS / "settings.md")) if "." in name}
    assert documented == {name for name, _ in settings()}


def test_every_entity_is_documented() -> None:
    for page in (DOCS / "settings.md", DOCS / "privacy.md"):
        assert {entity for entity in ENTITIES if f"`{entity}`" not in read(page)} == set(), page.name


def test_every_environment_variable_is_documented() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "kb_pipeline").rglob("*.py"))
    used = set(re.findall(r"\b(?:KB_[A-Z_]*[A-Z]|DAGSTER_HOME|AWS_ENDPOINT_URL)\b", sources))
    assert {"KB_HOME", "KB_DATABASE_DSN", "KB_DAGSTER_POSTGRES_URL"} <= used
    assert {name for name in used if f"`{name}`" not in read(DOCS / "settings.md")} == set()


def verbs(group: click.Group, path: str = "kb") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


@pytest.mark.parametrize(("name", "command"), [pytest.param(n, c, id=n) for n, c in verbs(kb)])
def test_every_verb_is_documented_with_its_options(name: str, command: click.Command) -> None:
    page = read(DOCS / "cli.md")
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    body = next((body for title, body in sections.items() if name in title.split(", ")), None)
    assert body is not None, f"docs/cli.md has no section {name}"
    assert f"`{name}`" in page
    for parameter in command.params:
        for option in parameter.opts if isinstance(parameter, click.Option) else ():
            assert option in body


def test_the_options_of_the_command_itself_are_documented() -> None:
    page = read(DOCS / "cli.md")
    assert [o for parameter in kb.params for o in parameter.opts if f"`{o}" not in page] == []


def test_every_error_is_documented_with_its_exit_code() -> None:
    page = read(DOCS / "operations.md")
    assert [name for name in errors.QUARANTINE_CLASSES if name not in page] == []
    for name, cls in vars(errors).items():
        if isinstance(cls, type) and issubclass(cls, errors.KbError) and not issubclass(cls, errors.PermanentError):
            if cls.__subclasses__() and name != "SettingsError":
                continue
            row = re.search(rf"^\| [^|]*\b{name}\b[^|]* \| ([^|]+) \|", page, re.MULTILINE)
            assert row, name
            assert row[1].startswith(("none", str(cls.exit_code))), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", read(ROOT / "Makefile"), re.MULTILINE))
    named = {target for code in _CODE.findall(read(page)) for target in re.findall(r"\bmake ([a-z][a-z-]*)\b", code)}
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in (first or second for first, second in _LINK.findall(_without_blocks(read(page)))):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in _anchors(read(file))):
            broken.append(link)
    assert broken == []


def _without_blocks(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def _anchors(text: str) -> set[str]:
    """Anchors as GitHub makes them: lower case, punctuation dropped, blanks to hyphens."""
    titles = re.findall(r"^#+ (.+)$", _without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_files_that_the_readme_runs_exist() -> None:
    for readme in READMES:
        code = "\n".join(_CODE.findall(read(readme)))
        for name in re.findall(r"\b((?:infra|docs|notebooks|benchmarks|kb_pipeline)/[\w./-]+)", code):
            assert (ROOT / name).exists(), name


def test_both_readmes_say_the_same() -> None:
    english, chinese = (re.sub(r"[^\x00-\x7f]+", "", "\n".join(_CODE.findall(read(page)))) for page in READMES)
    commands = re.compile(r"^(?:make|export|kb|\.venv/bin/kb|base\.|from|│).*?(?=  |$)", re.MULTILINE)
    plain = [[re.sub(r'"[^"]*"', '""', line) for line in commands.findall(text)] for text in (english, chinese)]
    assert plain[0] == plain[1]
    links = [{a or b for a, b in _LINK.findall(read(page))} - {page.name for page in READMES} for page in READMES]
    assert links[0] == links[1]
