"""The harness: a seed makes the same cases, what goes wrong is noticed and kept, and short campaigns are clean."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from kb_pipeline.chunking import chunk
from kb_pipeline.core import media_type as types
from kb_pipeline.core.contracts import Element, MaskedText
from kb_pipeline.core.errors import CorruptDocument
from kb_pipeline.demo.writing import contents, render
from kb_pipeline.execution.local import Limits
from kb_pipeline.masking import mask_chunks
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.text import plain
from kb_pipeline.settings import ChunkingSettings, LimitSettings
from kb_pipeline_tests.fuzzing.__main__ import DOCUMENTS
from kb_pipeline_tests.fuzzing.binaries import OLE, PICTURE
from kb_pipeline_tests.fuzzing.campaign import Campaign, Result, kept, until
from kb_pipeline_tests.fuzzing.documents import Case, Documents
from kb_pipeline_tests.fuzzing.job import unforeseen, wrong_chunks, wrong_masking
from kb_pipeline_tests.fuzzing.mails import MAIL, attached
from kb_pipeline_tests.fuzzing.markup import LINES, TAGS
from kb_pipeline_tests.fuzzing.octets import ANY, MOST_BYTES, Mutation
from kb_pipeline_tests.fuzzing.packages import PACKAGE
from kb_pipeline_tests.fuzzing.pdfs import PDF
from kb_pipeline_tests.fuzzing.planted import misbehaved
from kb_pipeline_tests.fuzzing.words import TEXT
from kb_pipeline_tests.masking.synthetic import MOBILE, POLICY

LIMITS = Limits(seconds=20, memory_mb=1024, workers=2)
SETTINGS = ChunkingSettings(max_tokens=64)


def demo(ending: str) -> bytes:
    """A document of the demo."""
    return next(render(name, content) for name, content in contents().items() if name.endswith(ending))


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0" + bytes(200)
OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\1" * 3000 + "text of a message".encode("utf-16-le") + bytes(3000)
FAMILIES: Mapping[str, tuple[Mapping[str, Mutation], Callable[[], bytes]]] = {
    "any": (ANY, lambda: demo(".md")),
    "text": (TEXT, lambda: demo(".md")),
    "lines": (LINES, lambda: demo(".md")),
    "tags": (TAGS, lambda: demo(".html")),
    "mail": (MAIL, lambda: attached(demo(".eml"), Random(1), b"a file")),
    "package": (PACKAGE, lambda: demo(".docx")),
    "pdf": (PDF, lambda: demo(".pdf")),
    "picture": (PICTURE, lambda: PNG),
    "ole": (OLE, lambda: OLE2),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_mutation_changes_a_document_and_does_so_the_same_way_each_time(family: str) -> None:
    mutations, make = FAMILIES[family]
    data = make()
    for name, mutate in mutations.items():
        changed = [mutate(data, Random(seed)) for seed in range(5)]
        assert changed == [mutate(data, Random(seed)) for seed in range(5)], name
        assert len(set(changed) - {data}) > 1, name
        assert max(map(len, changed)) <= MOST_BYTES, name
        mutate(b"", Random(1))


def test_a_seed_makes_the_same_cases_each_time() -> None:
    first, again = Documents(None), Documents(None)
    assert [first.case(7, number) for number in range(10)] == [again.case(7, number) for number in range(10)]
    assert first.case(7, 3) != first.case(8, 3)


def test_what_hangs_grows_dies_or_raises_is_noticed_and_kept(tmp_path: Path) -> None:
    whats = ("hang", "grow", "kill", "raise", "raise SystemExit")
    cases = [Case(number, what, b"data") for number, what in enumerate(whats)]
    said: list[str] = []
    result = Campaign(Limits(1.0, 512, 2), tmp_path, said.append, misbehaved).run(cases)  # type: ignore[arg-type]
    assert sorted(violation.split("): ")[1].split(":")[0] for violation in result.violations) == [
        *("MemoryLimitExceeded", "TimeLimitExceeded", "UnexpectedError", "UnexpectedError", "WorkerCrashed")
    ]
    assert said == result.violations
    assert sorted(kept(path).number for path in tmp_path.glob("*.case")) == list(range(5))
    assert kept(tmp_path / "1.case") == cases[1]


def test_an_exception_of_our_own_code_is_told_from_one_of_a_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(error: str) -> Callable[[bytes], list[Element]]:
        place = str(Path(plain.__file__)) if error == "ours" else "library.py"
        scope: dict[str, Callable[[bytes], list[Element]]] = {}
        exec(compile("def parse_text(data):\n    return [][1]\n", place, "exec"), scope)
        return scope["parse_text"]

    for whose, found in (("ours", ["IndexError at plain.py:2 in parse_text"]), ("theirs", [])):
        monkeypatch.setattr(plain, "parse_text", raising(whose))
        with pytest.raises(CorruptDocument) as caught:
            parse(b"x", types.TEXT)
        assert list(unforeseen(caught.value)) == found
    assert list(unforeseen(CorruptDocument("The parser cannot read it."))) == []


def test_text_that_is_lost_and_chunks_that_are_too_large_are_noticed() -> None:
    elements = [Element("Title", "title", level=1), Element("One sentence. " * 100, "paragraph")]
    chunks = chunk(elements, SETTINGS)
    assert list(wrong_chunks(elements, chunks, SETTINGS)) == []
    assert "lost" in next(wrong_chunks(elements, chunks[1:], SETTINGS))
    assert "tokens" in next(wrong_chunks(elements, chunks, ChunkingSettings(max_tokens=16)))
    untitled = [replace(each, section_path=(), tokens=each.tokens) for each in chunks]
    assert "heading" in next(wrong_chunks(elements, untitled, SETTINGS))


def test_personal_data_and_control_characters_that_are_left_are_noticed() -> None:
    chunks = chunk([Element(f"手机{MOBILE}。", "paragraph")], SETTINGS)
    (masked,) = mask_chunks(chunks, POLICY, True)
    assert list(wrong_masking(chunks, [masked], POLICY)) == []
    assert "PHONE_NUMBER" in next(wrong_masking(chunks, [replace(masked, content=MaskedText(chunks[0].text))], POLICY))
    assert "control" in next(wrong_masking(chunks, [replace(masked, content=MaskedText("a\0"))], POLICY))
    assert "1 chunks, 0 masked" in next(wrong_masking(chunks, [], POLICY))


def clean(result: Result) -> None:
    """No violation, and not because nothing was read."""
    assert not result.violations
    assert result.ended["ok"] > result.cases // 5


def test_a_few_dozen_cases_of_the_demos_documents(tmp_path: Path) -> None:
    documents = Documents(None)
    result = Campaign(LIMITS, tmp_path, print).run(documents.case(1, number) for number in range(48))
    assert result.cases == 48
    assert len(result.read) >= 4
    clean(result)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_minute_of_cases(tmp_path: Path) -> None:
    documents = Documents(DOCUMENTS if DOCUMENTS.is_dir() else None)
    # The product's own memory limit: recognising a page takes more than half of it.
    limits = replace(LIMITS, memory_mb=LimitSettings().memory_mb)
    result = Campaign(limits, tmp_path, print).run(until(time.monotonic() + 60, documents, seed=11))
    assert result.cases > 50
    clean(result)
