"""An OpenAI-compatible embedding server for one machine without a GPU, answering as SGLang does.

    python -m kb_pipeline.local.embedding_server --port 30000 [--model NAME] [--model-path FOLDER]

GET /health (runs a forward pass), /v1/models, /server_info; POST /v1/embeddings.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kb_pipeline.core.errors import KbError
from kb_pipeline.local.embedding_model import check_packages, load_model
from kb_pipeline.settings import DEFAULT_MODEL


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until ended. Returns the exit code: 3 when a package, a model or an option is not right."""
    options = _parser().parse_args(arguments)
    try:
        check_packages(options.model, options.model_path)
        serve(options.host, options.port, options.model, options.model_path, options.matryoshka)
    except KbError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's own message
        return error.exit_code
    return 0


def serve(host: str, port: int, name: str, folder: Path | None, matryoshka: str | None) -> None:
    """Load the model, then answer until SIGTERM. Raises MissingExtra or SettingsError before the port is opened."""
    # Read by the libraries when they are imported. A model's files may name others: nothing is fetched, ever.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # By default idle OpenMP threads spin: beside busy workers on few cores that doubled the time of a pass.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    import uvicorn

    from kb_pipeline.local.embedding_api import create_app, matryoshka_of

    dimensions = matryoshka_of(name, matryoshka)
    model = load_model(name, folder)
    model.embed(["warm up"])  # the first pass is several times slower than those after it
    uvicorn.run(create_app(model, dimensions), host=host, port=port, log_level="warning")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kb_pipeline.local.embedding_server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name to serve under, and to find the weights by")
    parser.add_argument("--model-path", type=Path, help="folder of a sentence-transformers model")
    parser.add_argument("--matryoshka", help="any, none, or the dimensions allowed, such as 64,128")
    return parser


if __name__ == "__main__":
    sys.exit(main())
