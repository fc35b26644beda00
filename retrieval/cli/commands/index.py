"""`twinlens index`: add the files of folders to a library."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import retrieval
from indexer.catalog.reader import catalog_path
from indexer.core.errors import LibraryMissing
from indexer.ingest.ignore_rules import EXCLUDED_DIRS
from indexer.ingest.walker import FoundFile, WalkOptions, walk
from indexer.media.image import MAX_MEGAPIXELS, TRUNCATED
from indexer.media.picture_text import check_text_reader
from indexer.media.video import MOST_FRAMES
from retrieval.cli.commands.read import read_with_progress
from retrieval.cli.console import counted, list_damaged, list_kept, list_new_skips, note
from retrieval.cli.exit_codes import ExitCode
from retrieval.cli.options import (
    example,
    with_json,
    with_library,
    with_model,
    with_patience,
)
from retrieval.cli.progress import Report, phase, progress
from retrieval.runtime.model_choice import ModelChoice

if TYPE_CHECKING:
    from indexer.ingest.index_report import IndexProgress
    from retrieval import Encoder, IndexOptions, IndexReport, Library, LockTimeout

F = TypeVar("F", bound=Callable[..., Any])

MOST_SUFFIXES = 8
"""Suffixes of skipped files that are named."""

MANY = 20
"""New photos from which their rate says something: of fewer, most of the time is the start."""


def with_index_options(function: F) -> Callable[..., Any]:
    """Add the options of an index run; the command takes `options`."""

    @click.option(
        "-b",
        "--batch-size",
        metavar="N",
        type=click.IntRange(min=1),
        default=64,
        show_default=True,
        help="Number of photos that the model encodes at once.",
    )
    @click.option(
        "--exclude-dir",
        multiple=True,
        metavar="NAME",
        help="Name of folders to skip, in addition to folders of trash, snapshots, thumbnails and "
        "the system. Repeatable.",
    )
    @click.option(
        "--include-hidden",
        is_flag=True,
        help="Also index files and folders whose name begins with a dot.",
    )
    @click.option(
        "--max-image-megapixels",
        metavar="N",
        type=click.FloatRange(min=0, min_open=True),
        default=MAX_MEGAPIXELS,
        show_default=True,
        help="Skip photos of more megapixels.",
    )
    @click.option(
        "--allow-truncated",
        is_flag=True,
        help="Also index photos whose end is missing, by the part that is left.",
    )
    @click.option(
        "--video-frames",
        metavar="N",
        type=click.IntRange(min=1),
        default=MOST_FRAMES,
        show_default=True,
        help="Index at most N frames of a video.",
    )
    @wraps(function)
    def wrapped(
        *,
        batch_size: int,
        exclude_dir: tuple[str, ...],
        include_hidden: bool,
        max_image_megapixels: float,
        allow_truncated: bool,
        video_frames: int,
        **others: Any,
    ) -> Any:
        options = retrieval.IndexOptions(
            batch_size=batch_size,
            decode=retrieval.DecodeOptions(
                max_megapixels=max_image_megapixels,
                frames=video_frames,
                allow_truncated=allow_truncated,
            ),
            walk=WalkOptions(
                exclude_dirs=(*EXCLUDED_DIRS, *exclude_dir), include_hidden=include_hidden
            ),
        )
        return function(options=options, **others)

    return wrapped


def with_prune(function: F) -> Callable[..., Any]:
    """Add `--prune`, below `with_index_options`, whose options it becomes a part of."""

    @click.option(
        "--prune",
        is_flag=True,
        help="Remove all files that are not found, even if their drive may be unplugged.",
    )
    @wraps(function)
    def wrapped(*, options: IndexOptions, prune: bool, **others: Any) -> Any:
        return function(options=replace(options, prune=prune), **others)

    return wrapped


@click.command(epilog=example("twinlens index ~/Pictures ~/notes --exclude-dir thumbnails"))
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
@with_prune
@click.option("--ocr", is_flag=True, help="Then read the text that photos show: see twinlens read.")
@with_patience
@with_json
def command(  # noqa: PLR0913 - an option each
    folders: tuple[Path, ...],
    library: Path,
    model: ModelChoice,
    options: IndexOptions,
    ocr: bool,
    patience: LockTimeout,
    as_json: bool,
) -> int:
    """Index photos, camera RAW, videos and texts.

    New and changed files below FOLDER are added, and deleted files are removed. Run it again
    whenever files have changed; it reads only those. Files that cannot be read are skipped and
    listed.

    If a whole folder or a large share of the files is not found, the drive may be unplugged.
    Such files stay in the library and are reported, until they are back or --prune removes them.

    A video is found by its frames. A RAW file and the video of a Live Photo form one item with
    the photo of the same name.
    """
    if ocr:
        check_text_reader()
    encoder = model.quick(model_of(library))
    with (
        opened_or_made(library, encoder) as opened,
        opened.writing(patience),
        progress("indexing", last="updating the search index") as report,
    ):
        done = retrieval.index_folders(
            opened,
            encoder,
            folders,
            options=options,
            progress=_with_total(report, folders, options.walk),
        )
    list_damaged(done.damaged)
    new = list_new_skips(done.skipped, done.still)
    list_kept(done.kept)
    truncated = any(skip.reason == TRUNCATED for skip in set(done.skipped) - set(done.still))
    if truncated and not options.decode.allow_truncated:
        note("to index the readable part of truncated photos, add --allow-truncated")
    note(passed_over(done.passed_over))
    click.echo(json.dumps(_as_json(done)) if as_json else sentence(done, report.aside))
    if ocr:
        with retrieval.PhotoLibrary.open(library, timeout=patience) as photos:
            read_with_progress(photos, folders)
    if sys.stderr.isatty() and not as_json:
        from retrieval.cli.better_model import better_model_hint

        note(better_model_hint(encoder.name))
    return ExitCode.SKIPPED if new or done.kept else ExitCode.DONE


def _with_total(
    report: Report, folders: Sequence[Path], options: WalkOptions
) -> Callable[[IndexProgress], None]:
    """Report of how many files; counting them takes time, so it waits for the first new one."""

    @cache
    def total() -> int:
        return sum(isinstance(file, FoundFile) for file in walk(folders, options=options))

    def tell(step: IndexProgress) -> None:
        if step.photos or step.texts or step.unchanged + step.skipped < step.met:
            report(step.files, total(), step.photos)

    return tell


def model_of(folder: Path) -> str:
    """Name the model of a library, or the built-in one where there is none yet."""
    try:
        with retrieval.Library.open(folder) as library:
            return library.model
    except LibraryMissing:
        note(f"creating a library at {folder}")
        return "builtin"


def passed_over(counts: Mapping[str, int]) -> str:
    """Say how many files have unsupported suffixes; empty for none."""
    if not counts:
        return ""
    shown = [f"{count:,} {suffix or 'without a suffix'}" for suffix, count in counts.items()]
    more = [f"{sum(list(counts.values())[MOST_SUFFIXES:]):,} of other suffixes"]
    told = ", ".join(shown[:MOST_SUFFIXES] + (more if len(shown) > MOST_SUFFIXES else []))
    return f"ignored {counted(sum(counts.values()), 'file')} with unsupported suffixes: {told}"


def opened_or_made(folder: Path, encoder: Encoder) -> Library:
    """Open or create a library; a model without reference vectors first embeds generic texts."""
    if catalog_path(folder).exists():
        return retrieval.Library.open_or_create(folder, encoder)
    with phase("preparing the new library (once)"):
        return retrieval.Library.open_or_create(folder, encoder)


def _as_json(done: IndexReport) -> dict[str, object]:
    """Return what was done as plain values; what was kept, only if there is any."""
    skipped, damaged = (
        [{"path": str(each.path), "reason": each.reason} for each in files]
        for files in (done.skipped, done.damaged)
    )
    kept = [{**asdict(gap), "folder": str(gap.folder)} for gap in done.kept]
    told: dict[str, object] = asdict(done)
    told |= {"skipped": skipped, "damaged": damaged, "still": len(done.still)}
    told["seconds"] = round(done.seconds, 2)
    del told["kept"]
    return {**told, "kept": kept} if kept else told


def sentence(done: IndexReport, aside: float = 0.0) -> str:
    """Summarise the run in one line; the speed leaves out the time of preparing the model."""
    things = ((done.photos, "photo"), (done.videos, "video"), (done.texts, "text"))
    rest = (
        (done.moved, "moved"),
        (done.removed, "removed"),
        (sum(gap.files for gap in done.kept), "kept, not reachable"),
        (done.unchanged, "unchanged"),
        (len(done.skipped) - len(done.still), "skipped"),
        (len(done.still), "still skipped"),
    )
    parts = [f"{counted(count, what)} added" for count, what in things if count]
    parts += [f"{counted(done.updated, 'file')} updated"] if done.updated else []
    parts += [f"{count:,} {what}" for count, what in rest if count]
    told = f"{', '.join(parts) or 'nothing to index'} in {done.seconds:.1f} s"
    if done.photos < MANY:
        return told
    prepared = f", {aside:.0f} s of them for preparing the model" if aside >= 1 else ""
    speed = done.photos / max(done.seconds - aside, 1e-9)
    return f"{told}{prepared}, {speed:.0f} photos/s on {done.device}"
