"""python -m kb_pipeline.demo DIR: write the demo's documents into DIR, one folder a source system."""

from __future__ import annotations

import sys
from pathlib import Path

from kb_pipeline.core.errors import KbError
from kb_pipeline.demo import write_documents


def main(arguments: list[str]) -> int:
    """Write the documents and print the files of each source. Returns 2 on wrong usage."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m kb_pipeline.demo DIR\n")
        return 2
    try:
        counts = write_documents(Path(arguments[0]))
    except KbError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.writelines(f"{source}: {count} files\n" for source, count in counts.items())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
