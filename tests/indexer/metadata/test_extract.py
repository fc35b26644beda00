"""What a photo says about itself, from each of the places where it may say it."""

from __future__ import annotations

import struct
import sys
from datetime import datetime
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from indexer.catalog.fulltext import row
from indexer.core.types import Metadata, Orientation
from indexer.metadata.extract import read_metadata, read_video_metadata, with_place

MAKE, MODEL, DESCRIPTION, HELD, CHANGED, RATING = 0x010F, 0x0110, 0x010E, 0x0112, 0x0132, 0x4746
TAKEN, LENS, COMMENT, EXIF, GPS = 0x9003, 0xA434, 0x9286, 0x8769, 0x8825

XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
 {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def _told(source: Path | bytes, *, sidecar: Path | None = None) -> Metadata:
    return with_place(read_metadata(source, sidecar=sidecar))


def xmp(attributes: str = "", elements: str = "") -> bytes:
    return XMP.format(attributes=attributes, elements=elements).encode()


def listed(name: str, *values: str, kind: str = "Bag") -> str:
    items = "".join(f"<rdf:li>{value}</rdf:li>" for value in values)
    return f"<{name}><rdf:{kind}>{items}</rdf:{kind}></{name}>"


def jpeg(exif: Image.Exif | bytes = b"", size: tuple[int, int] = (8, 4), **info: bytes) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, "red").save(buffer, "JPEG", exif=exif, **info)
    return buffer.getvalue()


def camera_tags() -> Image.Exif:
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = "NIKON CORPORATION\0", "NIKON D750"
    exif[CHANGED] = "2021:01:01 00:00:00"
    exif.get_ifd(EXIF).update({TAKEN: "2019:07:14 18:03:11", LENS: "50.0 mm f/1.8"})
    rome = (41, 53, IFDRational(3084, 100)), (12, 30, IFDRational(4068, 100))
    exif.get_ifd(GPS).update({1: "N", 2: rome[0], 3: "E", 4: rome[1]})
    return exif


def iptc(*fields: tuple[int, bytes]) -> bytes:
    """Lay out IPTC fields of record 2 as Photoshop keeps them in a JPEG."""
    body = b"".join(
        b"\x1c\x02" + bytes([number]) + len(value).to_bytes(2, "big") + value
        for number, value in fields
    )
    block = b"8BIM\x04\x04\0\0" + len(body).to_bytes(4, "big") + body + b"\0" * (len(body) % 2)
    data = b"Photoshop 3.0\0" + block
    return b"\xff\xed" + (len(data) + 2).to_bytes(2, "big") + data


def test_exif_of_a_camera() -> None:
    about = _told(jpeg(camera_tags()))
    assert about.taken == datetime(2019, 7, 14, 18, 3, 11)
    assert (about.camera, about.lens) == ("Nikon D750", "50.0 mm f/1.8")
    assert about.latitude == pytest.approx(41 + 53 / 60 + 30.84 / 3600)
    assert about.longitude == pytest.approx(12 + 30 / 60 + 40.68 / 3600)
    assert about.place == "Rome, Italy"
    assert (about.width, about.height, about.orientation) == (8, 4, Orientation.LANDSCAPE)


def test_west_and_south_are_negative() -> None:
    exif = Image.Exif()
    exif.get_ifd(GPS).update({1: "S", 2: (33, 55, 0), 3: "W", 4: (18, 30, 0)})
    about = _told(jpeg(exif))
    assert (about.latitude, about.longitude) == pytest.approx((-(33 + 55 / 60), -18.5))
    assert about.place == ""  # in the Atlantic


@pytest.mark.parametrize(("held", "size"), [(1, (8, 4)), (3, (8, 4)), (6, (4, 8)), (8, (4, 8))])
def test_the_size_is_that_of_the_upright_photo(held: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[HELD] = held
    about = _told(jpeg(exif))
    assert (about.width, about.height) == size


def test_a_square_photo() -> None:
    assert _told(jpeg(size=(4, 4))).orientation == Orientation.SQUARE


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS R5", "Canon EOS R5"),
        ("FUJIFILM", "X100V", "Fujifilm X100V"),
        ("Apple", "iPhone 12 Pro", "Apple iPhone 12 Pro"),
        ("OLYMPUS IMAGING CORP.  ", "E-M5", "Olympus E-M5"),
        ("LG Electronics", "LG-H870", "LG LG-H870"),
        ("EASTMAN KODAK COMPANY", "KODAK EASYSHARE C182", "Kodak EASYSHARE C182"),
        ("samsung", "SM-G973F", "Samsung SM-G973F"),
        ("", "X", "X"),
        ("SONY", "", "Sony"),
    ],
)
def test_cameras_are_named_as_people_name_them(make: str, model: str, camera: str) -> None:
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = make, model
    assert _told(jpeg(exif)).camera == camera


