"""The routes of the API: one module a subject, each with a `router`; `all_routers` lists them."""

from __future__ import annotations

from fastapi import APIRouter

from retrieval.server.routes import (
    browse,
    duplicates,
    embeddings,
    events,
    items,
    library_list,
    names,
    operations,
    page,
    pictures,
    query_pictures,
    search,
)


def all_routers() -> list[APIRouter]:
    """Return the routers of the server, in the order of the API's description."""
    return [
        search.router,
        browse.router,
        duplicates.router,
        names.router,
        query_pictures.router,
        items.router,
        pictures.router,
        embeddings.router,
        library_list.router,
        events.router,
        operations.router,
        page.router,
    ]
