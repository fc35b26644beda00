"""Read image-text pairs, in the formats that people have them in.

| source | format |
|---|---|
| `x.jsonl` | `{"image": "path relative to the file", "captions": ["...", ...]}` on each line |
| `x.csv`, `x.tsv` | a header with an image and a caption column; one caption a row; TSV unquoted |
| a folder | photos, each with a same-named `.txt`, one caption a line |
| `x.tar`, `{00..09}.tar`, a folder with `.tar` | webdataset: `key.jpg` + `key.txt` or `key.json` |

Nothing is decoded here; a photo is opened when it is needed. A photo is identified by its file, or
in a shard by the shard's path and its position, because shards in several folders may share a name
and a key may occur twice. Capitals and spaces in column names do not matter. A row that cannot be
used is kept in `PairSet.skipped` with its reason. Blank captions are ignored; a photo with no other
caption is kept in `PairSet.uncaptioned`.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from PIL import Image

from indexer.core.errors import FileUnreadable
from indexer.core.file_access import open_regular, read_regular
from indexer.core.types import Skip
from indexer.decoding.render import read_data
from indexer.media.image import read_bytes
from indexer.media.text_lines import (
    TableRow,
    column_names,
    decoded,
    delimiter_of,
    named,
    read_lines,
    rows,
)
from retrieval.errors import PairsInvalid

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
IMAGE_COLUMNS = ("image", "filepath", "path", "file", "filename", "image_path")
WHOLE = 1 << 15  # pixels a side that no photo exceeds: decode all there is
_NO_TEXT = "captions must be a text or a list of texts, in UTF-8"
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")
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
            return read_regular(self.path)
        with open_regular(self.path) as shard:
            shard.seek(self.offset)
            return shard.read(self.size)

    def ends(self, count: int) -> tuple[bytes, bytes]:
        """Return the first and the last `count` bytes, fewer of a smaller file."""
        with open_regular(self.path) as file:
            size = os.fstat(file.fileno()).st_size if self.size is None else self.size
            file.seek(self.offset)
            first = file.read(min(count, size))
            file.seek(self.offset + max(0, size - count))
            return first, file.read(min(count, size))


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
        if self.photo.size is None:
            return read_data(read_bytes(self.photo.path), size_hint=size_hint)
        try:
            data = self.photo.read()
        except OSError as error:
            raise FileUnreadable((error.strerror or str(error)).lower()) from error
        return read_data(data, size_hint=size_hint)


@dataclass(frozen=True, kw_only=True)
class PairSet:
    """The usable pairs of a source, and what was skipped.

    `uncaptioned` are photos without any caption: training skips them, and an evaluation over them
    would be wrong.
    """

    pairs: tuple[Pair, ...]
    skipped: tuple[Skip, ...] = ()
    uncaptioned: tuple[Skip, ...] = ()


def read_pairs(source: Path) -> PairSet:
    """Read all pairs of one source; see the module's table for the formats.

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
        shards = sorted(source.rglob("*.tar"))
        yield from _from_shards(shards) if shards else _from_folder(source)
        yield from _beside_shards(source) if shards else ()
    elif source.suffix in {".jsonl", ".ndjson"}:
        yield from _from_jsonl(source)
    elif source.suffix in {".csv", ".tsv"}:
        yield from _from_table(source)
    else:
        raise PairsInvalid(
            f"'{source}' is not a known format of pairs: use .jsonl, .csv, .tsv, .tar "
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
    """Return the captions that hold a word, or None if the value is no text at all.

    A lone surrogate is no text: it stands for a byte that is not UTF-8, or for half a character.
    A zero byte is none either: it comes of UTF-16 that does not say so.
    """
    if captions is None:
        return ()
    values = [captions] if isinstance(captions, str) else captions
    if not isinstance(values, list) or not all(map(is_text, values)):
        return None
    return tuple(text for text in (value.strip() for value in values) if text)


def is_text(value: object) -> bool:
    """True for a string that can be written as UTF-8."""
    return isinstance(value, str) and not _NO_CHARACTER.search(value)


def is_file(path: Path) -> bool:
    """True for a file that is there; False also for a name that no disk would take."""
    try:
        return path.is_file()
    except OSError:
        return False


def _photo_row(where: Path, image: object, captions: object) -> Pair | Skip:
    """Check one row of a file of pairs; `where` is the file's path with the line's number."""
    texts = _clean(captions)
    if not isinstance(image, str) or not image:
        return Skip(path=where, reason="no image named")
    if texts is None:
        return Skip(path=where, reason=_NO_TEXT)
    path = where.parent / image
    if not is_file(path):
        return Skip(path=path, reason=f"missing (named by {where.name})")
    return Pair(name=image, photo=PhotoFile(path=path), captions=texts)


def _from_jsonl(source: Path) -> Iterator[Pair | Skip]:
    """One object a line."""
    for where, row in read_objects(source):
        if isinstance(row, str):
            yield Skip(path=where, reason=row)
            continue
        yield _photo_row(where, _first(row, IMAGE_COLUMNS), _first(row, CAPTION_COLUMNS))


def read_objects(source: Path) -> Iterator[tuple[Path, dict[str, object] | str]]:
    """Yield each line of a JSONL file that is not blank: its place, and its object.

    If a line holds no object, the reason takes its place.
    """
    for line, text in enumerate(_lines_of(source), start=1):
        if text.strip():
            yield source.with_name(f"{source.name}:{line}"), _object(text)


def _lines_of(source: Path) -> Iterator[str]:
    """Yield the lines of a file of pairs.

    Raises:
        PairsInvalid: it says that it is UTF-16, and is not.
    """
    try:
        yield from read_lines(source)
    except UnicodeError as error:
        raise PairsInvalid(f"'{source}' is not a text ({error}); save it as UTF-8") from error


def _object(text: str) -> dict[str, object] | str:
    """Parse a JSON object, or say why not. Other JSON values are objects that name nothing."""
    try:
        row = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error})"
    if not isinstance(row, dict):
        return {}
    return {name.strip().lower(): value for name, value in row.items()} | row


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """Make an object of its fields.

    Raises:
        ValueError: a name stands twice; JSON would keep the last one without a word.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice in an object")
    return found


def _first(row: dict[str, object], columns: Iterable[str]) -> object:
    """Return the value of the first of these columns that the row has."""
    return next((row[column] for column in columns if column in row), None)


def _from_table(source: Path) -> Iterator[Pair | Skip]:
    """One caption a row, under a header."""
    lines = _lines_of(source)
    first = next((line for line in lines if line.strip("\ufeff \t")), "")
    wanted = frozenset(IMAGE_COLUMNS), frozenset(CAPTION_COLUMNS)
    delimiter = "\t" if source.suffix == ".tsv" else delimiter_of(first, *wanted)
    table = rows(chain([first], lines), delimiter)
    header = column_names(next(table, TableRow(line=1)).cells)
    for columns, what in ((IMAGE_COLUMNS, "image"), (CAPTION_COLUMNS, "caption")):
        if not set(columns) & set(header):
            raise PairsInvalid(_without(source, what, columns, header))
    for each in table:
        where = source.with_name(f"{source.name}:{each.line}")
        row = named(each, header)
        if isinstance(row, str):
            yield Skip(path=where, reason=row)
        else:
            yield _photo_row(where, _first(row, IMAGE_COLUMNS), _first(row, CAPTION_COLUMNS))


def _without(source: Path, what: str, columns: Sequence[str], header: Sequence[str]) -> str:
    """Say which column a table lacks, and which it has."""
    there = ", ".join(header) or "no header"
    if "\0" in there:
        return (
            f"'{source}' contains zero bytes, as UTF-16 without a byte order mark does; save it as "
            "UTF-8"
        )
    return (
        f"'{source}' has no {what} column: it has {there}; "
        f"rename one of them to {' or '.join(columns[:2])}"
    )


def _from_folder(folder: Path) -> Iterator[Pair | Skip]:
    """Photos with same-named `.txt` files, one caption a line."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in PHOTO_SUFFIXES or not path.is_file():
            continue
        beside = path.with_suffix(".txt")
        if not beside.is_file():
            yield Skip(path=path, reason=f"no text beside it ({beside.name})")
            continue
        name = path.relative_to(folder).as_posix()
        captions = _lines(beside)
        if captions is None:
            yield Skip(path=beside, reason="not a UTF-8 text that can be read")
            continue
        yield Pair(name=name, photo=PhotoFile(path=path), captions=captions)


