"""Names that a library learned from photos, for queries."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response

from indexer.core.types import readable
from retrieval.api import PhotoLibrary
from retrieval.concepts import Concept
from retrieval.errors import ConceptInvalid
from retrieval.server.browsing_schemas import LearnBody, LearnedAnswer, NameModel, NamesAnswer
from retrieval.server.events import EventHub
from retrieval.server.learning import NameLearning
from retrieval.server.libraries import ChosenLibrary
from retrieval.server.problems import Problem

router = APIRouter(prefix="/api/v1/names", tags=["names"])


@router.get("", operation_id="names")
async def names(chosen: ChosenLibrary) -> NamesAnswer:
    """List the names that a library learned."""

    def work(library: PhotoLibrary) -> NamesAnswer:
        return NamesAnswer(names=[_model(each, library) for each in library.names()])

    return await chosen.run(work)


@router.post("", operation_id="learn_name")
async def learn_name(
    request: Request, chosen: ChosenLibrary, body: Annotated[LearnBody, Body()]
) -> LearnedAnswer:
    """Learn a name from about five photos; it takes half a minute, told by `learning` events."""
    learning: NameLearning = request.app.state.learning
    hub: EventHub = request.app.state.events
    await chosen.run(lambda library: library.check_name(body.name))

    def progress(done: int, total: int) -> None:
        told = {"name": chosen.name, "learns": readable(body.name), "done": done, "total": total}
        hub.publish("learning", told)

    wanted = {
        "library": str(chosen.folder),
        "name": body.name,
        "items": body.items,
        "like": body.like,
    }
    return LearnedAnswer(**await learning.learn(wanted, progress))


@router.delete(
    "/{name:path}",
    operation_id="forget_name",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
)
async def forget_name(
    chosen: ChosenLibrary, name: Annotated[str, Path(min_length=1, max_length=200)]
) -> Response:
    """Forget a name; the photos stay as they are."""

    def work(library: PhotoLibrary) -> None:
        try:
            library.forget_name(name)
        except ConceptInvalid as error:
            raise Problem("not_found", readable(str(error))) from error

    await chosen.run(work)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _model(concept: Concept, library: PhotoLibrary) -> NameModel:
    """Return a name as the API shows it."""
    return NameModel(
        name=readable(concept.name),
        like=readable(concept.like),
        photos=concept.photos,
        model=readable(concept.model),
        usable=library.knows_name(concept),
    )
