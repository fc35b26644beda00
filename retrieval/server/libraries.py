"""The libraries of a server: each is opened when it is there, and works in threads of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import Depends, Query, Request

from indexer.core.errors import LibraryDamaged, LibraryLocked, LibraryMissing, TwinlensError
from retrieval.api import PhotoLibrary
from retrieval.server.problems import Problem
from retrieval.server.schemas import LibraryModel
from retrieval.server.settings import ServeSettings

T = TypeVar("T")


class LibraryState(StrEnum):
    """How a served library is."""

    READY = "ready"
    EMPTY = "empty"
    MISSING = "missing"
    LOCKED = "locked"
    DAMAGED = "damaged"


class ServedLibrary:
    """One library of a server. Routes work on it with `run`.

    Args:
        folder: of the library.
        name: under which requests choose it.
        settings: of the server.
        open_library: opens the library in a folder.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        settings: ServeSettings,
        open_library: Callable[[Path], PhotoLibrary],
    ) -> None:
        self.folder, self.name = folder, name
        self._settings, self._open = settings, open_library
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix=f"library-{name}")
        self._opening = threading.Lock()
        self._library: PhotoLibrary | None = None
        self._busy, self.warm = 0, False

    async def run(self, work: Callable[[PhotoLibrary], T]) -> T:
        """Work on the library in one of its threads, and return what comes out.

        Raises:
            Problem: too many requests wait, or it takes too long.
            TwinlensError: what the work raises, and what opening the library does.
        """
        if self._busy >= self._settings.workers + self._settings.waiting:
            raise Problem("busy", "too many requests wait; ask again in a moment", retry_after=1)
        self._busy += 1
        future = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: work(self.opened())
        )
        future.add_done_callback(lambda _: self._leave())
        try:
            return await asyncio.wait_for(future, self._settings.deadline)
        except TimeoutError as error:
            seconds = self._settings.deadline
            raise Problem("timeout", f"it took more than {seconds:g} seconds") from error

    def opened(self) -> PhotoLibrary:
        """Return the open library; open it the first time. For threads that work on it."""
        with self._opening:
            if self._library is None:
                self._library = self._open(self.folder)
            return self._library

    def warm_up(self) -> None:
        """Open the library and load its models, if it can be, in a thread of its own."""
        threading.Thread(target=self._warmed, name=f"warm-{self.name}", daemon=True).start()

    def described(self) -> LibraryModel:
        """Say how the library is and what it holds; for threads."""
        state, message = self.state()
        there = state in (LibraryState.READY, LibraryState.EMPTY)
        info = self.opened().info() if there else None
        return LibraryModel(
            name=self.name,
            state=state,
            message=message,
            photos=info.photos if info else 0,
            videos=info.videos if info else 0,
            texts=info.texts if info else 0,
            model=info.model if info else "",
        )

    def state(self) -> tuple[LibraryState, str]:
        """Say how the library is, and what to do about it; for threads that work on it."""
        try:
            info = self.opened().info()
        except LibraryMissing as error:
            return LibraryState.MISSING, str(error)
        except LibraryLocked as error:
            return LibraryState.LOCKED, str(error)
        except (LibraryDamaged, TwinlensError) as error:
            return LibraryState.DAMAGED, str(error)
        if info.photos + info.videos + info.texts:
            return LibraryState.READY, ""
        fill = f"the library is empty; fill it with: twinlens index FOLDER --library {self.folder}"
        return LibraryState.EMPTY, fill

    def close(self) -> None:
        """Let go of the files and threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._library is not None:
            self._library.close()

    def _leave(self) -> None:
        """Count a request that is done."""
        self._busy -= 1

    def _warmed(self) -> None:
        """Search once, so that the models are loaded; what is wrong is said by `state`."""
        try:
            self.opened().search("a photo", k=1, rerank=True)
        except TwinlensError:
            return
        finally:
            self.warm = True


class Libraries:
    """The libraries of a server, the default one first."""

    def __init__(self, served: Sequence[ServedLibrary]) -> None:
        self._served = {each.name: each for each in served}

    def __iter__(self) -> Iterator[ServedLibrary]:
        return iter(self._served.values())

    def named(self, name: str | None) -> ServedLibrary:
        """Return a library by its name; the first one without.

        Raises:
            Problem: there is none of that name.
        """
        found = next(iter(self)) if name is None else self._served.get(name)
        if found is None:
            known = ", ".join(self._served)
            raise Problem("not_found", f"no library is called '{name}'; there are: {known}")
        return found

    def close(self) -> None:
        """Close all."""
        for each in self:
            each.close()


def unique_names(folders: Sequence[Path]) -> list[str]:
    """Name libraries by their folders, without suffix; a name that is taken gets a number."""
    names: list[str] = []
    for folder in folders:
        stem = folder.stem or "library"
        same = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(folders) + 1))
        names.append(next(name for name in same if name not in names))
    return names


def libraries_of(request: Request) -> Libraries:
    """Return the libraries of the server; a dependency of routes."""
    found: Libraries = request.app.state.libraries
    return found


def _chosen(
    every: Annotated[Libraries, Depends(libraries_of)],
    library: Annotated[
        str | None, Query(description="The library to ask; the first one without.")
    ] = None,
) -> ServedLibrary:
    """Return the library that a request names."""
    return every.named(library)


EveryLibrary = Annotated[Libraries, Depends(libraries_of)]
"""A parameter of a route that takes all libraries."""

ChosenLibrary = Annotated[ServedLibrary, Depends(_chosen)]
"""A parameter of a route that takes the library that the request names with `library=`."""