def _beside_shards(folder: Path) -> Iterator[Skip]:
    """Name the photos with texts beside them that lie in a folder of shards, and in no shard."""
    for row in _from_folder(folder):
        if isinstance(row, Pair):
            reason = "lies beside shards; keep it in a folder of its own, and name both"
            yield Skip(path=row.photo.path, reason=reason)


def _lines(file: Path) -> tuple[str, ...] | None:
    """Read one caption a line, or None if the file is no text."""
    try:
        return _clean(list(read_lines(file)))
    except (OSError, UnicodeError):
        return None


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
    labels = _labels(shards)
    for shard in shards:
        if not shard.is_file():
            raise PairsInvalid(f"no shard at '{shard}'")
        try:
            with tarfile.open(shard, "r:") as tar:
                yield from _from_shard(shard, labels[shard], tar)
        except (tarfile.TarError, OSError) as error:
            yield Skip(path=shard, reason=f"cannot be read as a tar shard: {error}")


def _labels(shards: Sequence[Path]) -> dict[Path, str]:
    """Name the shards: by their file name, with their folders where several have one name."""
    if len({shard.name for shard in shards}) == len(set(shards)):
        return {shard: shard.name for shard in shards}
    above = os.path.commonpath([shard.parent.absolute() for shard in shards])
    return {shard: shard.absolute().relative_to(above).as_posix() for shard in shards}


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """Members of a shard that belong together, by suffix. `number` counts samples of one key."""

    key: str
    number: int
    members: Mapping[str, tarfile.TarInfo]

    def numbered(self, name: str) -> str:
        """Add to a name what tells this sample from others of its key."""
        return name if self.number == 1 else f"{name}#{self.number}"


