"""`twinlens index`: folders become a library."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import retrieval
from indexer.errors import LibraryMissing
from indexer.photos import MAX_MEGAPIXELS, TRUNCATED
from indexer.videos import MOST_FRAMES
from indexer.view import catalog_path
from indexer.walk import EXCLUDED_DIRS, Found, WalkOptions, walk
from retrieval.cli.codes import ExitCode
from retrieval.cli.console import counted, list_new_skips, note
from retrieval.cli.options import (
    ModelChoice,
    example,
    with_json,
    with_library,
    with_model,
    with_patience,
)
from retrieval.cli.progress import Report, phase, progress

if TYPE_CHECKING:
    from indexer.build import Progress
    from retrieval import Encoder, IndexOptions, IndexReport, Library, Patience

F = TypeVar("F", bound=Callable[..., Any])

MANY = 20
"""New photos from which their rate says something: of fewer, most of the time is the start."""


def with_index_options(function: F) -> Callable[..., Any]:
    """Add what to pass over and how many at once; the command takes `options`."""

    @click.option(
        "-b",
        "--batch-size",
        metavar="N",
        type=click.IntRange(min=1),
        default=64,
        show_default=True,
        help="Photos that the model sees at once.",
    )
    @click.option(
        "--exclude-dir",
        multiple=True,
        metavar="NAME",
        help=f"Name of folders to pass over, beside {', '.join(EXCLUDED_DIRS)}. Repeatable.",
    )
    @click.option("--include-hidden", is_flag=True, help="Index what begins with a dot, too.")
    @click.option(
        "--max-image-megapixels",
        metavar="N",
        type=click.FloatRange(min=0, min_open=True),
        default=MAX_MEGAPIXELS,
        show_default=True,
        help="Skip larger photos.",
    )
    @click.option("--allow-truncated", is_flag=True, help="Index photos whose end is missing.")
    @click.option(
        "--video-frames",
        metavar="N",
        type=click.IntRange(min=1),
        default=MOST_FRAMES,
        show_default=True,
        help="Frames by which a long video is found, at most.",
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
@with_patience
@with_json
def command(
    folders: tuple[Path, ...],
    library: Path,
    model: ModelChoice,
    options: IndexOptions,
    patience: Patience,
    as_json: bool,
) -> int:
    """Index photos, camera RAW, videos and texts.

    What is new or changed below FOLDER is added, what is gone is forgotten. Files that cannot
    be read are skipped and listed. Run it again whenever files have changed; only those are
    read.

    A video is found by frames of it. The RAW of a JPEG and the film of a Live Photo count as one
    with the photo of that name.
    """
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
    new = list_new_skips(done.skipped, done.still)
    truncated = any(skip.reason == TRUNCATED for skip in set(done.skipped) - set(done.still))
    if truncated and not options.decode.allow_truncated:
        note("what is there of truncated photos is read with --allow-truncated")
    click.echo(json.dumps(_as_json(done)) if as_json else sentence(done, report.aside))
    return ExitCode.SKIPPED if new else ExitCode.DONE


def _with_total(
    report: Report, folders: Sequence[Path], options: WalkOptions
) -> Callable[[Progress], None]:
    """Report of how many files; counting them takes time, so it waits for the first new one."""

    @cache
    def total() -> int:
        return sum(isinstance(file, Found) for file in walk(folders, options=options))

    def tell(step: Progress) -> None:
        if step.photos or step.texts or step.unchanged + step.skipped < step.met:
            report(step.files, total(), step.photos)

    return tell


def model_of(folder: Path) -> str:
    """Name the model of a library, or the built-in one where there is none yet."""
    try:
        with retrieval.Library.open(folder) as library:
            return library.model
    except LibraryMissing:
        note(f"making a library at {folder}")
        return "builtin"


def opened_or_made(folder: Path, encoder: Encoder) -> Library:
    """Open a library, or make it: with a model that brings no vectors, it embeds generic texts."""
    if catalog_path(folder).exists():
        return retrieval.Library.open_or_create(folder, encoder)
    with phase("preparing the new library (once)"):
        return retrieval.Library.open_or_create(folder, encoder)


def _as_json(done: IndexReport) -> dict[str, object]:
    """Return what was done as plain values."""
    skipped = [{"path": str(skip.path), "reason": skip.reason} for skip in done.skipped]
    seconds, still = round(done.seconds, 2), len(done.still)
    return {**asdict(done), "skipped": skipped, "seconds": seconds, "still": still}


def sentence(done: IndexReport, aside: float = 0.0) -> str:
    """Say in one line what was done; the speed leaves out what the model's preparation took."""
    things = ((done.photos, "photo"), (done.videos, "video"), (done.texts, "text"))
    rest = (
        (done.moved, "moved"),
        (done.removed, "removed"),
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
