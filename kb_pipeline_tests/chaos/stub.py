"""The embedding stub as a process of its own, so that it can be killed: `python -m kb_pipeline_tests.chaos.stub PORT`.

It ends when its parent does.
"""

from __future__ import annotations

import os
import sys
import time

from kb_pipeline_tests.support.embedding_stub import embedding_stub

DELAY_SECONDS = 0.02


def main() -> None:
    parent = os.getppid()
    with embedding_stub(int(sys.argv[1])) as stub:
        stub.delay = DELAY_SECONDS
        print(stub.url, flush=True)
        while os.getppid() == parent:
            time.sleep(0.5)


if __name__ == "__main__":
    main()
