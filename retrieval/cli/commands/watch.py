"""`twinlens watch`: keep the library up to date while its folders change."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

import retrieval
from indexer.core.errors import LibraryLocked, UsageError
from indexer.ingest.ignore_rules import lies_in_excluded
from retrieval.cli.commands.index import model_of, opened_or_made, sentence, with_index_options
from retrieval.cli.console import list_damaged, list_kept, list_skipped, note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import example, with_library, with_model
from retrieval.runtime.model_choice import ModelChoice

if TYPE_CHECKING:
    from watchfiles import Change

    from indexer.catalog.changes import FolderState
    from retrieval import Encoder, IndexOptions, Library

QUIET_MS = 1_600
"""Changes are gathered for so long: a camera's import, or a text that is saved twice."""

LOOK_MS = 2_000
"""So often it is looked whether a folder is another one now: a drive that is back tells nobody."""

AGAIN_SECONDS = 60.0
"""After so long a run that could not begin is tried again: another process was writing."""

BACK_SECONDS = 600.0
"""After so long it is looked whether kept files are back: a share that is back tells nobody."""

Wanted: TypeAlias = "Callable[[Change, str], bool]"


@click.command(epilog=example("twinlens watch ~/Pictures"))
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    metavar="FOLDER...",
    type=click.Path(exists=True, resolve_path=True, path_type=Path),
)
@with_library
@with_model("the library's own, else builtin")
@with_index_options
def command(
    folders: tuple[Path, ...], library: Path, model: ModelChoice, options: IndexOptions
) -> int:
    """Index folders, then keep the library up to date.

    Files that are added, changed, moved or deleted below FOLDER are updated in the library
    within a few seconds. The files of an unplugged drive stay in the library, and are checked
    again when the drive is back. The model stays loaded. Stop it with Ctrl-C or a TERM signal.
    Requires the package watchfiles: pip install 'twinlens[watch]'.
    """
    watched = _Watched(folders, _unless_passed_over(folders, library, options))
    encoder = model.quick(model_of(library))
    with (
        _ended_by_signals(),
        opened_or_made(library, encoder) as opened,
    ):
        index = partial(_index, opened, encoder, folders, options, watched)
        index()
        note("watching; stop with Ctrl-C")
        for _ in watched.bunches():
            index()
    note("stopped watching")
    return ExitCode.DONE


class _Watched:
    """Folders that are watched, whether their drives are there or not.

    Args:
        folders: to watch.
        wanted: which changes count.

    Raises:
        UsageError: the package that watches is not installed.
    """

    def __init__(self, folders: Sequence[Path], wanted: Wanted) -> None:
        try:
            import watchfiles  # noqa: F401 - a model that is loaded first would cost time
        except ImportError as error:
            raise UsageError(
                "watch needs the package watchfiles; install it with: pip install 'twinlens[watch]'"
            ) from error
        self._folders, self._wanted = folders, wanted
        self._states: dict[Path, FolderState | None] = {}
        self._due = math.inf
        self.told: object = None

    def remember(self, folders: Iterable[Path], *, again: float = math.inf) -> None:
        """Look at some folders, too, and index again after so many seconds at the latest."""
        self._due = time.monotonic() + again
        for folder in (*self._folders, *folders):
            self._states.setdefault(folder, _state(folder))

    def bunches(self) -> Iterator[None]:
        """Yield once for each group of changes, for ever.

        What changed before the system began to report changes is in the first bunch; a folder
        that was replaced by another one is watched again.
        """
        while True:
            self._states = {folder: _state(folder) for folder in self._states}
            fresh = True
            for changed in self._changed():
                if fresh or changed or time.monotonic() > self._due:
                    fresh = False
                    yield
                if changed.intersection(self._folders) or not self._is_same():
                    break

    def _changed(self) -> Iterator[set[Path]]:
        """Yield the paths of changes, none every `LOOK_MS` in which there were none."""
        from watchfiles import watch

        there = [folder for folder in self._folders if _is_there(folder)]
        if not there:
            while True:
                time.sleep(LOOK_MS / 1_000)
                yield set()
        try:
            for changes in watch(
                *there,
                watch_filter=self._wanted,
                debounce=QUIET_MS,
                rust_timeout=LOOK_MS,
                yield_on_timeout=True,
                raise_interrupt=True,
            ):
                yield {Path(name) for _, name in changes}
        except FileNotFoundError:
            return  # one of them has gone just now

    def _is_same(self) -> bool:
        """Return whether all folders are those that they were."""
        return all(_state(folder) == state for folder, state in self._states.items())


def _state(folder: Path) -> FolderState | None:
    """Return how a folder is now; None if it cannot be looked at."""
    from indexer.ingest.walker import folder_state

    try:
        return folder_state(folder)
    except OSError:
        return None


def _is_there(folder: Path) -> bool:
    """Return whether a folder, or a single file, is there."""
    try:
        return folder.exists()
    except OSError:
        return False


def _unless_passed_over(folders: Sequence[Path], library: Path, options: IndexOptions) -> Wanted:
    """Ignore changes of the library itself, and of files that no walk visits."""
    own, roots = library.resolve(), tuple(map(os.fspath, folders))

    def wanted(_change: Change, name: str) -> bool:
        path = Path(name)
        if path.is_relative_to(own):
            return False
        return not lies_in_excluded(name, roots, options.walk.exclude_dirs)

    return wanted


def _index(
    library: Library,
    encoder: Encoder,
    folders: tuple[Path, ...],
    options: IndexOptions,
    watched: _Watched,
) -> None:
    """Bring the library up to date, and say what changed."""
    try:
        done = retrieval.index_folders(library, encoder, folders, options=options)
    except (UsageError, LibraryLocked) as error:
        # A drive was unplugged, or another process is writing.
        if str(error) != watched.told:
            note(f"not indexed now: {error}")
        watched.told = str(error)
        watched.remember((), again=AGAIN_SECONDS)
        return
    list_damaged(done.damaged)
    known = set(done.still)
    list_skipped(skip for skip in done.skipped if skip not in known)
    if done.kept and done.kept != watched.told:
        list_kept(done.kept)
    watched.told = done.kept
    drives = [path for path, state in library.catalog.folders().items() if state.mounted]
    gaps = [gap.folder for gap in done.kept]
    watched.remember([*drives, *gaps], again=BACK_SECONDS if gaps else math.inf)
    if done.photos or done.videos or done.texts or done.updated or done.moved or done.removed:
        click.echo(sentence(done))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End on Ctrl-C and TERM: what is committed stays, the rest is dropped."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
