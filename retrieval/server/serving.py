"""Run the server: listen, warm up, answer, and end cleanly when a signal asks for it."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from indexer.core.errors import TwinlensError, UsageError
from retrieval.api import PhotoLibrary
from retrieval.server.app import create_app
from retrieval.server.connections import GuardedConnection
from retrieval.server.libraries import Libraries, ServedLibrary, unique_names
from retrieval.server.settings import ServeSettings

GRACE_SECONDS = 3
"""So long the requests in progress may take once a signal has come."""

HEADER_BYTES = 16_384
"""What the headers of a request may take."""


def serve(
    folders: Sequence[Path],
    settings: ServeSettings,
    *,
    open_library: Callable[[Path], PhotoLibrary],
    started: Callable[[str], None],
) -> None:
    """Serve libraries until a signal ends it.

    Args:
        folders: of the libraries, the default one first.
        settings: of the server.
        open_library: opens the library in a folder.
        started: called with the address once requests are answered.

    Raises:
        UsageError: the port is in use, or the host is not this machine's.
    """
    names = unique_names(folders)
    with listening(settings) as listener:
        libraries = Libraries(
            [
                ServedLibrary(folder, name, settings, open_library)
                for folder, name in zip(folders, names, strict=True)
            ]
        )
        try:
            asyncio.run(_served(libraries, settings, listener, started))
        finally:
            libraries.close()


def listening(settings: ServeSettings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises:
        UsageError: the port is in use, or the host is not this machine's.
    """
    host, port = settings.host, settings.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except socket.gaierror as error:
        raise UsageError(f"--host {host}: no such host ({error.strerror})") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} of {host} is in use, maybe by another twinlens serve; choose another "
                "with --port, or --port 0 for any"
            ) from error
        raise TwinlensError(f"cannot listen on {host}:{port}: {error.strerror}") from error


async def _served(
    libraries: Libraries,
    settings: ServeSettings,
    listener: socket.socket,
    started: Callable[[str], None],
) -> None:
    """Answer requests until a signal comes."""
    app = create_app(libraries, settings)
    app.state.closing = asyncio.Event()
    config = uvicorn.Config(
        app,
        http=GuardedConnection,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    loop = asyncio.get_running_loop()

    def end() -> None:
        app.state.closing.set()
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, end)
    warming = [asyncio.create_task(each.warm_up()) for each in libraries]
    started(settings.address(listener.getsockname()[1]))
    await server._serve([listener])  # `serve` would take the signals
    for task in warming:
        task.cancel()
    app.state.workers.close()
    for copies in app.state.copies.values():
        copies.close()
