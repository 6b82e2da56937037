"""What infra/packages/left-out.txt names is imported by no module of ours, no reader and no recognizer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LEFT_OUT = Path(__file__).parents[2] / "infra" / "packages" / "left-out.txt"
PROGRAM = """
import importlib, pkgutil, sys
from importlib.abc import MetaPathFinder

hidden = set(sys.argv[1:])
asked = []

class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            asked.append(name)
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
import kb_pipeline
for module in pkgutil.walk_packages(kb_pipeline.__path__, "kb_pipeline."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

from kb_pipeline.masking import warm_up as warm_up_masking
from kb_pipeline.parsing import bootstrap
bootstrap.warm_up(("docx", "pptx", "html"))
warm_up_masking()
print(asked)
"""


def test_every_reader_loads_without_them() -> None:
    lines = (line.partition("#")[0].strip() for line in LEFT_OUT.read_text(encoding="utf-8").splitlines())
    names = [line.replace("-", "_") for line in lines if line]
    assert "numba" in names
    command = [sys.executable, "-c", PROGRAM, *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
