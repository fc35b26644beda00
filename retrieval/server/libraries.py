"""The libraries of a server: each is opened when it is there, and works in threads of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import Depends, Query, Request

from indexer.core.errors import LibraryDamaged, LibraryLocked, LibraryMissing, TwinlensError
from retrieval.api import LibraryCounts, PhotoLibrary
from retrieval.server.problems import Problem
from retrieval.server.schemas import LibraryState
from retrieval.server.settings import ServeSettings
from retrieval.server.workers import Workers

T = TypeVar("T")

GRACE_SECONDS = 3.0
"""So long the work in progress may take once the server is to end."""

_VIEWERS = 8  # threads: a browser asks for six pictures at a time, and most wait for a decoder


@dataclass(frozen=True, kw_only=True)
class LibraryStatus:
    """How a served library is, and what it holds.

    Attributes:
        state: of the library.
        message: what is wrong, and what to do about it; empty where nothing is.
        model: the name of its model; empty where it cannot be opened.
        counts: what it holds; None where it cannot be opened.
    """

    state: LibraryState
    message: str = ""
    model: str = ""
    counts: LibraryCounts | None = None


@dataclass(kw_only=True)
class _Opened:
    """An open library, and how many threads work on it; it is closed by the last one."""

    library: PhotoLibrary
    users: int = 0
    retired: bool = False


class ServedLibrary:
    """One library of a server. Routes work on it with `run`.

    It is opened when it is first needed, and again when another library lies in its folder, when
    its model has changed, or when something in it was broken: so it recovers by itself.

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
        self.folder, self.name, self.warm = folder, name, False
        self._open_library, self._settings = open_library, settings
        self.workers = Workers(f"library-{name}", settings)
        self._viewers = Workers(f"pictures-{name}", settings, _VIEWERS)
        self._lock = threading.Lock()
        self._opened: _Opened | None = None
        self._fault = ""

    async def run(self, work: Callable[[PhotoLibrary], T]) -> T:
        """Work on the library in one of its threads, and return what comes out.

        The work may be done twice, where the library is opened anew meanwhile.

        Raises:
            Problem: too many requests wait, or it takes too long.
            TwinlensError: what the work raises, and what opening the library does.
        """
        return await self.workers.run(lambda: self.work(work))

    async def show(self, work: Callable[[PhotoLibrary], T]) -> T:
        """Do what shows pictures, as `run` does, but never in the way of a search."""
        return await self._viewers.run(lambda: self.work(work))

    def work(self, work: Callable[[PhotoLibrary], T]) -> T:
        """Work on the library in this thread; see `run`."""
        try:
            done = self._worked(work)
        except LibraryDamaged:
            try:
                done = self._worked(work)  # it was opened anew
            except LibraryDamaged as error:
                self._fault = str(error)
                raise
        self._fault = ""
        return done

    def status(self) -> LibraryStatus:
        """Say how the library is; for threads. Where something was broken, it is tried again."""
        try:
            if self._fault:
                self.work(_probe)
            model, counts = self.work(lambda library: (library.model, library.counts()))
        except TwinlensError as error:
            return LibraryStatus(state=_state_of(error), message=str(error))
        if counts.items:
            return LibraryStatus(state=LibraryState.READY, model=model, counts=counts)
        fill = f"the library is empty; fill it with: twinlens index FOLDER --library {self.folder}"
        return LibraryStatus(state=LibraryState.EMPTY, message=fill, model=model, counts=counts)

    async def warm_up(self) -> None:
        """Open the library and load its models, if it can be; what is wrong `status` says.

        Then it reads what filters and completions are made of, beside the first searches.
        """
        try:
            await self.run(_probe)
        except (TwinlensError, Problem):
            return
        finally:
            self.warm = True
        with suppress(TwinlensError, Problem):
            await self.run(_browse)

    def close(self, seconds: float = GRACE_SECONDS) -> bool:
        """Let go of the files; return whether the work that has begun ends within some seconds."""
        ended = [pool.close(seconds) for pool in (self.workers, self._viewers)]
        with self._lock:
            self._retire()
        return all(ended)

    @contextmanager
    def leased(self) -> Iterator[PhotoLibrary]:
        """Lend the open library to a thread for as long as it likes; one that breaks is retired."""
        with self._lock:
            opened = self._current()
            opened.users += 1
        try:
            yield opened.library
        except LibraryDamaged:
            with self._lock:
                self._retire(opened)
            raise
        except OSError as error:
            if opened.library.is_current():
                raise
            raise LibraryMissing(f"the library at '{self.folder}' has gone") from error
        finally:
            with self._lock:
                opened.users -= 1
                self._close_unused(opened)

    def _worked(self, work: Callable[[PhotoLibrary], T]) -> T:
        """Work on the library once; one that turns out broken is opened anew the next time."""
        with self.leased() as library:
            return work(library)

    def _current(self) -> _Opened:
        """Return what lies in the folder now, opened."""
        if self._opened is not None and not self._opened.library.is_current():
            self._retire()
        if self._opened is None:
            library = self._open_library(self.folder)
            library.thumbnail_bytes = self._settings.thumbs_bytes
            self._opened = _Opened(library=library)
        return self._opened

    def _retire(self, which: _Opened | None = None) -> None:
        """Let no more work begin on the open library, if it is still the given one."""
        opened = self._opened
        if opened is not None and which in (None, opened):
            opened.retired, self._opened = True, None
            self._close_unused(opened)

    @staticmethod
    def _close_unused(opened: _Opened) -> None:
        """Close a library on which nobody works any more."""
        if opened.retired and not opened.users:
            opened.library.close()


def _probe(library: PhotoLibrary) -> None:
    """Search once: it loads the models, and reads what searches read."""
    library.search(library.query("a photo"), k=1)


def _browse(library: PhotoLibrary) -> None:
    """Read what photos say; it is kept, and only what is added is read again."""
    library.facets()
    library.suggest("a photo")


def _state_of(error: TwinlensError) -> LibraryState:
    """Say how a library is that cannot be worked on."""
    if isinstance(error, LibraryMissing):
        return LibraryState.MISSING
    return LibraryState.LOCKED if isinstance(error, LibraryLocked) else LibraryState.DAMAGED


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

    def close(self, seconds: float = GRACE_SECONDS) -> bool:
        """Close all; return whether all work ends within some seconds."""
        ended = [each.close(seconds) for each in self]
        return all(ended)


def unique_names(folders: Sequence[Path]) -> list[str]:
    """Name libraries by their folders, without suffix; a name that is taken gets a number."""
    names: list[str] = []
    for folder in folders:
        stem = folder.stem or "library"
        same = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(folders) + 1))
        names.append(next(name for name in same if name not in names))
    return names


async def libraries_of(request: Request) -> Libraries:
    """Return the libraries of the server; a dependency of routes.

    Dependencies are asynchronous: FastAPI would start a thread for any other.
    """
    found: Libraries = request.app.state.libraries
    return found


async def _chosen(
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
