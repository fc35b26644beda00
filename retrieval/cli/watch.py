"""`twinlens watch`: the library follows folders."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

import retrieval
from indexer.errors import LibraryLocked, UsageError
from retrieval.cli.codes import ExitCode
from retrieval.cli.console import list_skipped, note
from retrieval.cli.index import model_of, opened_or_made, sentence, with_index_options
from retrieval.cli.options import ModelChoice, example, with_library, with_model

if TYPE_CHECKING:
    from watchfiles import Change

    from retrieval import Encoder, IndexOptions, Library

QUIET_MS = 1_600
"""Changes are gathered for so long: a camera's import, or a text that is saved twice."""

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
    """Index folders, then keep the library up with them.

    What comes, changes, moves or goes below FOLDER is in the library a few seconds later. The
    model stays loaded. Ends with Ctrl-C or a TERM signal. Needs the package watchfiles.
    """
    changes = _changes(folders, _unless_passed_over(library, options))
    encoder = model.quick(model_of(library))
    with (
        _ended_by_signals(),
        opened_or_made(library, encoder) as opened,
    ):
        _index(opened, encoder, folders, options)
        note("watching; Ctrl-C ends it")
        for _ in changes:
            _index(opened, encoder, folders, options)
    note("no longer watching")
    return ExitCode.DONE


def _changes(folders: tuple[Path, ...], wanted: Wanted) -> Iterator[object]:
    """Yield once for each bunch of changes.

    Raises:
        UsageError: the package that watches is not installed.
    """
    try:
        from watchfiles import watch
    except ImportError as error:
        raise UsageError(
            "watching takes the package watchfiles; install it with: pip install 'twinlens[watch]'"
        ) from error
    return watch(*folders, watch_filter=wanted, debounce=QUIET_MS, raise_interrupt=True)


def _unless_passed_over(library: Path, options: IndexOptions) -> Wanted:
    """Ignore changes of the library itself, and of what no walk looks at."""
    own = library.resolve()

    def wanted(_change: Change, name: str) -> bool:
        path = Path(name)
        if path.is_relative_to(own):
            return False
        return not set(options.walk.exclude_dirs).intersection(path.parts)

    return wanted


def _index(
    library: Library, encoder: Encoder, folders: tuple[Path, ...], options: IndexOptions
) -> None:
    """Bring the library up to date, and say what changed."""
    try:
        done = retrieval.index_folders(library, encoder, folders, options=options)
    except (UsageError, LibraryLocked) as error:
        note(f"not now: {error}")  # a drive was unplugged, or another process is writing
        return
    known = set(done.still)
    list_skipped(skip for skip in done.skipped if skip not in known)
    if done.photos or done.videos or done.texts or done.updated or done.moved or done.removed:
        click.echo(sentence(done))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Take Ctrl-C and TERM for a wish to end: what is committed stays, the rest is dropped."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
