"""`twinlens serve`: search in the browser, and by HTTP."""

from __future__ import annotations

import logging
import os
import webbrowser
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retrieval._extras import require_extra
from retrieval.cli.console import note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import LIBRARY_VARIABLE, default_library, example, with_model
from retrieval.runtime.model_choice import ModelChoice

if TYPE_CHECKING:
    from retrieval.api import PhotoLibrary
    from retrieval.search.library_search import ModelPool

TOKEN_VARIABLE = "TWINLENS_TOKEN"


@click.command(
    epilog=example("twinlens serve --open", "twinlens serve --library a.lib --library b.lib")
)
@click.option(
    "--library",
    "libraries",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    envvar=LIBRARY_VARIABLE,
    help="Folder of a library; give it again to serve several "
    f"[default: ${LIBRARY_VARIABLE}, else your data folder].",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Any but this machine's own needs a token.",
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65_535),
    default=7878,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--token",
    metavar="WORD",
    envvar=TOKEN_VARIABLE,
    help=f"Secret that every request must bring [default: ${TOKEN_VARIABLE}].",
)
@click.option(
    "--allow-host",
    "names",
    metavar="NAME",
    multiple=True,
    help="Further host name under which the server may be asked.",
)
@click.option(
    "--thumbs-size",
    metavar="MB",
    type=click.IntRange(min=1),
    default=1_024,
    show_default=True,
    help="What the thumbnails of a library may take on the disk.",
)
@click.option(
    "--access-log",
    is_flag=True,
    help="Print a line for each request, on stderr; it does not say what was searched for.",
)
@with_model("the library's own")
def command(  # noqa: PLR0913 - one an option
    libraries: tuple[Path, ...],
    host: str,
    port: int,
    open_browser: bool,
    token: str | None,
    names: tuple[str, ...],
    thumbs_size: int,
    access_log: bool,
    model: ModelChoice,
) -> int:
    """Search in the browser: serve a page and an HTTP API.

    The page is at the address that is printed; the API is described at /openapi.json. The model
    stays loaded, and photos that are indexed meanwhile are found at once. Only this machine can
    ask, unless --host says otherwise. Stop it with Ctrl-C or a TERM signal.
    Requires packages of an extra: pip install 'twinlens[serve]'.
    """
    require_extra("serve", ("fastapi", "uvicorn"), "serve")
    from retrieval.server.memory import keep_little_memory
    from retrieval.server.settings import ServeSettings

    keep_little_memory()
    if access_log:
        logging.basicConfig(format="%(asctime)s %(message)s")
        logging.getLogger("twinlens.server").setLevel(logging.INFO)
    settings = ServeSettings(
        host=host, port=port, token=token, names=names, thumbs_bytes=thumbs_size << 20
    )
    folders = [each.expanduser() for each in libraries] or [default_library()]
    from retrieval.search.library_search import ModelPool
    from retrieval.server.serving import LibraryServer

    server = LibraryServer(folders, settings, partial(_opened, model, ModelPool()))
    ended = server.run(partial(_started, token, open_browser))
    note("stopped serving")
    if not ended:  # a thread that works on would keep the process
        os._exit(ExitCode.DONE)
    return ExitCode.DONE


def _opened(model: ModelChoice, pool: ModelPool, folder: Path) -> PhotoLibrary:
    """Open a library that is there."""
    from retrieval.api import PhotoLibrary

    return PhotoLibrary.open(
        folder, model.spec, device=model.device, create=False, note=model.note, models=pool
    )


def _started(token: str | None, open_browser: bool, address: str) -> None:
    """Say where the page is, and open it."""
    note(f"serving at {address}; stop with Ctrl-C")
    if open_browser:
        webbrowser.open(f"{address}?token={token}" if token else address)
