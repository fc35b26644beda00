"""Vectors of texts and pictures, in the form of OpenAI's API, for programs that speak that."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body

from indexer.core.encoder import Vectors
from retrieval.api import PhotoLibrary
from retrieval.server.libraries import ChosenLibrary
from retrieval.server.problems import Problem
from retrieval.server.schemas import (
    LONGEST,
    EmbeddingModel,
    EmbeddingsAnswer,
    EmbeddingsBody,
    UsageModel,
)

router = APIRouter(prefix="/v1", tags=["embeddings"])

_PICTURE = re.compile(r"data:image/[\w.+-]+;base64,")
_ADDRESS = re.compile(r"\s*(?:https?|file|ftp)://\S+\s*")


@router.post("/embeddings", operation_id="create_embeddings")
async def create_embeddings(
    chosen: ChosenLibrary, body: Annotated[EmbeddingsBody, Body()]
) -> EmbeddingsAnswer:
    """Return vectors of texts and pictures by the model of a library."""
    written = [body.input] if isinstance(body.input, str) else body.input
    inputs = [_read(each, number) for number, each in enumerate(written)]

    def work(library: PhotoLibrary) -> tuple[Vectors, str]:
        if body.model not in (None, library.model):
            raise Problem("not_found", f"this library is embedded with the model {library.model}")
        vectors = library.embed(*inputs)
        if body.dimensions not in (None, vectors.shape[1]):
            raise Problem("usage", f"the vectors have {vectors.shape[1]} dimensions")
        return vectors, library.model

    vectors, model = await chosen.run(work)
    words = sum(len(each.split()) if isinstance(each, str) else 1 for each in inputs)
    return EmbeddingsAnswer(
        data=[
            EmbeddingModel(index=index, embedding=_written(vector, body.encoding_format))
            for index, vector in enumerate(vectors)
        ],
        model=model,
        usage=UsageModel(prompt_tokens=words, total_tokens=words),
    )


def _read(written: str, number: int) -> str | bytes:
    """Return a text, or the bytes of a picture.

    Raises:
        Problem: it is neither, or too long.
    """
    found = _PICTURE.match(written)
    if found is not None:
        try:
            return b64decode(written[found.end() :], validate=True)
        except ValueError as error:
            raise Problem("usage", f"input {number} is no base64; send the whole file") from error
    if written.startswith("data:"):
        raise Problem("usage", f"input {number} is no picture; send data:image/jpeg;base64,…")
    if _ADDRESS.fullmatch(written):
        raise Problem("usage", f"input {number} is an address, and none is fetched; send its bytes")
    if len(written) > LONGEST:
        raise Problem("usage", f"input {number} has {len(written):,} characters; send {LONGEST:,}")
    if not written.strip():
        raise Problem("usage", f"input {number} is empty")
    return written


def _written(vector: Vectors, form: str) -> list[float] | str:
    """Return a vector as JSON has it."""
    if form == "base64":
        return b64encode(vector.astype(np.dtype("<f4")).tobytes()).decode("ascii")
    numbers: list[float] = vector.tolist()
    return numbers