def test_captions_and_keywords_of_exif() -> None:
    exif = Image.Exif()
    exif[DESCRIPTION] = "Café in Rome".encode()
    exif[RATING] = 4
    exif[0x9C9B] = "Windows' title".encode("utf-16-le")
    exif[0x9C9E] = "café;Rome; ;rome".encode("utf-16-le")
    about = _told(jpeg(exif))
    assert (about.caption, about.title) == ("Café in Rome", "Windows' title")
    assert (about.rating, about.keywords) == (4, ("café", "Rome"))


@pytest.mark.parametrize("junk", ["OLYMPUS DIGITAL CAMERA     ", "SONY DSC", "DCIM\\100", "___"])
def test_what_cameras_write_where_a_caption_belongs(junk: str) -> None:
    exif = Image.Exif()
    exif[DESCRIPTION] = junk
    assert _told(jpeg(exif)).caption == ("" if junk != "DCIM\\100" else junk)


def test_a_user_comment() -> None:
    exif = Image.Exif()
    exif.get_ifd(EXIF)[COMMENT] = b"ASCII\0\0\0" + b"a cup of tea"
    assert _told(jpeg(exif)).caption == "a cup of tea"


def test_an_xmp_packet_goes_before_exif_but_for_the_clock() -> None:
    exif = camera_tags()
    exif[DESCRIPTION] = "of the camera"
    packet = xmp(
        'xmp:Rating="5" exif:DateTimeOriginal="2001-01-01T10:00:00+09:00"',
        listed("dc:subject", "dog", "Beach")
        + listed("lr:hierarchicalSubject", "Places|Italy|Rome", "animals|dog")
        + listed("dc:title", "A title", kind="Alt")
        + listed("dc:description", "A caption with ünïcode", kind="Alt"),
    )
    about = _told(jpeg(exif, xmp=packet))
    assert about.keywords == ("dog", "Beach", "Places", "Italy", "Rome", "animals")
    assert (about.title, about.caption) == ("A title", "A caption with ünïcode")
    assert (about.rating, about.taken) == (5, datetime(2019, 7, 14, 18, 3, 11))


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("2019-07-14T23:30:00+02:00", datetime(2019, 7, 14, 23, 30)),
        ("2019-07-14T23:30:00Z", datetime(2019, 7, 14, 23, 30)),
        ("2019-07-14", datetime(2019, 7, 14)),
        ("2019-13-14", None),
        ("yesterday", None),
    ],
)
def test_the_clock_is_kept_as_it_was(written: str, taken: datetime | None) -> None:
    about = _told(jpeg(xmp=xmp(f'exif:DateTimeOriginal="{written}"')))
    assert about.taken == taken


def test_a_position_of_xmp() -> None:
    position = 'exif:GPSLatitude="48,8.244N" exif:GPSLongitude="11,34,32E"'
    about = _told(jpeg(xmp=xmp(position)))
    assert about.latitude == pytest.approx(48 + 8.244 / 60)
    assert about.longitude == pytest.approx(11 + 34 / 60 + 32 / 3600)
    assert about.place.endswith("Munich, Germany")


def test_iptc() -> None:
    fields = (
        (5, b"Headline"),
        (25, b"caf\xc3\xa9"),
        (25, b"night"),
        (55, b"20190714"),
        (60, b"180311+0200"),
        (120, b"Caf\xe9 at night"),
    )
    plain = jpeg()
    about = _told(plain[:2] + iptc(*fields) + plain[2:])
    assert (about.title, about.caption) == ("Headline", "Café at night")
    assert about.keywords == ("café", "night")
    assert about.taken == datetime(2019, 7, 14, 18, 3, 11)


