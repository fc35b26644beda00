"""The routes of the API: one module a subject, each with a `router`; `all_routers` lists them."""

from __future__ import annotations

from fastapi import APIRouter

from retrieval.server.routes import (
    embeddings,
    items,
    library_list,
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
        query_pictures.router,
        items.router,
        pictures.router,
        embeddings.router,
        library_list.router,
        operations.router,
        page.router,
    ]
