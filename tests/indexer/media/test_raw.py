"""Camera RAW: the picture in it, upright, or one made of the sensor's data."""

from __future__ import annotations

import sys
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.core.errors import FileUnreadable
from indexer.core.file_types import MediaType
from indexer.decoding.pool import DecodeOptions, DecodePool
from indexer.decoding.render import picture_size, read_picture
from indexer.media.raw import read_raw
from indexer.metadata.extract import read_raw_metadata, with_place
from tests.clips import scene
from tests.fakes import COLOURS
from tests.raws import dng

SENSOR = scene("red", "blue", size=(640, 480))
PREVIEW = scene("green", "yellow", size=(320, 240))
ROME = {1: "N", 2: ((41, 1), (53, 1), (3084, 100)), 3: "E", 4: ((12, 1), (30, 1), (4068, 100))}
EXIF = {0x9003: "2019:07:14 18:03:11", 0xA434: "23mm f/2"}


def _near(image: Image.Image, at: tuple[int, int], colour: str, *, within: int = 12) -> bool:
    apart = np.subtract(image.getpixel(at), COLOURS[colour])
    return bool(np.abs(apart).max() <= within)


def test_the_preview_is_what_is_seen() -> None:
    raw = read_raw(dng(SENSOR, preview=PREVIEW), size_hint=100)
    assert (raw.image.mode, raw.image.size, (raw.width, raw.height)) == (
        "RGB",
        (320, 240),
        (640, 480),
    )
    assert _near(raw.image, (20, 20), "green")
    assert _near(raw.image, (300, 20), "yellow")


# How a camera stores an upright scene under each orientation: the inverse of its meaning.
STORED = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("with_preview", [True, False])
def test_it_is_upright(orientation: int, with_preview: bool) -> None:
    upright = scene("green", "blue", "white", size=(480, 320))
    upright.paste(COLOURS["red"], (0, 0, 480, 80))
    stored = upright.transpose(STORED[orientation])
    data = dng(stored, preview=stored if with_preview else None, orientation=orientation)
    raw = read_raw(data, size_hint=240)
    assert (raw.width, raw.height) == (480, 320)
    wanted = upright.resize(raw.image.size)
    for at in ((20, 20), (20, raw.image.height - 9), (raw.image.width - 9, raw.image.height - 9)):
        red, green, blue = raw.image.getpixel(at)
        assert np.argmax((red, green, blue)) == np.argmax(wanted.getpixel(at))


@pytest.mark.parametrize("preview", [None, PREVIEW.resize((16, 12))])
def test_without_a_preview_or_with_a_stamp_the_sensor_is_developed(
    preview: Image.Image | None,
) -> None:
    image = read_raw(dng(SENSOR, preview=preview), size_hint=100).image
    assert image.size == (320, 240)  # half a side
    left, right = image.getpixel((20, 20)), image.getpixel((300, 200))
    assert np.argmax(left) == 0  # red
    assert np.argmax(right) == 2  # blue


def test_a_broken_preview_costs_nothing_else() -> None:
    data = dng(SENSOR, preview=PREVIEW)
    at = data.index(b"\xff\xd8")
    spoilt = data[:at] + bytes(64) + data[at + 64 :]
    assert np.argmax(read_raw(spoilt, size_hint=100).image.getpixel((20, 20))) == 0


def test_reasons() -> None:
    reasons = {
        "empty file": b"",
        "broken or unknown camera RAW (Unsupported file format or not RAW file)": b"words" * 99,
    }
    for reason, data in reasons.items():
        with pytest.raises(FileUnreadable) as caught:
            read_raw(data, size_hint=8)
        assert str(caught.value) == reason
    with pytest.raises(FileUnreadable, match=r"^0 megapixels, over the limit of 0\.1; raise it"):
        read_raw(dng(SENSOR), size_hint=8, max_megapixels=0.1)


def test_without_the_package_the_reason_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(FileUnreadable, match=r"needs: pip install 'twinlens\[raw\]'$"):
        read_raw(dng(SENSOR), size_hint=8)


def test_spoilt_bytes_cost_themselves_alone() -> None:
    rng = np.random.default_rng(2)
    whole = np.frombuffer(dng(scene("red", size=(64, 48)), preview=scene("red")), dtype=np.uint8)
    with DecodePool(DecodeOptions(max_megapixels=1), size_hint=8) as decoders:
        for _ in range(60):
            spoilt = whole.copy()
            spoilt[rng.integers(0, 1_000, 6)] = rng.integers(0, 256, 6)
            try:
                seen = decoders.see(MediaType.RAW, spoilt.tobytes())
            except FileUnreadable:
                continue
            assert [photo.mode for photo in seen.photos] == ["RGB"]


