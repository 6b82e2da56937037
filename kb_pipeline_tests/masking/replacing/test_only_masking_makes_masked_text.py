"""MaskedText is made here and, from what masking wrote, by the readers of artifacts and of published rows."""

import re
from pathlib import Path

import kb_pipeline

PACKAGE = Path(kb_pipeline.__file__).parent
ALLOWED = {"store/objects/artifacts.py", "store/views/overview.py", "store/views/texts.py"}


def makers() -> set[str]:
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bMaskedText\(", path.read_text(encoding="utf-8"))
    }


def test_nothing_else_calls_its_constructor() -> None:
    assert {name for name in makers() if not name.startswith("masking/")} <= ALLOWED
    assert "masking/replacing/masker.py" in makers()


def test_nothing_casts_to_it() -> None:
    casts = [path for path in PACKAGE.rglob("*.py") if re.search(r"cast\(\W?MaskedText", path.read_text("utf-8"))]
    assert casts == []