def _from_shard(shard: Path, label: str, tar: tarfile.TarFile) -> Iterator[Pair | Skip]:
    """Pair the photos of one shard with their texts; a sample that is cut off is none."""
    size = shard.stat().st_size
    samples = list(_samples(_members(tar)))
    for sample in samples:
        if any(each.offset_data + each.size > size for each in sample.members.values()):
            where = shard / sample.numbered(sample.key)
            yield Skip(path=where, reason="truncated: the shard ends within it")
        else:
            yield _sample(shard, label, tar, sample)
    if _breaks_off(tar, size):
        place = f"after {len(samples):,} samples, at byte {tar.offset:,} of {size:,}"
        yield Skip(path=shard, reason=f"the shard breaks off ({place})")


def _samples(members: Iterable[tarfile.TarInfo]) -> Iterator[_Sample]:
    """Group the members of a shard by key.

    A key that comes again later joins its sample, unless both have a file of one suffix: then
    they are two samples of one key, and the files of each stay together.
    """
    runs: dict[str, list[dict[str, tarfile.TarInfo]]] = {}
    last = ""
    for member in members:
        folder, _, base = member.name.rpartition("/")
        name, _, suffix = base.partition(".")
        if not (member.isfile() and name):
            continue
        key, suffix = f"{folder}/{name}".lstrip("/"), f".{suffix.lower()}"
        of_key = runs.setdefault(key, [])
        if key != last or suffix in of_key[-1]:
            of_key.append({})
        of_key[-1][suffix] = member
        last = key
    for key, of_key in runs.items():
        joined = {suffix: member for run in of_key for suffix, member in run.items()}
        several = len(joined) < sum(map(len, of_key))
        for number, run in enumerate(of_key if several else [joined], start=1):
            yield _Sample(key=key, number=number, members=run)


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members up to where the shard ends or is damaged."""
    try:
        yield from tar
    except tarfile.TarError:
        return


def _breaks_off(tar: tarfile.TarFile, size: int) -> bool:
    """True unless a shard ends as tar does: with a block of zeros, or between two members."""
    if tar.offset >= size:
        return tar.offset > size
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    return any(tar.fileobj.read(tarfile.BLOCKSIZE))


def _sample(shard: Path, label: str, tar: tarfile.TarFile, sample: _Sample) -> Pair | Skip:
    """Pair the photo of one sample with its captions, or say why not."""
    where, members = shard / sample.numbered(sample.key), sample.members
    photo = next((m for suffix, m in members.items() if suffix in PHOTO_SUFFIXES), None)
    if photo is None:
        return Skip(path=where, reason="no photo in this sample")
    captions = _shard_captions(tar, members)
    if isinstance(captions, str):
        return Skip(path=where, reason=captions)
    source = PhotoFile(path=shard, offset=photo.offset_data, size=photo.size)
    name = sample.numbered(f"{label}/{photo.name}")
    return Pair(name=name, photo=source, captions=captions)


def _shard_captions(
    tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo]
) -> tuple[str, ...] | str:
    """Read `key.txt`, else the caption of `key.json`, or say why not."""
    for suffix in (".txt", ".json"):
        file = tar.extractfile(members[suffix]) if suffix in members else None
        if file is None:
            continue
        text = decoded(file.read())
        row = _object(text) if suffix == ".json" else dict[str, object](captions=text)
        if isinstance(row, str):
            return row
        captions = _clean(_first(row, CAPTION_COLUMNS))
        return _NO_TEXT if captions is None else captions
    return ()
