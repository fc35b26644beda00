"""The page: static files of this package, at / and below /page."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

FOLDER = Path(__file__).parent.parent / "page"

router = APIRouter(include_in_schema=False)


@router.get("/")
async def index() -> FileResponse:
    """Return the page."""
    return FileResponse(FOLDER / "index.html", headers={"Cache-Control": "no-cache"})


@router.get("/favicon.ico")
async def icon() -> FileResponse:
    """Return the icon of the page."""
    return FileResponse(FOLDER / "icon.svg", media_type="image/svg+xml")
