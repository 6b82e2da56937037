"""Run by the Python of another environment: paths as JSON on standard input, {path: text} as JSON on standard output.

`ocr_only` for scans and pictures, `fast` for every other file; nothing where unstructured fails.
"""

import json
import os
import sys
from pathlib import Path

os.environ["DO_NOT_TRACK"] = "1"
PICTURES = (".jpg", ".png", ".tiff", "scanned.pdf")


def text_of(path: str) -> str:
    from unstructured.partition.auto import partition

    languages = ["chi_sim", "eng"]
    strategy = {"strategy": "ocr_only", "languages": languages} if path.endswith(PICTURES) else {"strategy": "fast"}
    try:
        return "\n".join(element.text for element in partition(path, **strategy))
    except Exception as error:  # noqa: BLE001 - whatever it raises, it has read nothing
        print(f"{Path(path).name}: {type(error).__name__}", file=sys.stderr)
        return ""


if __name__ == "__main__":
    texts = {path: text_of(path) for path in json.load(sys.stdin)}
    json.dump(texts, sys.stdout)
