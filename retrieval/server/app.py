"""The application: one line a part."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from retrieval.server.duplicate_search import DuplicateSearch
from retrieval.server.events import EventHub
from retrieval.server.learning import NameLearning
from retrieval.server.libraries import Libraries
from retrieval.server.limits import Limits
from retrieval.server.metrics import Metrics
from retrieval.server.pictures import SentPictures
from retrieval.server.problems import MEDIA_TYPE, answer_errors
from retrieval.server.requests import Requests
from retrieval.server.routes import all_routers
from retrieval.server.schemas import ProblemModel
from retrieval.server.security import Security
from retrieval.server.settings import ServeSettings
from retrieval.server.workers import Workers

_NO_TELEMETRY: TelemetryConfig = {
    "auto_configure": False,
    "logs": False,
    "metrics": False,
    "operation_spans": False,
    "tracing": False,
}
"""Nothing is reported to anyone, whatever the environment says."""

_PROBLEM: dict[str, Any] = {
    "description": "A problem: what is wrong, and what to do.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemModel"}}},
}


def create_app(libraries: Libraries, settings: ServeSettings) -> FastAPI:
    """Make the application that serves some libraries."""
    app = FastAPI(
        title="twinlens",
        summary="Find photos by words, and words by photo.",
        version="1",
        docs_url=None,  # it loads its scripts from another host
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
        responses={"4XX": _PROBLEM | {"model": ProblemModel}, "5XX": _PROBLEM, 422: _PROBLEM},
    )
    app.state.libraries, app.state.settings = libraries, settings
    app.state.metrics, app.state.pictures = Metrics(), SentPictures(settings)
    app.state.workers = Workers("server", settings)
    app.state.events = hub = EventHub(libraries, app.state.workers)
    app.state.copies = {each.name: DuplicateSearch(each, hub.teller(each)) for each in libraries}
    app.state.learning = NameLearning()
    answer_errors(app)
    for router in all_routers():
        app.include_router(router)
    app.add_middleware(Limits, settings=settings)  # the last one that is added comes first
    app.add_middleware(Security, settings=settings)
    app.add_middleware(Requests, metrics=app.state.metrics)
    return app
