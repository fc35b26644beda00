"""Events for pages that are open: what changes in the libraries, and how far long work is.

The libraries are looked at once a second, and only while somebody listens.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from indexer.core.errors import TwinlensError
from retrieval.server.libraries import Libraries, ServedLibrary
from retrieval.server.library_models import described
from retrieval.server.problems import Problem
from retrieval.server.schemas import LibraryModel
from retrieval.server.workers import Workers

EVERY_SECONDS = 1.0
"""So often it is looked whether anything has changed."""

HEARTBEAT_SECONDS = 15.0
"""A connection on which nothing was sent for so long gets a comment, so that it is not dropped."""

MOST_LISTENERS = 32

RETRY_MS = 3_000
"""After so long a browser connects again."""

_WAITING = 100  # events that a listener may be behind; one that is slower is let go


class EventHub:
    """Passes events on to all who listen. It belongs to one event loop.

    Args:
        libraries: that are looked at.
        workers: threads in which they are.
    """

    def __init__(self, libraries: Libraries, workers: Workers) -> None:
        self._libraries, self._workers = libraries, workers
        self._queues: set[asyncio.Queue[str | None]] = set()
        self._known: dict[str, LibraryModel] = {}
        self._looking: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._queues)

    def publish(self, event: str, told: Mapping[str, Any]) -> None:
        """Send an event to all who listen; any thread may."""
        text = f"event: {event}\ndata: {json.dumps(told)}\n\n"
        loop = self._loop
        if loop is not None and self._queues:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._pass_on, text)

    def teller(self, served: ServedLibrary) -> Callable[[int, int], None]:
        """Return what tells how far the comparison of a library's photos is."""

        def tell(done: int, total: int) -> None:
            self.publish("duplicates", {"name": served.name, "done": done, "total": total})

        return tell

    def check_room(self) -> None:
        """Refuse one listener too many.

        Raises:
            Problem: there are too many.
        """
        if len(self._queues) >= MOST_LISTENERS:
            raise Problem(
                "busy",
                f"{MOST_LISTENERS} pages are open; close some, or reload this one later",
                retry_after=5,
            )

    async def listen(self, closing: asyncio.Event) -> AsyncIterator[str]:
        """Yield events as they are written on a connection, first how each library is.

        Args:
            closing: is set when the server ends.
        """
        queue: asyncio.Queue[str | None] = asyncio.Queue(_WAITING)
        self._enter(queue)
        ended = asyncio.ensure_future(closing.wait())
        try:
            yield f"retry: {RETRY_MS}\n\n"
            for model in self._known.values():
                yield _written(model)
            while not closing.is_set():
                text = await _next(queue, ended)
                if text is None:
                    return
                yield text
        finally:
            ended.cancel()
            self._leave(queue)

    def _enter(self, queue: asyncio.Queue[str | None]) -> None:
        """Begin to pass events on; the first listener begins the looking."""
        self._loop = asyncio.get_running_loop()
        self._queues.add(queue)
        if self._looking is None or self._looking.done():
            self._known.clear()
            self._looking = self._loop.create_task(self._look())

    def _leave(self, queue: asyncio.Queue[str | None]) -> None:
        """Pass no more events on; the last listener ends the looking."""
        self._queues.discard(queue)
        if not self._queues and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _pass_on(self, text: str) -> None:
        """Give an event to all; who is far behind is let go."""
        for queue in list(self._queues):
            try:
                queue.put_nowait(text)
            except asyncio.QueueFull:
                self._queues.discard(queue)
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(None)

    async def _look(self) -> None:
        """Look at the libraries for as long as somebody listens."""
        while self._queues:
            for served in self._libraries:
                with suppress(Problem, TwinlensError, OSError):  # too busy, or going just now
                    self._noted(await self._workers.run(partial(described, served)))
            await asyncio.sleep(EVERY_SECONDS)

    def _noted(self, model: LibraryModel) -> None:
        """Tell what has changed in a library."""
        before = self._known.get(model.name)
        if model == before:
            return
        self._known[model.name] = model
        if before is None or model.indexing is None or not _is_alike(before, model):
            self._pass_on(_written(model))
        if model.indexing is not None:
            told = {"name": model.name, **model.indexing.model_dump(mode="json")}
            self._pass_on(f"event: index\ndata: {json.dumps(told)}\n\n")


def _is_alike(one: LibraryModel, other: LibraryModel) -> bool:
    """Tell whether two states of a library differ in the progress of an index run alone."""
    return one.model_copy(update={"indexing": None}) == other.model_copy(update={"indexing": None})


def _written(model: LibraryModel) -> str:
    """Write the event of a library."""
    return f"event: library\ndata: {model.model_dump_json()}\n\n"


async def _next(queue: asyncio.Queue[str | None], ended: asyncio.Future[Any]) -> str | None:
    """Return the next event, or a comment after a while; None at the end."""
    getting = asyncio.ensure_future(queue.get())
    try:
        await asyncio.wait(
            (getting, ended), timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if ended.done():
            return None
        return getting.result() if getting.done() else ": still here\n\n"
    finally:
        getting.cancel()
