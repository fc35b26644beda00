"""Only its owner reads a library, and what was forgotten is in none of its files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.catalog.changes import Transaction
from indexer.core.encoder import TokenShape
from indexer.core.types import Kind
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.library.item_files import ItemFiles
from indexer.library.library import NEXT, Library
from indexer.library.verify import check, repair
from indexer.vectors.patch_tokens import TOKENS
from retrieval.concepts import Concept, Concepts
from tests.fakes import COLOURS, GENERIC, ColourEncoder, draw

ENCODER = ColourEncoder(generic=GENERIC)
SHAPE = TokenShape(tokens=2, width=8)
GOLDEN = Path(__file__).parents[1] / "golden"
SECRETS = (b"ultrasecretname", b"zanzibarian", b"quixotical")


@pytest.fixture(params=[0o022, 0o000, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """What the system takes from the mode of new files."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _library(home: Path) -> Path:
    """A library with a secret folder, tokens and a learned name."""
    for number, colour in enumerate(COLOURS):
        draw(home / "photos" / f"{colour}.png", colour, size=(16 + number, 16))
    secret = draw(home / "photos" / "private" / "ultrasecretname.jpg", "red", "blue", size=(20, 16))
    secret.with_suffix(".jpg.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag>'
        "<rdf:li>quixotical</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    (home / "photos" / "private" / "diary.txt").write_text("a zanzibarian confession\n")
    folder = home / "library"
    with Library.create(folder, ENCODER) as library:
        index_folders(library, ENCODER, [home / "photos"])
        _keep_tokens(library)
    vectors = np.ones((1, 4), dtype=np.float32)
    told = {"like": "a dog", "model": "m", "fingerprint": "f", "photos": 1, "steps": 1, "seed": 0}
    Concepts(folder).save(Concept(name="Rex", tokens=vectors, **told))
    return folder


def _keep_tokens(library: Library) -> None:
    """Keep tokens that tell one photo from another."""
    ids = library.catalog.item_ids(Kind.PHOTO).tolist()
    rng = np.random.default_rng(0)
    library.keep_tokens(ids, rng.normal(size=(len(ids), 2, 8)).astype(np.float32))


def _modes(folder: Path) -> dict[str, int]:
    """The mode of each file and folder of a library."""
    paths = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode) for path in paths}


def _is_private(folder: Path) -> bool:
    """Whether nobody but its owner may enter or read anything."""
    return not any(mode & 0o077 for mode in _modes(folder).values())


def test_a_library_is_its_owners_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    folder = _library(tmp_path)
    assert _modes(folder)["."] == 0o700
    with Library.open(folder) as library, library.writing():
        library.catalog.note("key", "value")
        modes = _modes(folder)
    assert {"catalog.sqlite-wal", "catalog.sqlite-shm", "lock", TOKENS} <= set(modes)
    for name, mode in modes.items():
        assert mode == (0o700 if (folder / name).is_dir() else 0o600), name
    del umask


def test_a_folder_that_is_there_is_closed_when_a_library_is_made_in_it(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir(mode=0o755)
    assert _modes(_library(tmp_path))["."] == 0o700


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_library_of_an_older_format_is_closed_once(tmp_path: Path, number: int) -> None:
    folder = tmp_path / "library"
    os.system(f"cp -r '{GOLDEN / f'library-{number}'}' '{folder}'")
    folder.chmod(0o755)
    with Library.open(folder) as library, library.writing():
        pass
    assert _is_private(folder)


def test_what_is_shared_on_purpose_stays_shared(tmp_path: Path) -> None:
    folder = _library(tmp_path)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o750 if path.is_dir() else 0o640)
    draw(tmp_path / "photos" / "more.png", "green", "white")
    with Library.open(folder) as library:
        index_folders(library, ENCODER, [tmp_path / "photos"])
        _keep_tokens(library)
    for name, mode in _modes(folder).items():
        assert mode == (0o750 if (folder / name).is_dir() else 0o640), name


def _told(folder: Path) -> set[bytes]:
    """The secrets that stand in a file of a library."""
    data = b"\n".join(path.read_bytes().lower() for path in folder.rglob("*") if path.is_file())
    return {secret for secret in SECRETS if secret in data}


