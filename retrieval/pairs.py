"""Image-text pairs, from the forms that people have them in.

| source | form |
|---|---|
| `x.jsonl` | `{"image": "path relative to the file", "captions": ["...", ...]}` a line |
| `x.csv`, `x.tsv` | a header with an image column and a caption column, one caption a row |
| a folder | photos, each with a same-named `.txt`, one caption a line |
| `x.tar`, `{00..09}.tar`, a folder of `.tar` | webdataset: `key.jpg` + `key.txt` or `key.json` |

Nothing is decoded here; a photo is opened when it is asked for. A row that cannot be used is
kept in `PairSet.skipped` with its reason.
"""

from __future__ import annotations

import csv
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from indexer.photos import read_photo
from indexer.types import Skip
from retrieval.errors import PairsInvalid

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
IMAGE_COLUMNS = ("image", "filepath", "path", "file", "filename", "image_path")
WHOLE = 1 << 15  # pixels a side that no photo exceeds: decode all there is
CAPTION_COLUMNS = ("captions", "caption", "title", "text", "description")


@dataclass(frozen=True, kw_only=True)
class PhotoFile:
    """A photo that is a file of its own, or `size` bytes at `offset` of a tar shard."""

    path: Path
    offset: int = 0
    size: int | None = None

    def read(self) -> bytes:
        """Return the encoded bytes (JPEG, PNG, …)."""
        if self.size is None:
            return self.path.read_bytes()
        with self.path.open("rb") as shard:
            shard.seek(self.offset)
            return shard.read(self.size)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One photo and its captions (at least one). `name` is unique within a source."""

    name: str
    photo: PhotoFile
    captions: tuple[str, ...]

    def open(self, *, size_hint: int = WHOLE) -> Image.Image:
        """Decode the photo, upright and RGB; the decoder may stop at twice `size_hint` pixels.

        Raises:
            FileUnreadable: the photo is missing or broken.
        """
        source = self.photo.path if self.photo.size is None else self.photo.read()
        return read_photo(source, size_hint=size_hint)


@dataclass(frozen=True, kw_only=True)
class PairSet:
    """The usable pairs of a source, and what was left out.

    `uncaptioned` are photos without any caption: training leaves them out, an evaluation
    over them would be wrong.
    """

    pairs: tuple[Pair, ...]
    skipped: tuple[Skip, ...] = ()
    uncaptioned: tuple[Skip, ...] = ()


def read_pairs(source: Path) -> PairSet:
    """Read every pair of one source; see the module's table for the forms.

    Raises:
        PairsInvalid: the source is missing, of no known form, or holds no usable pair.
    """
    rows = list(_rows(source))
    pairs = [row for row in rows if isinstance(row, Pair)]
    merged = tuple(_merge(pairs))
    captioned = tuple(pair for pair in merged if pair.captions)
    if not captioned:
        raise PairsInvalid(f"no usable image-text pair in '{source}'{_why(rows, merged)}")
    return PairSet(
        pairs=captioned,
        skipped=tuple(row for row in rows if isinstance(row, Skip)),
        uncaptioned=tuple(
            Skip(path=pair.photo.path, reason=f"'{pair.name}' has no caption")
            for pair in merged
            if not pair.captions
        ),
    )


def _why(rows: Iterable[Pair | Skip], bare: Sequence[Pair]) -> str:
    """Say what was there instead of a usable pair."""
    skips = [row for row in rows if isinstance(row, Skip)]
    first = f"; the first: {skips[0].path}: {skips[0].reason}" if skips else ""
    return f"; photos without a caption: {len(bare)}{first}" if bare else first


def _rows(source: Path) -> Iterator[Pair | Skip]:
    """Choose the reader by what the source is."""
    if source.suffix == ".tar":
        yield from _from_shards(list(_expand_braces(source)))
    elif not source.exists():
        raise PairsInvalid(f"no pairs at '{source}': the file or folder does not exist")
    elif source.is_dir():
        shards = sorted(source.glob("*.tar"))
        yield from _from_shards(shards) if shards else _from_folder(source)
    elif source.suffix in {".jsonl", ".ndjson"}:
        yield from _from_jsonl(source)
    elif source.suffix in {".csv", ".tsv"}:
        yield from _from_table(source)
    else:
        raise PairsInvalid(
            f"'{source}' is no form of pairs that is known: use .jsonl, .csv, .tsv, .tar "
            "or a folder of photos with same-named .txt files"
        )


def _merge(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """Join rows of the same photo (a CSV has one caption a row), in order of first sight."""
    captions: dict[str, dict[str, None]] = {}
    photos: dict[str, PhotoFile] = {}
    for pair in pairs:
        photos.setdefault(pair.name, pair.photo)
        captions.setdefault(pair.name, {}).update(dict.fromkeys(pair.captions))
    for name, photo in photos.items():
        yield Pair(name=name, photo=photo, captions=tuple(captions[name]))


def _clean(captions: object) -> tuple[str, ...] | None:
    """Return the captions that hold a word, or None if the value is no text at all."""
    if captions is None:
        return ()
    values = [captions] if isinstance(captions, str) else captions
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    return tuple(text for text in (value.strip() for value in values) if text)


def _photo_row(source: Path, line: int, image: object, captions: object) -> Pair | Skip:
    """Check one row of a file of pairs."""
    where = source.with_name(f"{source.name}:{line}")
    texts = _clean(captions)
    if not isinstance(image, str) or not image:
        return Skip(path=where, reason="no image named")
    if texts is None:
        return Skip(path=where, reason="captions must be a text or a list of texts")
    path = source.parent / image
    if not path.is_file():
        return Skip(path=path, reason=f"missing (named by {where.name})")
    return Pair(name=image, photo=PhotoFile(path=path), captions=texts)


def _from_jsonl(source: Path) -> Iterator[Pair | Skip]:
    """One object a line."""
    with source.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except ValueError as error:
                yield Skip(path=source.with_name(f"{source.name}:{line}"), reason=f"{error}")
                continue
            if not isinstance(row, dict):
                row = {}
            yield _photo_row(source, line, _first(row, IMAGE_COLUMNS), _first(row, CAPTION_COLUMNS))


def _first(row: dict[str, object], columns: Iterable[str]) -> object:
    """Return the value of the first of these columns that the row has."""
    return next((row[column] for column in columns if column in row), None)


def _from_table(source: Path) -> Iterator[Pair | Skip]:
    """One caption a row, under a header."""
    with source.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(
            file, delimiter="\t" if source.suffix == ".tsv" else _delimiter(file)
        )
        header = table.fieldnames or []
        for columns, what in ((IMAGE_COLUMNS, "image"), (CAPTION_COLUMNS, "caption")):
            if not set(columns) & set(header):
                raise PairsInvalid(
                    f"'{source}' has no {what} column: it has {', '.join(header) or 'no header'}; "
                    f"name one of them {' or '.join(columns[:2])}"
                )
        for row in table:
            image, caption = _first(dict(row), IMAGE_COLUMNS), _first(dict(row), CAPTION_COLUMNS)
            yield _photo_row(source, table.line_num, image, caption)


def _delimiter(file: Iterable[str]) -> str:
    """Return tab or comma, whichever the header has (open_clip's `.csv` files use tabs)."""
    header = next(iter(file), "")
    file.seek(0)  # type: ignore[attr-defined]
    return "\t" if "\t" in header else ","


def _from_folder(folder: Path) -> Iterator[Pair | Skip]:
    """Photos with same-named `.txt` files, one caption a line."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in PHOTO_SUFFIXES or not path.is_file():
            continue
        beside = path.with_suffix(".txt")
        if not beside.is_file():
            yield Skip(path=path, reason=f"no {beside.name} beside it")
            continue
        name = path.relative_to(folder).as_posix()
        captions = _clean(beside.read_text(encoding="utf-8-sig").splitlines()) or ()
        yield Pair(name=name, photo=PhotoFile(path=path), captions=captions)


def _expand_braces(source: Path) -> Iterator[Path]:
    """Turn `a-{000..012}.tar` into its thirteen paths."""
    span = re.search(r"\{(\d+)\.\.(\d+)\}", str(source))
    if span is None:
        yield source
        return
    low, high = span.groups()
    for number in range(int(low), int(high) + 1):
        filled = str(source).replace(span.group(), str(number).zfill(len(low)), 1)
        yield from _expand_braces(Path(filled))


def _from_shards(shards: list[Path]) -> Iterator[Pair | Skip]:
    """Webdataset: members that share all up to the first dot of the file name are one sample."""
    for shard in shards:
        if not shard.is_file():
            raise PairsInvalid(f"no shard at '{shard}'")
        try:
            with tarfile.open(shard) as tar:
                yield from _from_shard(shard, tar)
        except tarfile.TarError as error:
            raise PairsInvalid(f"'{shard}' cannot be read as a tar shard: {error}") from error


def _from_shard(shard: Path, tar: tarfile.TarFile) -> Iterator[Pair | Skip]:
    """Pair the photos of one shard with their texts."""
    samples: dict[str, dict[str, tarfile.TarInfo]] = {}
    for member in tar:
        folder, _, base = member.name.rpartition("/")
        key, _, suffix = base.partition(".")
        if member.isfile() and key:
            samples.setdefault(f"{folder}/{key}", {})["." + suffix.lower()] = member
    for key, members in samples.items():
        photo = next((m for suffix, m in members.items() if suffix in PHOTO_SUFFIXES), None)
        if photo is None:
            yield Skip(path=shard / key, reason="no photo in this sample")
            continue
        source = PhotoFile(path=shard, offset=photo.offset_data, size=photo.size)
        captions = _shard_captions(tar, members)
        yield Pair(name=f"{shard.name}/{photo.name}", photo=source, captions=captions)


def _shard_captions(tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> tuple[str, ...]:
    """Read `key.txt`, else the caption of `key.json`."""
    for suffix in (".txt", ".json"):
        file = tar.extractfile(members[suffix]) if suffix in members else None
        if file is None:
            continue
        text = file.read().decode("utf-8-sig", errors="replace")
        if suffix == ".txt":
            return _clean(text) or ()
        row = json.loads(text)
        return _clean(_first(row, CAPTION_COLUMNS)) or ()
    return ()
