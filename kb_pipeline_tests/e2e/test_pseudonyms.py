"""One number, one token: found by a search for the number, which nobody is told; and what a change of it costs."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kb_pipeline_tests.e2e.workspace import Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub, embedding_stub

MOBILE, OTHER = "13800138000", "13912345678"
KEY = "2026a:synthetic-secret-of-thirty-two-characters"
FILES = {
    "a.md": f"# 客户甲\n\n甲方联系电话是{MOBILE}，请在工作时间拨打。\n",
    "b.md": "# 客户乙\n\n乙方也登记了 138-0013-8000 这个号码。\n",
    "c.md": f"# 客户丙\n\n丙方联系电话是{OTHER}，请在工作时间拨打。\n",
    "d.md": "# 制度\n\n报销在十日内提交，逾期不予受理。\n",
}
CONFIG = "sources:\n  crm:\n    masking: {{PHONE_NUMBER: {action}}}\n"


@pytest.fixture(scope="module")
def stub() -> Iterator[EmbeddingStub]:
    with embedding_stub() as running:
        yield running


@pytest.fixture(scope="module")
def crm(
    new_workspace: Callable[..., Workspace], stub: EmbeddingStub, tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    config = tmp_path_factory.mktemp("crm") / "kb.yaml"
    config.write_text(CONFIG.format(action="pseudonym"))
    made = new_workspace("pseudonyms", config, KB_EMBEDDING_URLS=stub.url, KB_PSEUDONYM_KEY=KEY)
    write_files(made.home / "objects" / "raw" / "crm", FILES)
    return made


def found(workspace: Workspace, text: str) -> list[str]:
    with workspace.entered() as base:
        return [result.source_file for result in base.search(text, "crm", limit=2)]


def test_without_a_key_nothing_is_started(crm: Workspace) -> None:
    done = crm.kb("sync", "crm", env={"KB_PSEUDONYM_KEY": ""})
    assert done.returncode == 3
    assert "KB_PSEUDONYM_KEY" in done.stderr


def test_a_search_for_the_number_finds_its_pseudonym_in_every_spelling(crm: Workspace, stub: EmbeddingStub) -> None:
    crm.kb_json("sync", "crm")
    assert set(found(crm, MOBILE)) == {"a.md", "b.md"}
    assert set(found(crm, "+86 138 0013 8000")) == {"a.md", "b.md"}
    assert found(crm, OTHER)[0] == "c.md"
    told = "\n".join(stub.texts)
    assert "<PHONE_NUMBER_" in told
    assert not any(number in told.replace("-", "").replace(" ", "") for number in (MOBILE, OTHER))


def test_a_new_key_masks_and_embeds_only_what_it_changes(crm: Workspace, stub: EmbeddingStub) -> None:
    before = len(stub.texts)
    rotated = replace(crm, environment={**crm.environment, "KB_PSEUDONYM_KEY": KEY.replace("2026a:", "2026b:new-")})
    rotated.kb_json("sync", "crm")
    assert len(stub.texts) - before == 3
    assert set(found(rotated, MOBILE)) == {"a.md", "b.md"}
    crm.kb_json("sync", "crm")
    assert len(stub.texts) - before == 3 + 1, "tokens of the first key have vectors; one was the query"


def test_another_action_is_a_change_of_those_documents_alone(
    crm: Workspace, stub: EmbeddingStub, tmp_path: Path
) -> None:
    before = len(stub.texts)
    config = tmp_path / "kb.yaml"
    config.write_text(CONFIG.format(action="partial"))
    replace(crm, config=config).kb_json("sync", "crm")
    assert len(stub.texts) - before == 3
    with crm.database() as connection:
        texts = [text for (text,) in connection.execute("SELECT content FROM kb.chunk")]
    assert sum("138****8000" in text for text in texts) == 2