def test_a_sidecar_goes_first_and_keywords_add_up(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.jpg.xmp"
    sidecar.write_bytes(
        xmp(
            'xmp:Rating="2" exif:DateTimeOriginal="2018-01-02T03:04:05"',
            listed("dc:subject", "cat") + listed("dc:description", "new", kind="Alt"),
        )
    )
    packet = xmp('xmp:Rating="5"', listed("dc:subject", "dog", "cat"))
    about = _told(jpeg(camera_tags(), xmp=packet), sidecar=sidecar)
    assert (about.rating, about.caption, about.keywords) == (2, "new", ("cat", "dog"))
    assert about.taken == datetime(2018, 1, 2, 3, 4, 5)
    assert about.camera == "Nikon D750"


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "AVIF"])
def test_other_formats_keep_exif_too(format_: str) -> None:
    buffer = BytesIO()
    Image.new("RGB", (4, 8)).save(buffer, format_, exif=camera_tags())
    about = _told(buffer.getvalue())
    assert (about.camera, about.orientation) == ("Nikon D750", Orientation.PORTRAIT)
    assert about.taken == datetime(2019, 7, 14, 18, 3, 11)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"no photo",
        jpeg(xmp=b"<x:xmpmeta <<<"),
        jpeg(xmp=b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'),
        jpeg(xmp=xmp('xmp:Rating="many" exif:GPSLatitude="N"')),
    ],
)
def test_what_is_broken_says_nothing(broken: bytes) -> None:
    about = _told(broken)
    size = (8, 4) if broken[:2] == b"\xff\xd8" else (0, 0)
    assert about == Metadata(width=size[0], height=size[1])


def test_a_broken_source_costs_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "a.xmp").write_bytes(b"\xff\xfe no XML")
    about = _told(jpeg(camera_tags(), xmp=b"broken"), sidecar=tmp_path / "a.xmp")
    assert (about.camera, about.place) == ("Nikon D750", "Rome, Italy")
    assert _told(jpeg(camera_tags()), sidecar=tmp_path / "gone.xmp").camera == "Nikon D750"


def test_no_fix_is_no_position() -> None:
    exif = Image.Exif()
    exif.get_ifd(GPS).update({1: "N", 2: (0, 0, 0), 3: "E", 4: (0, 0, 0)})
    assert _told(jpeg(exif)).latitude is None


def test_heic_says_what_jpeg_says() -> None:
    _told(jpeg())  # teaches Pillow the format
    exif = camera_tags()
    exif[HELD] = 6
    buffer = BytesIO()
    packet = xmp('xmp:Rating="3"')
    Image.new("RGB", (64, 32)).save(buffer, "HEIF", exif=exif.tobytes(), xmp=packet)
    about = _told(buffer.getvalue())
    assert (about.camera, about.place, about.rating) == ("Nikon D750", "Rome, Italy", 3)
    assert (about.width, about.height) == (32, 64)


@pytest.mark.filterwarnings("ignore")  # Pillow's remarks about odd tags
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "HEIF", "WEBP", "TIFF"])
def test_spoilt_bytes_cost_no_photo(format_: str) -> None:
    _told(jpeg())
    buffer = BytesIO()
    exif = camera_tags() if format_ == "TIFF" else camera_tags().tobytes()
    packet = xmp('xmp:Rating="3"', listed("dc:subject", "dog"))
    Image.new("RGB", (16, 16)).save(buffer, format_, exif=exif, xmp=packet)
    whole = np.frombuffer(buffer.getvalue(), dtype=np.uint8)
    rng = np.random.default_rng(2)
    for _ in range(200):
        spoilt = whole.copy()
        spoilt[rng.integers(0, len(spoilt), 6)] = rng.integers(0, 256, 6)
        assert isinstance(_told(spoilt.tobytes()), Metadata)


def test_city_and_country_of_iptc_are_the_place_where_there_is_no_position() -> None:
    fields = ((92, b"Duomo"), (90, b"Orvieto"), (95, b"Umbria"), (101, b"Italy"))
    plain = jpeg()
    about = _told(plain[:2] + iptc(*fields) + plain[2:])
    assert (about.place, about.latitude) == ("Duomo, Orvieto, Umbria, Italy", None)


def test_a_position_names_the_place_and_what_is_written_stays_before_it() -> None:
    fields = ((92, b"Trastevere"), (90, b"rome"), (101, b"Italia"))
    plain = jpeg(camera_tags())
    about = _told(plain[:2] + iptc(*fields) + plain[2:])
    assert about.place == "Trastevere, Italia, Rome, Italy"
    assert _told(jpeg(camera_tags())).place == "Rome, Italy"