def test_a_process_decodes_it_alike() -> None:
    data = dng(SENSOR, preview=PREVIEW, orientation=6)
    with DecodePool(DecodeOptions(), size_hint=100) as decoders:
        seen, same = decoders.see(MediaType.RAW, data), read_raw(data, size_hint=100)
    assert (seen.about.width, seen.about.height) == (same.width, same.height) == (480, 640)
    assert np.array_equal(np.asarray(seen.photos[0]), np.asarray(same.image))


def test_a_file_is_read_by_its_suffix(tmp_path: Path) -> None:
    path = tmp_path / "a.DNG"
    path.write_bytes(dng(SENSOR, preview=PREVIEW))
    assert picture_size(path) == (640, 480)
    assert _near(read_picture(path, size_hint=100), (20, 20), "green")


def _olympus(data: bytes) -> bytes:
    return b"IIRO" + data[4:]


def _panasonic(data: bytes) -> bytes:
    return b"IIU\0" + data[4:]


@pytest.mark.parametrize("made_by", [bytes, _olympus, _panasonic])
def test_metadata_of_tiff_by_any_name(made_by: type[bytes]) -> None:
    data = made_by(dng(scene("red"), exif=EXIF, gps=ROME))
    about = with_place(read_raw_metadata(data, size=(96, 64)))
    assert about.taken == datetime(2019, 7, 14, 18, 3, 11)
    assert (about.camera, about.lens) == ("Fujifilm X100V", "23mm f/2")
    assert about.latitude == pytest.approx(41 + 53 / 60 + 30.84 / 3600)
    assert (about.place, about.width, about.height) == ("Rome, Italy", 96, 64)


def test_metadata_of_fujifilm_lies_in_its_jpeg() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "FUJIFILM", "X-T4"
    exif.get_ifd(0x8769)[0x9003] = EXIF[0x9003]
    jpeg = _jpeg(exif)
    header = b"FUJIFILMCCD-RAW 0201FF389501X-T4".ljust(84, b"\0")
    data = header + (100).to_bytes(4, "big") + len(jpeg).to_bytes(4, "big") + bytes(8) + jpeg
    about = with_place(read_raw_metadata(data, size=(4, 3)))
    assert (about.camera, about.taken) == ("Fujifilm X-T4", datetime(2019, 7, 14, 18, 3, 11))


def test_metadata_of_canons_cr3_lies_in_boxes() -> None:
    def box(name: bytes, body: bytes) -> bytes:
        return (len(body) + 8).to_bytes(4, "big") + name + body

    def tiff(tags: dict[int, object]) -> bytes:
        exif = Image.Exif()
        exif.update(tags)
        return exif.tobytes().removeprefix(b"Exif\0\0")

    boxes = (
        box(b"CMT1", tiff({0x010F: "Canon", 0x0110: "Canon EOS R5"})),
        box(b"CMT2", tiff({0x9003: EXIF[0x9003], 0xA434: "RF50mm F1.2"})),
        box(b"CMT4", tiff({1: "S", 2: (33.0, 55.0, 0.0), 3: "E", 4: (18.0, 25.0, 0.0)})),
    )
    data = box(b"ftyp", b"crx \0\0\0\1") + box(b"moov", box(b"uuid", bytes(16) + b"".join(boxes)))
    about = with_place(read_raw_metadata(data, size=(3, 4)))
    assert (about.camera, about.lens) == ("Canon EOS R5", "RF50mm F1.2")
    assert (about.latitude, about.longitude) == pytest.approx((-(33 + 55 / 60), 18 + 25 / 60))
    assert about.place == "Cape Town, South Africa"


def test_what_no_reader_knows_says_nothing() -> None:
    for data in (b"", b"FUJIFILMCCD-RAW", b"\0\0\0\x08ftyp", b"II*\0\xff\xff\xff\xff"):
        about = with_place(read_raw_metadata(data, size=(0, 0)))
        assert (about.taken, about.camera) == (None, "")


def _jpeg(exif: Image.Exif) -> bytes:
    buffer = BytesIO()
    scene("red").save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()