def _has_vector(folder: Path, vector: np.ndarray) -> bool:
    """Whether a vector stands in a file of a library."""
    data = vector.astype(np.float16).tobytes()
    return any(data in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_what_was_forgotten_is_in_no_file(tmp_path: Path) -> None:
    folder, private = _library(tmp_path), tmp_path / "photos" / "private"
    assert _told(folder) == set(SECRETS)
    (vector,) = ENCODER.encode_images([_picture(private / "ultrasecretname.jpg")])
    assert _has_vector(folder, vector)
    tokens = _tokens(folder, private / "ultrasecretname.jpg")
    with Library.open(folder) as library:
        assert library.forget(private) == 2
    assert _told(folder) == set()
    assert not _has_vector(folder, vector)
    assert tokens not in (folder / TOKENS).read_bytes()
    assert check(folder) == []


def test_thumbnails_of_what_was_forgotten_are_in_no_file(tmp_path: Path) -> None:
    """A server has them open, and makes one more while the folder is forgotten."""
    folder, private = _library(tmp_path), tmp_path / "photos" / "private"
    files = ItemFiles(folder)
    with Library.open(folder) as library:
        ids = library.catalog.item_ids(Kind.PHOTO).tolist()
        records = library.records(ids)
        made = {record.path: files.thumbnail(record.id, 256) for record in records}
        (secret,) = [record.id for record in records if private in record.path.parents]
        data = _all_bytes(folder)
        assert all(thumbnail.webp[-64:] in data for thumbnail in made.values())
        library.forget(private)
    data = _all_bytes(folder)
    left = [path for path, thumbnail in made.items() if thumbnail.webp[-64:] in data]
    assert left == [path for path in made if private not in path.parents]
    assert files.thumbnail(secret, 256) is None
    files.close()
    assert check(folder) == []


def test_a_thumbnail_that_is_made_while_its_photo_is_forgotten(tmp_path: Path) -> None:
    folder, private = _library(tmp_path), tmp_path / "photos" / "private"
    with Library.open(folder) as library:
        ids = library.catalog.item_ids(Kind.PHOTO).tolist()
        (secret,) = [each.id for each in library.records(ids) if private in each.path.parents]
    files = ItemFiles(folder)
    make = files._maker.made

    def made(*asked: object) -> bytes:
        webp = make(*asked)
        with Library.open(folder) as library:
            library.forget(private)
        return webp

    files._maker.made = made
    thumbnail = files.thumbnail(secret, 256)
    assert thumbnail is not None
    files.close()
    assert thumbnail.webp[-64:] not in _all_bytes(folder)


def _all_bytes(folder: Path) -> bytes:
    """What all files of a library hold."""
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _picture(path: Path) -> Image.Image:
    """A photo as it is shown."""
    return Image.open(path).convert("RGB")


def _tokens(folder: Path, path: Path) -> bytes:
    """The record of a photo in the file of tokens, its rows alone."""
    with Library.open(folder) as library:
        ids = library.catalog.item_ids(Kind.PHOTO).tolist()
        (record,) = [each for each in library.records(ids) if each.path == path]
    at = 64 + record.id * (2 * (2 + 8) + 4)
    return (folder / TOKENS).read_bytes()[at + 4 : at + 20]


def test_what_was_deleted_and_indexed_again_is_in_no_file(tmp_path: Path) -> None:
    folder, private = _library(tmp_path), tmp_path / "photos" / "private"
    for path in private.iterdir():
        path.unlink()
    private.rmdir()
    with Library.open(folder) as library:
        assert index_folders(library, ENCODER, [tmp_path / "photos"]).removed == 2
    assert _told(folder) == set()
    assert check(folder) == []


def test_forget_erases_in_an_unfinished_set_and_a_broken_catalog_too(tmp_path: Path) -> None:
    folder, private = _library(tmp_path), tmp_path / "photos" / "private"
    other = ColourEncoder(name="other", fingerprint="other")
    with Library.create(folder / NEXT, other) as unfinished:
        index_folders(unfinished, other, [tmp_path / "photos"])
    data = bytearray((folder / "catalog.sqlite").read_bytes())
    data[data.index(b"blue.png")] ^= 1
    (folder / "catalog.sqlite").write_bytes(data)
    assert repair(folder).dropped == 1
    assert (folder / "catalog.sqlite.broken").exists()
    with Library.open(folder) as library:
        library.forget(private)
    assert _told(folder) == set()
    assert (folder / NEXT / "catalog.sqlite").exists()


def test_what_an_older_version_forgot_is_erased_by_repair(tmp_path: Path) -> None:
    folder, private = _library(tmp_path), tmp_path / "photos" / "private"
    with Library.open(folder) as library, library.writing():
        with library.catalog._engine.begin() as connection:  # as versions without erasing did
            connection.exec_driver_sql("PRAGMA secure_delete=OFF")
        known = library.catalog.files_below([private])
        library.catalog.apply(Transaction(removed=list(known)))
    assert _told(folder)
    repair(folder)
    assert _told(folder) == set()


def test_the_file_of_tokens_is_bounded_by_the_photos_that_are_there(tmp_path: Path) -> None:
    photos, folder = tmp_path / "photos", tmp_path / "library"
    shape, sizes = TokenShape(tokens=64, width=1000), []
    with Library.create(folder, ENCODER) as library:
        for run in range(5):
            for number in range(40):
                (photos / f"{run - 1}-{number}.png").unlink(missing_ok=True)
                draw(photos / f"{run}-{number}.png", "red", size=(16 + run, 16 + number))
            index_folders(library, ENCODER, [photos], options=IndexOptions(prune=True))
            ids = library.catalog.item_ids(Kind.PHOTO).tolist()
            rows = np.random.default_rng(run).normal(size=(len(ids), 64, 1000))
            library.keep_tokens(ids, rows.astype(np.float32))
            sizes.append((folder / TOKENS).stat().st_blocks * 512)
        assert all(kept is not None for kept in library.patch_tokens.read(ids, shape))
    assert len(ids) == 40
    assert max(sizes) <= 2.5 * sizes[0] + (1 << 20)
    assert (folder / TOKENS).stat().st_size <= 4 * sizes[0]