@pytest.mark.parametrize("written", ["1955", "1955-08", "19550800"])
def test_the_date_of_a_scan_is_that_of_the_picture(written: str) -> None:
    # The scanner's clock is in EXIF, what the person knows in IPTC or XMP.
    exif = Image.Exif()
    exif[CHANGED] = "2015:01:02 03:04:05"
    exif.get_ifd(EXIF)[0x9004] = "2015:01:02 03:04:05"
    plain, year = jpeg(exif), written[:4].encode()
    by_iptc = _told(plain[:2] + iptc((55, written.replace("-", "").encode())) + plain[2:])
    assert by_iptc.taken is not None
    assert by_iptc.taken.year == int(year)
    packet = xmp(f'photoshop:DateCreated="{written}"', "").replace(
        b"xmlns:dc=", b'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:dc='
    )
    by_xmp = _told(jpeg(exif, xmp=packet))
    assert by_xmp.taken == by_iptc.taken
    assert _told(plain).taken == datetime(2015, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "written", ["0000:00:00 00:00:00", "9999:99:99", "-001:01:01", "2019:13:01", "0:0:0"]
)
def test_a_strange_date_ends_nothing(written: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(EXIF)[TAKEN] = written
    assert _told(jpeg(exif)).taken is None
    tags = {"creation_time": f"{written}Z", "com.apple.quicktime.creationdate": written}
    assert read_video_metadata(tags, size=(1, 1)).taken is None


@pytest.mark.parametrize("format_", ["GIF", "TIFF", "WEBP", "AVIF", "HEIF", "PNG", "JPEG", "JXL"])
def test_xmp_in_each_format(format_: str) -> None:
    _told(jpeg())  # teaches Pillow the formats
    packet = xmp("", listed("dc:subject", "heron"))
    assert _told(_with_xmp(format_, packet)).keywords == ("heron",)


def _with_xmp(format_: str, packet: bytes) -> bytes:
    """A picture with an XMP packet where its format keeps it."""
    buffer, image = BytesIO(), Image.new("RGB", (64, 32), "red")
    if format_ == "GIF":
        image.save(buffer, "GIF")
        end = b"\x01" + bytes(range(255, -1, -1)) + b"\0"  # so that other readers find their way
        application = b"!\xff\x0bXMP DataXMP" + packet + end
        return buffer.getvalue()[:-1] + application + b";"
    if format_ == "TIFF":
        image.save(buffer, "TIFF", tiffinfo={0x02BC: packet})
    elif format_ == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        image.save(buffer, "PNG", pnginfo=info)
    elif format_ == "JXL":
        pytest.importorskip("pillow_jxl")
        image.save(buffer, "JXL", xmp=packet, use_container=True)
    else:
        image.save(buffer, format_, xmp=packet)
    return buffer.getvalue()


def test_xmp_of_jpeg_2000_lies_in_a_box() -> None:
    buffer = BytesIO()
    Image.new("RGB", (64, 32)).save(buffer, "JPEG2000")
    packet = xmp("", listed("dc:subject", "heron"))
    body = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + packet
    data, at = buffer.getvalue(), buffer.getvalue().index(b"jp2c") - 4
    box = struct.pack(">I4s", 8 + len(body), b"uuid") + body
    assert _told(data[:at] + box + data[at:]).keywords == ("heron",)


def test_packed_xmp_of_jpeg_xl_takes_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pillow_jxl")
    _told(jpeg())
    packet, buffer = xmp("", listed("dc:subject", "heron")), BytesIO()
    image = Image.new("RGB", (64, 32))
    image.save(buffer, "JXL", xmp=packet, use_container=True, compress_metadata=True)
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert _told(buffer.getvalue()).keywords == ()
    brotli = SimpleNamespace(decompress=lambda _: packet, error=RuntimeError)
    monkeypatch.setitem(sys.modules, "brotli", brotli)
    assert _told(buffer.getvalue()).keywords == ("heron",)


def test_the_camera_is_no_word_of_a_photo() -> None:
    exif = camera_tags()
    exif[MAKE], exif[MODEL] = "Apple", "iPhone 12"
    packet = xmp('tiff:Model="iPhone 12"').replace(
        b"xmlns:dc=", b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc='
    )
    spoken = row(1, "", Path("/p/a.jpg"), [Path("/p")], _told(jpeg(exif, xmp=packet)))
    assert "iphone" not in str(spoken).casefold()
    exif[DESCRIPTION] = "my new iPhone"  # a person wrote that
    spoken = row(1, "", Path("/p/a.jpg"), [Path("/p")], _told(jpeg(exif)))
    assert "iphone" in str(spoken).casefold()


def test_names_and_places_are_words() -> None:
    packet = xmp("", listed("dc:subject", "Zebedea"))
    plain = jpeg(xmp=packet)
    about = _told(plain[:2] + iptc((90, b"Orvieto")) + plain[2:])
    spoken = row(1, "", Path("/p/a.jpg"), [Path("/p")], about)
    assert "zebedea" in spoken["text"].casefold()
    assert "orvieto" in spoken["place"].casefold()
