"""Pairs from every form that people have them in, and what is wrong with the rest."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from indexer.core.errors import FileUnreadable
from retrieval.errors import PairsInvalid
from retrieval.pairs import PairSet, read_pairs
from tests.fakes import COLOURS, draw


def captions(pairs: PairSet) -> dict[str, tuple[str, ...]]:
    return {pair.name: pair.captions for pair in pairs.pairs}


def colour(pairs: PairSet, name: str) -> tuple[int, ...]:
    pair = next(pair for pair in pairs.pairs if pair.name == name)
    return tuple(int(value) for value in np.asarray(pair.open())[0, 0])


def test_jsonl_is_relative_to_its_file(tmp_path: Path) -> None:
    draw(tmp_path / "p" / "red.png", "red")
    draw(tmp_path / "p" / "blue.png", "blue")
    rows = [
        {"image": "p/red.png", "captions": ["red", " a red thing "]},
        {"image": "p/blue.png", "caption": "blue"},
    ]
    source = tmp_path / "pairs.jsonl"
    source.write_text("\n\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    pairs = read_pairs(source)
    assert captions(pairs) == {"p/red.png": ("red", "a red thing"), "p/blue.png": ("blue",)}
    assert colour(pairs, "p/blue.png") == COLOURS["blue"]
    assert pairs.skipped == ()


@pytest.mark.parametrize(("name", "delimiter"), [("x.csv", ","), ("x.tsv", "\t"), ("y.csv", "\t")])
def test_tables_have_one_caption_a_row(tmp_path: Path, name: str, delimiter: str) -> None:
    draw(tmp_path / "red.png", "red")
    draw(tmp_path / "blue.png", "blue")
    rows = [("filepath", "title"), ("red.png", "red"), ("blue.png", "blue"), ("red.png", "scarlet")]
    (tmp_path / name).write_text("\n".join(delimiter.join(row) for row in rows), encoding="utf-8")
    pairs = read_pairs(tmp_path / name)
    assert captions(pairs) == {"red.png": ("red", "scarlet"), "blue.png": ("blue",)}


def test_a_folder_has_a_text_beside_each_photo(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "red.jpg", "red")
    (tmp_path / "a" / "red.txt").write_text("red\n\nscarlet\n", encoding="utf-8")
    draw(tmp_path / "lonely.png", "blue")
    pairs = read_pairs(tmp_path)
    assert captions(pairs) == {"a/red.jpg": ("red", "scarlet")}
    assert [skip.reason for skip in pairs.skipped] == ["no text beside it (lonely.txt)"]


def shard(path: Path, samples: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in samples.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("source", ["s-{00..01}.tar", "."])
def test_webdataset_shards(tmp_path: Path, source: str) -> None:
    red, blue = (draw(tmp_path / "p" / f"{n}.png", n).read_bytes() for n in ("red", "blue"))
    shard(tmp_path / "s-00.tar", {"1.png": red, "1.txt": b"red thing", "2.txt": b"nothing"})
    shard(tmp_path / "s-01.tar", {"x/1.png": blue, "x/1.json": b'{"caption": "blue thing"}'})
    pairs = read_pairs(tmp_path / source)
    assert captions(pairs) == {
        "s-00.tar/1.png": ("red thing",),
        "s-01.tar/x/1.png": ("blue thing",),
    }
    assert colour(pairs, "s-01.tar/x/1.png") == COLOURS["blue"]
    assert [skip.reason for skip in pairs.skipped] == ["no photo in this sample"]


def test_a_truncated_shard_gives_its_whole_samples(tmp_path: Path) -> None:
    red, blue = (draw(tmp_path / "p" / f"{n}.png", n).read_bytes() for n in ("red", "blue"))
    samples = {"1.png": red, "1.txt": b"red", "2.txt": b"blue", "2.png": blue, "3.txt": b"x"}
    shard(tmp_path / "s.tar", samples)
    with tarfile.open(tmp_path / "s.tar") as tar:
        last = tar.getmember("2.png")
    whole = (tmp_path / "s.tar").read_bytes()
    (tmp_path / "s.tar").write_bytes(whole[: last.offset_data + last.size // 2])
    pairs = read_pairs(tmp_path / "s.tar")
    assert captions(pairs) == {"s.tar/1.png": ("red",)}
    cut, end = pairs.skipped
    assert (cut.path, cut.reason) == (
        tmp_path / "s.tar" / "2",
        "truncated: the shard ends within it",
    )
    assert end.path == tmp_path / "s.tar"
    assert end.reason.startswith("the shard breaks off (after 2 samples, at byte ")


def test_a_shard_damaged_in_the_middle_is_used_up_to_there(tmp_path: Path) -> None:
    red = draw(tmp_path / "p" / "red.png", "red").read_bytes()
    shard(tmp_path / "s.tar", {f"{n}{end}": red if end == ".png" else b"red" for n in range(3)
                               for end in (".png", ".txt")})  # fmt: skip
    with tarfile.open(tmp_path / "s.tar") as tar:
        place = tar.getmember("1.txt").offset
    damaged = bytearray((tmp_path / "s.tar").read_bytes())
    damaged[place : place + 512] = b"\xff" * 512
    (tmp_path / "s.tar").write_bytes(damaged)
    pairs = read_pairs(tmp_path / "s.tar")
    assert captions(pairs) == {"s.tar/0.png": ("red",)}
    assert [skip.reason for skip in pairs.uncaptioned] == ["'s.tar/1.png' has no caption"]
    assert [skip.reason for skip in pairs.skipped] == [
        f"the shard breaks off (after 2 samples, at byte {place:,} of {len(damaged):,})"
    ]


def test_one_broken_shard_costs_no_other(tmp_path: Path) -> None:
    red = draw(tmp_path / "p" / "red.png", "red").read_bytes()
    shard(tmp_path / "s-0.tar", {"1.png": red, "1.txt": b"red"})
    (tmp_path / "s-1.tar").write_bytes(b"no tar")
    pairs = read_pairs(tmp_path / "s-{0..1}.tar")
    assert captions(pairs) == {"s-0.tar/1.png": ("red",)}
    assert [skip.path.name for skip in pairs.skipped] == ["s-1.tar"]


def test_json_of_a_shard_that_is_none_costs_its_sample(tmp_path: Path) -> None:
    red = draw(tmp_path / "p" / "red.png", "red").read_bytes()
    texts = [b"{broken", b'"no object"', b'{"caption": 7}', b'{"caption": "red"}']
    samples = {f"{n}.png": red for n in range(4)} | {f"{n}.json": t for n, t in enumerate(texts)}
    shard(tmp_path / "s.tar", samples)
    pairs = read_pairs(tmp_path / "s.tar")
    assert captions(pairs) == {"s.tar/3.png": ("red",)}
    assert [(skip.path.name, skip.reason.split(" (")[0]) for skip in pairs.skipped] == [
        ("0", "not JSON"),
        ("2", "captions must be a text or a list of texts, in UTF-8"),
    ]
    assert [skip.reason for skip in pairs.uncaptioned] == ["'s.tar/1.png' has no caption"]


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv"])
def test_a_caption_that_is_not_utf_8_costs_its_row(tmp_path: Path, name: str) -> None:
    for colour_name in ("red", "blue"):
        draw(tmp_path / f"{colour_name}.png", colour_name)
    rows = {
        "x.jsonl": [b'{"image": "red.png", "caption": "caf\xe9"}',
                    b'{"image": "red.png", "caption": "half \\ud83d"}',
                    b'{"image": "blue.png", "caption": "blue"}'],
        "x.csv": [b"image,caption", b"red.png,caf\xe9", b"blue.png,blue"],
    }[name]  # fmt: skip
    (tmp_path / name).write_bytes(b"\n".join(rows))
    pairs = read_pairs(tmp_path / name)
    assert captions(pairs) == {"blue.png": ("blue",)}
    assert all(skip.reason.endswith("in UTF-8") for skip in pairs.skipped)
    assert len(pairs.skipped) == len(rows) - (2 if name == "x.csv" else 1)


def test_a_field_too_large_for_a_table_costs_its_row(tmp_path: Path) -> None:
    draw(tmp_path / "red.png", "red")
    large = "x" * 200_000  # csv reads up to 131,072
    (tmp_path / "x.csv").write_text(f"image,caption\nred.png,{large}\nred.png,red\n")
    pairs = read_pairs(tmp_path / "x.csv")
    assert captions(pairs) == {"red.png": ("red",)}
    assert [skip.reason.split(" (")[0] for skip in pairs.skipped] == ["not a row"]


def test_a_text_beside_a_photo_that_is_no_text(tmp_path: Path) -> None:
    for colour_name in ("red", "blue"):
        draw(tmp_path / f"{colour_name}.png", colour_name)
    (tmp_path / "red.txt").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "blue.txt").write_text("blue")
    pairs = read_pairs(tmp_path)
    assert captions(pairs) == {"blue.png": ("blue",)}
    assert [skip.path.name for skip in pairs.skipped] == ["red.txt"]


def test_rows_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    draw(tmp_path / "red.png", "red")
    draw(tmp_path / "bare.png", "blue")
    rows = [
        '{"image": "red.png", "captions": ["red"]}',
        "{broken",
        '{"captions": ["no image"]}',
        '{"image": "gone.png", "captions": ["gone"]}',
        '{"image": "red.png", "captions": [1]}',
        '["not", "an", "object"]',
        '{"image": "bare.png", "captions": ["  "]}',
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(rows), encoding="utf-8")
    pairs = read_pairs(tmp_path / "x.jsonl")
    assert captions(pairs) == {"red.png": ("red",)}
    skipped = [(skip.path.name, skip.reason) for skip in pairs.skipped]
    assert skipped[0][0] == "x.jsonl:2"
    assert skipped[1:] == [
        ("x.jsonl:3", "no image named"),
        ("gone.png", "missing (named by x.jsonl:4)"),
        ("x.jsonl:5", "captions must be a text or a list of texts, in UTF-8"),
        ("x.jsonl:6", "no image named"),
    ]
    assert [skip.reason for skip in pairs.uncaptioned] == ["'bare.png' has no caption"]


def test_a_broken_photo_is_found_when_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(b"no picture")
    (tmp_path / "x.jsonl").write_text('{"image": "red.png", "caption": "red"}', encoding="utf-8")
    with pytest.raises(FileUnreadable):
        read_pairs(tmp_path / "x.jsonl").pairs[0].open()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", '{"image": "gone.png", "captions": ["a"]}', r"no usable .*gone\.png: missing"),
        ("x.jsonl", "", "no usable image-text pair in '.*x.jsonl'$"),
        ("x.csv", "a,b\n1,2\n", "has no image column: it has a, b; rename one of them to image"),
        ("x.csv", "image,b\n1,2\n", "has no caption column"),
        ("x.xlsx", "", "is not a known format of pairs"),
        ("x.tar", "no tar", "cannot be read as a tar shard"),
    ],
)
def test_a_source_without_pairs_says_why(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(PairsInvalid, match=message):
        read_pairs(tmp_path / name)


def test_photos_without_any_caption_are_counted(tmp_path: Path) -> None:
    draw(tmp_path / "red.png", "red")
    (tmp_path / "x.jsonl").write_text('{"image": "red.png", "label": "red"}', encoding="utf-8")
    with pytest.raises(PairsInvalid, match=r"no usable .*; photos without a caption: 1$"):
        read_pairs(tmp_path / "x.jsonl")


def test_a_source_that_is_not_there() -> None:
    with pytest.raises(PairsInvalid, match="does not exist"):
        read_pairs(Path("nowhere.jsonl"))


def test_shards_of_one_name_in_two_folders_are_kept_apart(tmp_path: Path) -> None:
    for part, name in enumerate(("red", "blue")):
        photo = draw(tmp_path / "p" / f"{name}.png", name).read_bytes()
        (tmp_path / f"part{part}").mkdir()
        shard(tmp_path / f"part{part}" / "0.tar", {"a.png": photo, "a.txt": name.encode()})
    pairs = read_pairs(tmp_path / "part{0..1}" / "0.tar")
    assert captions(pairs) == {"part0/0.tar/a.png": ("red",), "part1/0.tar/a.png": ("blue",)}
    assert colour(pairs, "part1/0.tar/a.png") == COLOURS["blue"]


def test_all_shards_below_a_folder_are_read(tmp_path: Path) -> None:
    for part, name in enumerate(("red", "blue", "green")):
        photo = draw(tmp_path / "p" / f"{name}.png", name).read_bytes()
        folder = tmp_path / "s" / Path(*["more"] * part)
        folder.mkdir(parents=True)
        shard(folder / "0.tar", {"a.png": photo, "a.txt": name.encode()})
    loose = draw(tmp_path / "s" / "loose.png", "white")
    loose.with_suffix(".txt").write_text("white")
    pairs = read_pairs(tmp_path / "s")
    assert captions(pairs) == {
        "0.tar/a.png": ("red",),
        "more/0.tar/a.png": ("blue",),
        "more/more/0.tar/a.png": ("green",),
    }
    assert [skip.path for skip in pairs.skipped] == [loose]


def test_a_key_that_comes_twice_makes_two_samples(tmp_path: Path) -> None:
    red, blue = (draw(tmp_path / "p" / f"{n}.png", n).read_bytes() for n in ("red", "blue"))
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name, content in [("a.png", red), ("a.txt", b"red"), ("b#2.png", red),
                              ("b#2.txt", b"x"), ("a.png", blue), ("a.txt", b"blue")]:  # fmt: skip
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    pairs = read_pairs(tmp_path / "s.tar")
    assert captions(pairs) == {
        "s.tar/a.png": ("red",),
        "s.tar/a.png#2": ("blue",),
        "s.tar/b#2.png": ("x",),
    }
    assert colour(pairs, "s.tar/a.png#2") == COLOURS["blue"]


def test_texts_behind_all_photos_of_a_shard_find_theirs(tmp_path: Path) -> None:
    red, blue = (draw(tmp_path / "p" / f"{n}.png", n).read_bytes() for n in ("red", "blue"))
    shard(tmp_path / "s.tar", {"1.png": red, "2.png": blue, "1.txt": b"red", "2.txt": b"blue"})
    assert captions(read_pairs(tmp_path / "s.tar")) == {
        "s.tar/1.png": ("red",),
        "s.tar/2.png": ("blue",),
    }


def table(folder: Path, name: str, content: bytes) -> PairSet:
    """Read a table that names three photos."""
    for colour_name in ("red", "green", "blue"):
        draw(folder / f"{colour_name}.png", colour_name)
    (folder / name).write_bytes(content)
    return read_pairs(folder / name)


def test_a_quotation_mark_swallows_no_rows_of_a_tsv(tmp_path: Path) -> None:
    rows = b'image\tcaption\nred.png\t"red thing\ngreen.png\t"a ""green"" one"\nblue.png\tblue\n'
    pairs = table(tmp_path, "x.tsv", rows)
    assert captions(pairs) == {
        "red.png": ('"red thing',),
        "green.png": ('a "green" one',),
        "blue.png": ("blue",),
    }
    assert pairs.skipped == ()


def test_an_open_quotation_mark_costs_its_own_row_of_a_csv(tmp_path: Path) -> None:
    rows = b'image,caption\nred.png,"red\ngreen.png,green\nblue.png,"in ""two""\nlines"\n'
    pairs = table(tmp_path, "x.csv", rows)
    assert captions(pairs) == {"green.png": ("green",), "blue.png": ('in "two"\nlines',)}
    assert [skip.path.name for skip in pairs.skipped] == ["x.csv:2"]
    rows = b'image,caption\nred.png,red\ngreen.png,"green\nblue.png,blue\n'
    pairs = table(tmp_path, "y.csv", rows)
    assert captions(pairs) == {"red.png": ("red",), "blue.png": ("blue",)}
    assert [(skip.path.name, skip.reason) for skip in pairs.skipped] == [
        ("y.csv:3", "a quotation mark is not closed")
    ]


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e", "\r"])
@pytest.mark.parametrize("form", ["x.csv", "x.tsv", "x.jsonl", "x.tar", "."])
def test_no_sign_within_a_caption_ends_a_row(tmp_path: Path, form: str, sign: str) -> None:
    red = draw(tmp_path / "red.png", "red")
    caption = f"a dog{sign}on a beach"
    (tmp_path / "red.txt").write_bytes(f"{caption}\n".encode())
    rows = {
        "x.csv": f"image,caption\nred.png,{caption}\n",
        "x.tsv": f"image\tcaption\nred.png\t{caption}\n",
        "x.jsonl": json.dumps({"image": "red.png", "caption": caption}, ensure_ascii=False) + "\n",
    }
    if form == "x.tar":
        shard(tmp_path / form, {"a.png": red.read_bytes(), "a.txt": caption.encode()})
    elif form != ".":
        (tmp_path / form).write_bytes(rows[form].encode())
    pairs = read_pairs(tmp_path / form)
    ((found,),) = captions(pairs).values()
    assert found.split() == caption.split()
    assert pairs.skipped == ()


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("Image ; Caption\nred.png;red, or scarlet\n", "utf-8-sig"),
        ('"IMAGE","Caption"\r\nred.png,"red, or scarlet"\r\n', "utf-8-sig"),
        ("FilePath\tTitle\nred.png\tred, or scarlet\n", "utf-16"),
        ('image,caption\rred.png,"red, or scarlet"\r', "utf-8"),
        ("image;caption;\nred.png;red, or scarlet;\n", "utf-16"),
    ],
)
def test_headers_as_spreadsheets_write_them(tmp_path: Path, content: str, encoding: str) -> None:
    pairs = table(tmp_path, "x.csv", content.encode(encoding))
    assert captions(pairs) == {"red.png": ("red, or scarlet",)}
    assert pairs.skipped == ()


def test_rows_of_another_length_than_the_header_are_named(tmp_path: Path) -> None:
    rows = b"image,caption\nred.png,red, not blue\ngreen.png\nblue.png,blue,\n"
    pairs = table(tmp_path, "x.csv", rows)
    assert captions(pairs) == {"blue.png": ("blue",)}
    assert [(skip.path.name, skip.reason) for skip in pairs.skipped] == [
        ("x.csv:2", "3 cells under 2 columns"),
        ("x.csv:3", "1 cells under 2 columns"),
    ]


def test_two_columns_of_one_name_both_count(tmp_path: Path) -> None:
    pairs = table(tmp_path, "x.csv", b"image,caption,Caption\nred.png,red,scarlet\n")
    assert captions(pairs) == {"red.png": ("red", "scarlet")}


def test_a_name_that_stands_twice_in_an_object_costs_its_line(tmp_path: Path) -> None:
    lines = (
        b'{"image": "red.png", "caption": "a", "caption": "b"}\n{"Image": "blue.png", "TEXT": "c"}'
    )
    pairs = table(tmp_path, "x.jsonl", lines)
    assert captions(pairs) == {"blue.png": ("c",)}
    assert [skip.reason for skip in pairs.skipped] == ["not JSON (a key occurs twice in an object)"]


def test_utf_16_without_a_mark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PairsInvalid, match=r"contains zero bytes.*save it as UTF-8"):
        table(tmp_path, "x.csv", "image,caption\nred.png,red\n".encode("utf-16-le"))
    with pytest.raises(PairsInvalid, match=r"is not a text .*save it as UTF-8"):
        table(tmp_path, "x.csv", b"\xff\xfei\0m\0a\0\0\xd8")


def test_a_caption_with_a_zero_byte_costs_its_row(tmp_path: Path) -> None:
    pairs = table(tmp_path, "x.csv", b"image,caption\nred.png,re\0d\nblue.png,blue\n")
    assert captions(pairs) == {"blue.png": ("blue",)}
    assert len(pairs.skipped) == 1
