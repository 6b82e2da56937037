"""Names that no word announces: models that are made here, in seconds, by both libraries."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from kb_pipeline.core.contracts import Chunk, Task
from kb_pipeline.core.errors import MissingExtra, SettingsError
from kb_pipeline.masking import find_personal_data, mask_chunks, mask_query, mask_text
from kb_pipeline.masking.finding.spans import Finding
from kb_pipeline.masking.models import libraries
from kb_pipeline.masking.models.recognizer import whole_words
from kb_pipeline.masking.replacing.redacting import find_all
from kb_pipeline.pipeline.catalogue import WorkerJob, catalogue
from kb_pipeline.pipeline.executors import Workers
from kb_pipeline.settings import ChunkingSettings, LimitSettings, MaskingPolicy, NamedEntityModel, Settings
from kb_pipeline.settings.policy import Language
from kb_pipeline.store.objects.artifacts import records_to_table, write_table
from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig
from kb_pipeline_tests.masking.models.tiny_models import NAMES, SENTENCES, teach_bert, teach_spacy
from kb_pipeline_tests.masking.synthetic import KEY, MOBILE, POLICY, policy
from kb_pipeline_tests.support.extras import needs_models

pytestmark = needs_models

Library = Literal["spacy", "transformers"]
Models = dict[Language, NamedEntityModel]
LIBRARIES: Sequence[Library] = ("spacy", "transformers")
UNANNOUNCED = {"zh": "周五章小渔主持会议。", "en": "Then Wei Zhang opened the office."}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """A model a library and language."""
    made = tmp_path_factory.mktemp("models")
    teachers = {"spacy": teach_spacy, "transformers": teach_bert}
    return {(name, of): teachers[name](made / f"{name}-{of}", of) for name in teachers for of in ("zh", "en")}


def configured(folders: dict[tuple[str, str], Path], library: Library) -> Models:
    languages: Sequence[Language] = ("zh", "en")
    return {of: NamedEntityModel(library=library, model=str(folders[library, of])) for of in languages}


def with_models(models: Models, **actions: str) -> MaskingPolicy:
    return MaskingPolicy({**POLICY.actions, **actions}, KEY, models)


def key(models: Models, **masking: str) -> str:
    settings = Settings.model_validate({"masking_models": models, "defaults": {"masking": masking}})
    return catalogue(settings, "hr")["mask"].key


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_name_that_nothing_announces_is_masked_with_a_model_alone(
    folders: dict[tuple[str, str], Path], library: Library, language: str
) -> None:
    text, name = UNANNOUNCED[language], NAMES[language]
    assert mask_text(text, POLICY) == (text, {})
    chosen = with_models(configured(folders, library))
    masked, counts = mask_text(text, chosen)
    assert (masked, counts) == (text.replace(name, "<PERSON>"), {"PERSON": 1})
    assert find_personal_data(masked, chosen) == {}


@pytest.mark.parametrize("library", LIBRARIES)
def test_both_languages_in_one_pass_beside_what_patterns_find(
    folders: dict[tuple[str, str], Path], library: Library
) -> None:
    chosen = with_models(configured(folders, library))
    (masked,) = mask_chunks([Chunk(0, f"{UNANNOUNCED['zh']}\n{MOBILE}", (UNANNOUNCED["en"],))], chosen, True)
    assert masked.section_path == ("Then <PERSON> opened the office.",)
    assert masked.content == "周五<PERSON>主持会议。\n<PHONE_NUMBER>"
    assert masked.masked == {"PERSON": 2, "PHONE_NUMBER": 1}


def test_a_text_longer_than_the_models_context_is_read_to_its_end(folders: dict[tuple[str, str], Path]) -> None:
    without = "".join(sentence for sentence in SENTENCES["zh"] if NAMES["zh"] not in sentence)
    text = without * 1000 + UNANNOUNCED["zh"] + without
    assert len(text) > 30_000
    masked, counts = mask_text(text, with_models(configured(folders, "transformers")))
    assert counts == {"PERSON": 1}
    assert masked == text.replace(NAMES["zh"], "<PERSON>")


def test_queries_are_masked_as_documents_are(folders: dict[tuple[str, str], Path]) -> None:
    chosen = with_models(configured(folders, "transformers"), PERSON="pseudonym")
    document, _ = mask_text(UNANNOUNCED["zh"], chosen)
    query = mask_query("材料交给了章小渔。", [chosen])
    token = document.removeprefix("周五").removesuffix("主持会议。")
    assert query.meaning == f"材料交给了{token}。"
    assert token.strip("<>").removeprefix("PERSON_") in query.wording
    assert NAMES["zh"] not in query.meaning + query.wording


def test_half_a_number_that_a_model_takes_for_a_name_takes_the_other_half_along() -> None:
    found = find_all(f"致电{MOBILE}。", POLICY.entities, seen=[Finding("PERSON", 0, 7)])
    assert list(found.findings) == [Finding("PHONE_NUMBER", 0, 13)]


def test_half_a_word_is_a_whole_one() -> None:
    text = "met Anne-Marie, 章小渔"
    assert text[slice(*whole_words(text, 3, 6))] == "Anne"
    assert text[slice(*whole_words(text, 11, 18))] == "Marie, 章小"


def test_the_fingerprint_is_that_of_the_models_files(folders: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    chosen = configured(folders, "transformers")
    moved = tmp_path / "elsewhere"
    shutil.copytree(folders["transformers", "zh"], moved)
    elsewhere = {**chosen, "zh": chosen["zh"].model_copy(update={"model": str(moved)})}
    assert key(elsewhere) == key(chosen) != key({})
    assert key(chosen | {"zh": chosen["zh"].model_copy(update={"min_score": 0.9})}) != key(chosen)
    with (moved / "model.safetensors").open("ab") as weights:
        weights.write(b"\0")
    assert key(elsewhere) != key(chosen)


def test_a_model_for_nothing_that_is_replaced_is_not_even_looked_for() -> None:
    absent: Models = {"zh": NamedEntityModel(library="spacy", model="/nowhere")}
    assert key(absent, PERSON="keep") == key({}, PERSON="keep")
    assert mask_text(UNANNOUNCED["zh"], policy(PERSON="keep"))[1] == {}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", ["/nowhere/model", "acme/no-such-model", "no_such_package", "json"])
def test_a_model_that_is_not_there_is_named_before_any_work(library: Library, name: str) -> None:
    with pytest.raises(SettingsError, match=rf"masking_models\.en: there is no {library} model {name}"):
        key({"en": NamedEntityModel(library=library, model=name)})


def test_files_that_are_no_model_and_labels_that_it_does_not_know(
    folders: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    for file in ("config.json", "config.cfg"):
        (tmp_path / file).write_text("{}")
    for library in LIBRARIES:
        with pytest.raises(SettingsError, match=f"masking_models.zh: {library} cannot load {tmp_path}"):
            mask_text("会议", with_models({"zh": NamedEntityModel(library=library, model=str(tmp_path))}))
        other = NamedEntityModel(library=library, model=str(folders[library, "zh"]), entities={"NR": "PERSON"})
        with pytest.raises(SettingsError, match=r"knows none of the labels NR\. Name some of its own .*: .*PER"):
            mask_text("会议", with_models({"zh": other}))


def test_without_transformers_the_extra_is_named(
    folders: dict[tuple[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"kb-pipeline\[models\]"):
        libraries.load.__wrapped__("transformers", folders["transformers", "zh"])


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_worker_masks_with_the_model_and_says_when_it_is_gone(
    folders: dict[tuple[str, str], Path], tmp_path: Path, library: Library
) -> None:
    config = ObjectStoreConfig(tmp_path.as_uri())
    table, output_hash = records_to_table([Chunk(0, UNANNOUNCED["zh"])], Chunk)
    ref = write_table(ObjectStore(config), "chunk", "chunks", table)
    task = Task("d", "hr", "a.txt", "a.txt", "text/plain", "0", 1, output_hash, "masked", ref)
    settings = Settings(limits=LimitSettings(workers=1, memory_mb=512))
    models = configured(folders, library)
    job = WorkerJob("mask", config, ChunkingSettings(), with_models(models))
    (outcome,) = Workers(job, settings).run([task])
    assert (outcome.status, outcome.stats["masked.PERSON"]) == ("ok", 1)
    gone = {"zh": NamedEntityModel(library=library, model=str(tmp_path / "gone"))}
    with pytest.raises(SettingsError, match="there is no"):
        list(Workers(WorkerJob("mask", config, ChunkingSettings(), with_models(gone)), settings).run([task]))
