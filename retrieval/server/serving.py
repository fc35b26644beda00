"""Run the server: listen, warm up, answer, and end cleanly when a signal asks for it."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from indexer.core.errors import TwinlensError, UsageError
from retrieval.api import PhotoLibrary
from retrieval.server.app import create_app
from retrieval.server.connections import GuardedConnection
from retrieval.server.libraries import GRACE_SECONDS, Libraries, ServedLibrary, unique_names
from retrieval.server.settings import ServeSettings

HEADER_BYTES = 16_384
"""What the headers of a request may take."""


class LibraryServer:
    """A server of some libraries: `run` it, and `stop` it from another thread or by a signal.

    Args:
        folders: of the libraries, the default one first.
        settings: of the server.
        open_library: opens the library in a folder.

    Attributes:
        address: of the page.
        libraries: that it serves.
        app: what answers.
        warming: the tasks that load the models.

    Raises:
        UsageError: the port is in use, or the host is not this machine's.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        settings: ServeSettings,
        open_library: Callable[[Path], PhotoLibrary],
    ) -> None:
        self._listener = listening(settings)
        self.address = settings.address(self._listener.getsockname()[1])
        named = zip(folders, unique_names(folders), strict=True)
        self.libraries = Libraries(
            [ServedLibrary(folder, name, settings, open_library) for folder, name in named]
        )
        self.app = create_app(self.libraries, settings)
        self._server = uvicorn.Server(_config(self.app))
        self._loop: asyncio.AbstractEventLoop | None = None
        self.warming: list[asyncio.Task[None]] = []

    def run(self, started: Callable[[str], None] = lambda _: None) -> bool:
        """Answer requests until the end; return whether all work has ended, too.

        Args:
            started: called with the address once requests are answered.
        """
        with self._ended_by_signals():
            asyncio.run(self._run(started))
        return self.libraries.close(GRACE_SECONDS)

    def stop(self) -> None:
        """Let the server end: streams at once, other requests within `GRACE_SECONDS`."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end)

    @contextmanager
    def _ended_by_signals(self) -> Iterator[None]:
        """End at Ctrl-C and TERM, if it runs in the thread that gets them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {each: signal.signal(each, lambda *_: self.stop()) for each in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self) -> None:
        """End the main loop and all streams; the second time, whatever is in progress."""
        self._server.force_exit = self._server.should_exit
        self._server.should_exit = True
        self.app.state.closing.set()

    async def _run(self, started: Callable[[str], None]) -> None:
        """Answer requests until `_end`."""
        self._loop = asyncio.get_running_loop()
        self.app.state.closing = asyncio.Event()
        self.warming = [asyncio.create_task(each.warm_up()) for each in self.libraries]
        started(self.address)
        await self._server._serve([self._listener])  # `serve` would take the signals
        for task in self.warming:
            task.cancel()
        self.app.state.workers.close(0)
        for copies in self.app.state.copies.values():
            copies.close()


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


def _config(app: Callable[..., object]) -> uvicorn.Config:
    """Return how uvicorn runs an application; what it says itself goes nowhere."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    return uvicorn.Config(
        app,
        http=GuardedConnection,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=round(GRACE_SECONDS),
    )
