"""Loading the parsers: nothing heavy on import, no network, no language model, no advertisement."""

import subprocess
import sys

_OFFLINE = """
import socket, sys
def refuse(*_args, **_kwargs):
    raise AssertionError("network")
socket.getaddrinfo = socket.socket.connect = refuse
import kb_pipeline.parsing as parsing
assert not {"unstructured", "lxml", "pypdfium2"} & set(sys.modules), "importing the package loads parsers"
parsing.warm_up(["text/markdown", "image/png"])
assert not {"unstructured", "pypdfium2", "openpyxl"} & set(sys.modules), "Markdown loads what it does not need"
assert parsing.parse(b"# x\\n\\n<div>y</div> <b>z</b>", "text/markdown")
assert "unstructured" not in sys.modules, "HTML inside Markdown loads unstructured"
parsing.warm_up()
loaded = {"unstructured.partition.docx", "unstructured.partition.pptx", "pypdfium2", "openpyxl"}
assert loaded <= set(sys.modules), "warm_up left something for the first document"
before = set(sys.modules)
assert parsing.parse(b"# x\\n\\nA sentence, and more. Another one.", "text/markdown")
assert parsing.parse(b"<p>Some text</p>", "text/html")
assert not {"spacy", "torch", "nltk", "transformers"} & set(sys.modules), "a model library was loaded"
print(sorted(set(sys.modules) - before))
"""


def test_parsing_loads_no_model_needs_no_network_and_prints_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", _OFFLINE], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[]\n"


_LIGHT = """
import sys
import kb_pipeline.pipeline.preload_light
from kb_pipeline.parsing import LIGHT, parse

assert "presidio_analyzer" in sys.modules
assert not {"unstructured", "pypdfium2", "openpyxl"} & set(sys.modules), "loads what no light document needs"
before = set(sys.modules)
for media_type in LIGHT:
    assert parse(b"# x\\n\\n<table><tr><td>y<td>z</table>\\n", media_type)
print(sorted(set(sys.modules) - before))
assert parse(b"<p>Some text</p>", "text/html"), "a parser that was not loaded is loaded at need"
"""


def test_a_light_load_imports_only_what_its_documents_need() -> None:
    done = subprocess.run([sys.executable, "-c", _LIGHT], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
