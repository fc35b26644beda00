"""Cursors: where the next page of an answer begins, opaque to whoever pages."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from retrieval.server.problems import Problem

_CHECK = 8  # bytes of the checksum


def cursor_of(state: Mapping[str, Any], question: str) -> str:
    """Return a cursor that keeps a state, for one question alone."""
    body = json.dumps(state, separators=(",", ":"), sort_keys=True).encode()
    return base64.urlsafe_b64encode(_check(body, question) + body).rstrip(b"=").decode()


def state_of(cursor: str, question: str) -> dict[str, Any]:
    """Return the state that a cursor keeps.

    Raises:
        Problem: it is none, or of another question.
    """
    try:
        data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        check, body = data[:_CHECK], data[_CHECK:]
        if check == _check(body, question):
            state: dict[str, Any] = json.loads(body)
            return state
    except (binascii.Error, ValueError):  # nothing that was ever made here
        pass
    raise Problem(
        "usage", "the cursor is not of this search; leave it out to begin with the first page"
    )


def _check(body: bytes, question: str) -> bytes:
    """Return a checksum of a state and of the question that it belongs to."""
    return hashlib.blake2b(body + b"\0" + question.encode(), digest_size=_CHECK).digest()
