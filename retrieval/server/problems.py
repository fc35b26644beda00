"""Errors as RFC 9457 problem documents: what is wrong, and what to do."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from indexer.core.errors import (
    FileUnreadable,
    LibraryDamaged,
    LibraryLocked,
    LibraryMissing,
    TwinlensError,
    UsageError,
)
from retrieval.errors import ExtraMissing, ItemMissing

MEDIA_TYPE = "application/problem+json"

REQUEST_ID = "request_id"
"""Under which the state of a request keeps its id."""

STATUS = {
    "usage": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "slow": 408,
    "library_locked": 409,
    "too_large": 413,
    "unsupported_type": 415,
    "unreadable": 422,
    "failed": 500,
    "extra_missing": 501,
    "no_library": 503,
    "library_damaged": 503,
    "busy": 503,
    "timeout": 504,
}
"""The HTTP status of each code."""

_UNREAD = ("slow", "too_large")
"""Codes of requests whose bodies were not read to their end."""

_OF_ERRORS: tuple[tuple[type[TwinlensError], str], ...] = (
    (ItemMissing, "not_found"),
    (FileUnreadable, "unreadable"),
    (ItemMissing, "not_found"),
    (UsageError, "usage"),
    (LibraryMissing, "no_library"),
    (LibraryDamaged, "library_damaged"),
    (LibraryLocked, "library_locked"),
    (ExtraMissing, "extra_missing"),
)

_OF_STATUS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_type",
}


class Problem(Exception):
    """A request that is answered with a problem document.

    Args:
        code: one of `STATUS`.
        detail: what is wrong, which, and what to do.
        retry_after: seconds after which to ask again.
    """

    def __init__(self, code: str, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.status = code, detail, STATUS[code]
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        if code in _UNREAD:
            self.headers["Connection"] = "close"


def problem_of(error: TwinlensError) -> Problem:
    """Turn an error of the library into a problem."""
    code = next((code for kind, code in _OF_ERRORS if isinstance(error, kind)), "failed")
    return Problem(code, " ".join(str(error).split()))


def body_of(problem: Problem, request_id: str) -> bytes:
    """Write a problem document."""
    told: dict[str, Any] = {
        "type": f"urn:twinlens:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        REQUEST_ID: request_id,
    }
    return json.dumps(told).encode()


def response_of(problem: Problem, request_id: str) -> Response:
    """Return a problem as an answer."""
    headers = {**problem.headers, "Cache-Control": "no-store"}
    return Response(body_of(problem, request_id), problem.status, headers, MEDIA_TYPE)


def answer_errors(app: FastAPI) -> None:
    """Make an application answer every error with a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(TwinlensError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_status)


def id_of(request: Request) -> str:
    """Return the id of a request."""
    return str(getattr(request.state, REQUEST_ID, ""))


async def _on_problem(request: Request, error: Exception) -> Response:
    """Answer a problem."""
    assert isinstance(error, Problem)
    return response_of(error, id_of(request))


async def _on_error(request: Request, error: Exception) -> Response:
    """Answer an error of the library."""
    assert isinstance(error, TwinlensError)
    return response_of(problem_of(error), id_of(request))


async def _on_invalid(request: Request, error: Exception) -> Response:
    """Say which parameters of a request are wrong."""
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(_wrong(each) for each in error.errors()[:5])
    problem = Problem("usage", f"{wrong}; /openapi.json describes the API")
    problem.status = 422
    return response_of(problem, id_of(request))


async def _on_status(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)
    problem = Problem(_OF_STATUS.get(error.status_code, "usage"), _refused(request, error))
    problem.status = error.status_code
    problem.headers |= dict(error.headers or {})
    return response_of(problem, id_of(request))


def _wrong(error: dict[str, Any]) -> str:
    """Say what is wrong with one parameter."""
    place = ".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0])
    return f"{place}: {error['msg']}"


def _refused(request: Request, error: HTTPException) -> str:
    """Say what the framework refuses."""
    if error.status_code == 404 and error.detail == "Not Found":
        return "there is nothing at this path; /openapi.json lists the paths of the API"
    if error.status_code == 405:
        return f"{request.method} is not allowed here; /openapi.json lists what is"
    return str(error.detail)
