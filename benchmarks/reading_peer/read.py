"""Run by the Python of another environment: paths as JSON on standard input, {path: answer} as JSON on standard output.

`read.py texts`: the text that unstructured reads, nothing where it fails. `ocr_only` for scans and pictures, `fast` for
every other file. `read.py seconds`: CPU seconds that `fast` takes for a PDF, the best of three times after one more for
warming up; none where it fails.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PICTURES = (".jpg", ".png", ".tiff", "scanned.pdf")
TIMES = 3


def text_of(path: str) -> str:
    """What is read of a file."""
    from unstructured.partition.auto import partition

    languages = ["chi_sim", "eng"]
    strategy = {"strategy": "ocr_only", "languages": languages} if path.endswith(PICTURES) else {"strategy": "fast"}
    return "\n".join(element.text for element in partition(path, **strategy))


def seconds_of(path: str) -> float:
    """What reading a PDF takes."""
    from unstructured.partition.pdf import partition_pdf

    taken = []
    for _ in range(1 + TIMES):
        started = time.process_time()
        partition_pdf(path, strategy="fast")
        taken.append(time.process_time() - started)
    return min(taken[1:])


def without_network() -> None:
    """Its classes of text need a model of sentences that it would download: expressions that cost less stand in."""
    os.environ.update(DO_NOT_TRACK="1", SCARF_NO_ANALYTICS="1", UNSTRUCTURED_DISABLE_NOTICE="1")
    from unstructured.nlp import tokenize
    from unstructured.partition import text_type

    words, sentences = re.compile(r"\w+|[^\w\s]").findall, re.compile(r"[^.!?。！？]+[.!?。！？]*").findall
    for module in (tokenize, text_type):
        module.word_tokenize, module.sent_tokenize = words, sentences
        module.pos_tag = lambda text: [(word, "NN") for word in words(text)]


def answered(path: str, ask: Callable[[str], Any], otherwise: Any) -> Any:
    """The answer, or `otherwise`: whatever it raises, it has read nothing."""
    try:
        return ask(path)
    except Exception as error:  # noqa: BLE001
        print(f"{Path(path).name}: {type(error).__name__}", file=sys.stderr)
        return otherwise


if __name__ == "__main__":
    without_network()
    ask, otherwise = {"texts": (text_of, ""), "seconds": (seconds_of, None)}[sys.argv[1]]
    answers = {path: answered(path, ask, otherwise) for path in json.load(sys.stdin)}
    json.dump(answers, sys.stdout)
