"""What the local embedding server answers: requests checked and answered as SGLang does, over a loaded model.

What SGLang 0.5.21 says to bad input, this says with the same status and key words, so that one client and one
contract suite serve both. It differs on purpose in one point: token ids as input are refused, because an id outside
the vocabulary ends an SGLang server.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from kb_pipeline.core.errors import SettingsError
from kb_pipeline.embedding.vectors import truncate_and_renormalise
from kb_pipeline.local.embedding_model import LocalModel

# Trained with Matryoshka representation learning; of any other model a shortened vector is a poor one.
MATRYOSHKA_FAMILIES = ("qwen3-embedding",)


class BadRequest(ValueError):
    """What the client asked for cannot be done; answered with HTTP 400 and this message."""


@dataclass(frozen=True, slots=True)
class Matryoshka:
    """Which `dimensions` a request may ask for: any up to the model's own, or only those listed."""

    allowed: bool
    dimensions: tuple[int, ...] = ()


def matryoshka_of(model: str, option: str | None) -> Matryoshka:
    """Reads --matryoshka: `any`, `none` or sizes such as `64,128`; None: `any` for Qwen3-Embedding, else `none`."""
    if option is None:
        return Matryoshka(any(family in model.casefold() for family in MATRYOSHKA_FAMILIES))
    if option in ("any", "none"):
        return Matryoshka(option == "any")
    sizes = [size.strip() for size in option.split(",")]
    if not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise SettingsError("--matryoshka is not right.", "Give any, none, or dimensions such as 64,128.")
    return Matryoshka(True, tuple(int(size) for size in sizes))


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """A valid request: one text or more, none of them blank."""

    texts: list[str]
    base64: bool
    dimensions: int | None


def read_request(body: object) -> EmbeddingRequest:
    """Check the parts of a request that need no model. Raises BadRequest in SGLang's words; never quotes a text."""
    if not isinstance(body, dict) or "input" not in body:
        raise BadRequest("The request must be a JSON object with a field 'input'")
    wanted = body.get("encoding_format", "float")
    if wanted not in ("float", "base64"):
        raise BadRequest("encoding_format must be either 'float' or 'base64'")
    dimensions = body.get("dimensions")
    if dimensions is not None and (isinstance(dimensions, bool) or not isinstance(dimensions, int)):
        raise BadRequest("dimensions must be an integer")
    return EmbeddingRequest(_texts(body["input"]), wanted == "base64", dimensions)


def _texts(given: object) -> list[str]:
    if not given:
        raise BadRequest("Input cannot be empty")
    if isinstance(given, str):
        if not given.strip():
            raise BadRequest("Input cannot be empty or whitespace only")
        return [given]
    if not isinstance(given, list):
        raise BadRequest("Input must be a string or a list of strings")
    texts = []
    for i, item in enumerate(given):
        if not isinstance(item, str):
            raise BadRequest("All items in input list must be strings; token ids are not accepted here")
        if not item.strip():
            raise BadRequest(f"Input at index {i} cannot be empty or whitespace only")
        texts.append(item)
    return texts


def check_lengths(counts: Sequence[int], context: int) -> None:
    """One text of `context` tokens or more fails the whole request, as in SGLang. Raises BadRequest."""
    longest = max(counts)
    if longest >= context:
        raise BadRequest(f"The input ({longest} tokens) is longer than the model's context length ({context} tokens).")


def check_dimensions(dimensions: int | None, native: int, matryoshka: Matryoshka, model: str) -> None:
    """Whether the model can give vectors of `dimensions` numbers. Raises BadRequest; the order is SGLang's."""
    if dimensions is None:
        return
    if not matryoshka.allowed:
        raise BadRequest(
            f"Model '{model}' does not support matryoshka representation, "
            "changing output dimensions will lead to poor results."
        )
    if dimensions < 1:
        raise BadRequest("Requested dimensions must be greater than 0")
    if matryoshka.dimensions and dimensions not in matryoshka.dimensions:
        raise BadRequest(
            f"Model '{model}' only supports {list(matryoshka.dimensions)} matryoshka dimensions, "
            "using other output dimensions will lead to poor results."
        )
    if dimensions > native:
        raise BadRequest(f"Provided dimensions are greater than max embedding dimension: {native}")


def answer(model: LocalModel, matryoshka: Matryoshka, request: EmbeddingRequest) -> dict[str, Any]:
    """The response to a request, as OpenAI's API has it. Raises BadRequest."""
    counts = model.count_tokens(request.texts)
    check_lengths(counts, model.context)
    check_dimensions(request.dimensions, model.dimension, matryoshka, model.name)
    vectors = model.embed(request.texts)
    if request.dimensions is not None:
        vectors = truncate_and_renormalise(vectors, request.dimensions)
    rows = [
        base64.b64encode(row.astype("<f4").tobytes()).decode("ascii") if request.base64 else row.tolist()
        for row in vectors
    ]
    return {
        "object": "list",
        "model": model.name,
        "data": [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)],
        "usage": {"prompt_tokens": sum(counts), "total_tokens": sum(counts)},
    }


def create_app(model: LocalModel, matryoshka: Matryoshka) -> FastAPI:
    """The web application over a loaded model. Requests are read in the event loop and embedded in its threads."""
    app = FastAPI(title="kb_pipeline embedding server", docs_url=None, redoc_url=None, openapi_url=None)
    started = int(time.time())

    @app.post("/v1/embeddings", response_model=None)
    async def embeddings(request: Request) -> Response:
        try:
            wanted = read_request(await request.json())
            return JSONResponse(await run_in_threadpool(answer, model, matryoshka, wanted))
        except BadRequest as error:
            return _bad_request(str(error))
        except ValueError:  # a BadRequest is one too, so this comes second
            return _bad_request("The request is not valid JSON")

    @app.get("/health", response_model=None)
    async def health() -> Response:
        await run_in_threadpool(model.embed, ["health"])
        return Response()

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        card = {"id": model.name, "object": "model", "created": started, "owned_by": "kb_pipeline"}
        return {"object": "list", "data": [{**card, "root": model.name, "max_model_len": model.context}]}

    @app.get("/server_info")
    async def server_info() -> dict[str, Any]:
        return {"model": model.name, "dimension": model.dimension, "context_length": model.context}

    return app


def _bad_request(message: str) -> JSONResponse:
    error = {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}
    return JSONResponse(error, status_code=400)
