"""A video becomes the frames that stand for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from indexer.core.errors import FileUnreadable
from indexer.core.file_types import MediaType
from indexer.decoding.pool import DecodeOptions, DecodePool
from indexer.decoding.task import DecodeRequest, decode
from indexer.media.image import read_photo
from indexer.media.video import read_frame, read_video
from indexer.metadata.extract import read_video_metadata, with_place
from tests.clips import clip, scene, turned
from tests.fakes import COLOURS
from tests.films import box
from tests.indexer.metadata.test_xmp import MWG, packet

APPLE = "com.apple.quicktime."

RED, GREEN, WHITE = scene("red", "blue"), scene("green", "yellow"), scene("white", "black")
BLACK = scene("black")


def _shown(image: Image.Image) -> str:
    """The colour at the left, by the nearest there is."""
    red, green, blue = image.getpixel((4, 4))
    apart = {
        name: abs(red - r) + abs(green - g) + abs(blue - b) for name, (r, g, b) in COLOURS.items()
    }
    return min(apart, key=lambda name: apart[name])


def _frames(path: Path, **options: int) -> list[tuple[float, str]]:
    frames = read_video(path, size_hint=24, **options).frames
    return [(frame.time, _shown(frame.image)) for frame in frames]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx264"),
        ("a.mkv", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.webm", "libvpx-vp9"),
        ("a.mts", "libx264"),
        ("a.mpg", "mpeg2video"),
    ],
)
def test_each_scene_has_a_frame(tmp_path: Path, name: str, codec: str) -> None:
    scenes = [(BLACK, 1), (RED, 4), (GREEN, 5), (WHITE, 5)]
    path = clip(tmp_path / name, scenes, codec=codec)
    frames = _frames(path)
    assert [colour for _, colour in frames] == ["red", "green", "white"]
    starts = {"red": 1, "green": 5, "white": 10}
    ends = {"red": 5, "green": 10, "white": 15}
    assert all(starts[colour] <= time < ends[colour] for time, colour in frames)
    for frame in read_video(path, size_hint=24).frames:
        again = read_frame(path, frame.time, size_hint=24)
        assert np.array_equal(np.asarray(again), np.asarray(frame.image))


def test_times_are_those_of_the_key_frames(tmp_path: Path) -> None:
    # 15 s: a frame each 5 s, at 2.5, 7.5 and 12.5 s; a key frame each second goes before.
    path = clip(tmp_path / "a.mp4", [(BLACK, 1), (RED, 4), (GREEN, 5), (WHITE, 5)])
    assert _frames(path) == [(2.0, "red"), (7.0, "green"), (12.0, "white")]
    assert _frames(path, most=2) == [(3.0, "red"), (11.0, "white")]


def test_a_video_of_unknown_length(tmp_path: Path) -> None:
    scenes = [(BLACK, 6), (RED, 6), (GREEN, 6)]
    path = clip(tmp_path / "a.webm", scenes, codec="libvpx-vp9", live="webm")
    # From the start on, a key frame each 5 s; at 0 and 5 s it is black.
    assert _frames(path) == [(10.0, "red"), (15.0, "green")]
    assert np.array_equal(
        np.asarray(read_frame(path, 15.0, size_hint=24)),
        np.asarray(read_video(path, size_hint=24).frames[1].image),
    )


def test_look_alikes_are_dropped(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", [(RED, 10), (GREEN, 5), (RED, 5)])
    assert [colour for _, colour in _frames(path)] == ["red", "green", "red"]


def test_blank_key_frames_are_passed_over(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", [(BLACK, 1), (RED, 2)], key_every=60)
    assert _frames(path) == [(1.0, "red")]
    path = clip(tmp_path / "b.mp4", [(BLACK, 1)])
    assert _frames(path) == [(0.0, "black")]  # better than none


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_phone_is_upright(tmp_path: Path, degrees: int) -> None:
    picture = scene("red", "blue")
    picture.paste(COLOURS["green"], (0, 0, 96, 20))
    video = read_video(turned(clip(tmp_path / "a.mp4", [(picture, 1)]), degrees), size_hint=96)
    # Clockwise, as Pillow's names do not count.
    turn = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180}
    wanted = picture.transpose(turn.get(degrees, Image.Transpose.ROTATE_90))
    assert (video.width, video.height) == video.frames[0].image.size == wanted.size
    apart = np.asarray(video.frames[0].image, dtype=int) - np.asarray(wanted, dtype=int)
    assert np.abs(apart).mean() < 8


def test_a_frame_is_no_larger_than_needed(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", [(scene("red", "blue", size=(640, 320)), 1)])
    video = read_video(path, size_hint=50)
    assert video.frames[0].image.size == (200, 100)
    assert (video.width, video.height) == (640, 320)
    assert read_frame(path, None, size_hint=500).size == (640, 320)


def test_what_a_video_says(tmp_path: Path) -> None:
    tags = {
        "creation_time": "2019-07-14T16:03:11.000000Z",
        f"{APPLE}creationdate": "2019-07-14T18:03:11+0200",
        f"{APPLE}location.ISO6709": "+41.8919+012.5113+021.000/",
        f"{APPLE}make": "Apple",
        f"{APPLE}model": "iPhone 12",
        "title": "Harbour",
    }
    path = clip(tmp_path / "a.mov", [(RED, 1)], tags=tags)
    tags = read_video(path, size_hint=24).tags
    about = with_place(read_video_metadata(tags, size=(96, 64)))
    assert about.taken == datetime(2019, 7, 14, 18, 3, 11)
    assert (about.latitude, about.longitude) == (41.8919, 12.5113)
    assert (about.place, about.camera, about.title) == ("Rome, Italy", "Apple iPhone 12", "Harbour")


@pytest.mark.parametrize("unset", ["1904-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "soon", ""])
def test_a_clock_that_was_never_set_says_nothing(unset: str) -> None:
    tags = {"creation_time": unset, "location": "+95.0+012.0/", "encoder": "Lavf62"}
    about = read_video_metadata(tags, size=(4, 2))
    assert (about.taken, about.latitude, about.camera) == (None, None, "")


@pytest.mark.usefixtures("in_new_york")
@pytest.mark.parametrize(
    ("tags", "taken"),
    [
        # A clock with its zone is that of the place; universal time becomes that of this machine.
        ({f"{APPLE}creationdate": "2019-07-14T23:30:00+0200"}, datetime(2019, 7, 14, 23, 30)),
        ({"creation_time": "2019-07-15T01:30:00.000000Z"}, datetime(2019, 7, 14, 21, 30)),
        ({"creation_time": "2019-07-14T23:30:00"}, datetime(2019, 7, 14, 23, 30)),
        ({"date": "2019-07-15T01:30:00Z"}, datetime(2019, 7, 14, 21, 30)),
        ({"date": "1955"}, datetime(1955, 1, 1)),
        (
            {"creation_time": "2019-07-14T22:30:00Z", "location": "+35.68+139.76/"},
            datetime(2019, 7, 15, 7, 30),  # in Tokyo
        ),
        # Cameras without a time zone write their clock where universal time belongs.
        (
            {"creation_time": "2019-07-14T23:30:00Z", "handler_name": "\tGoPro AVC"},
            datetime(2019, 7, 14, 23, 30),
        ),
        (
            {"creation_time": "2019-07-14T23:30:00Z", "major_brand": "CAEP"},
            datetime(2019, 7, 14, 23, 30),
        ),
        # What can be read counts, though another tag is broken.
        (
            {f"{APPLE}creationdate": "soon", "creation_time": "2019-07-15T01:30:00Z"},
            datetime(2019, 7, 14, 21, 30),
        ),
        ({"creation_time": "0001-01-01T00:00:00Z"}, None),
        ({"creation_time": "9999-12-31T23:59:59Z"}, None),
    ],
)
def test_the_date_of_a_video_is_local(tags: dict[str, str], taken: datetime | None) -> None:
    assert read_video_metadata(tags, size=(4, 2)).taken == taken


XMP = packet(MWG + "<photoshop:City>Orvieto</photoshop:City>")


def _packed_beside(path: Path) -> None:
    """Put XMP into a box at the end, as Adobe's programs and ExifTool do in an MP4."""
    with path.open("ab") as file:
        file.write(box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), XMP))


def _packed_within(path: Path) -> None:
    """Put XMP among the user's data, as a MOV has it; `moov` is the last box of a clip."""
    data = path.read_bytes()
    at = data.rindex(b"moov") - 4
    path.write_bytes(data[:at] + box(b"moov", data[at + 8 :], box(b"udta", box(b"XMP_", XMP))))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.m4v"])
@pytest.mark.parametrize("put", [_packed_beside, _packed_within])
def test_xmp_of_a_video(tmp_path: Path, name: str, put: Callable[[Path], None]) -> None:
    path = clip(tmp_path / name, [(RED, 1)])
    put(path)
    video = read_video(path, size_hint=24)
    about = read_video_metadata(video.tags, size=(96, 64))
    assert about.keywords == ("Zebedea", "Ann Lee", "Rex")
    assert about.place == "Orvieto"


def test_a_tag_that_is_no_utf_8_costs_no_video(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", [(RED, 1)], tags={"title": "Cafe"})
    path.write_bytes(path.read_bytes().replace(b"Cafe", b"Caf\xe9"))
    video = read_video(path, size_hint=24)
    assert read_video_metadata(video.tags, size=(96, 64)).title == "Café"


@pytest.mark.parametrize(("name", "codec"), [("a.mts", "libx264"), ("a.mpg", "mpeg2video")])
def test_the_first_group_of_pictures_is_read(tmp_path: Path, name: str, codec: str) -> None:
    # These formats have no index: a seek lands behind the only key frame.
    path = clip(tmp_path / name, [(RED, 2), (GREEN, 2)], codec=codec, key_every=60)
    assert [colour for _, colour in _frames(path)] == ["red", "green"]
    for frame in read_video(path, size_hint=24).frames:
        again = read_frame(path, frame.time, size_hint=24)
        assert _shown(again) == _shown(frame.image)
    short = clip(tmp_path / f"b{path.suffix}", [(RED, 0.4)], codec=codec)
    assert [colour for _, colour in _frames(short)] == ["red"]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264")])
def test_a_film_with_few_key_frames_has_as_many_frames(
    tmp_path: Path, name: str, codec: str
) -> None:
    scenes = [(RED, 6), (GREEN, 6), (WHITE, 6)]
    path = clip(tmp_path / name, scenes, codec=codec, key_every=60)
    assert [colour for _, colour in _frames(path)] == ["red", "green", "white"]
    for time_, colour in _frames(path):
        assert _shown(read_frame(path, time_, size_hint=24)) == colour


def test_reading_through_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip(tmp_path / "a.mp4", [(RED, 6), (GREEN, 6)], key_every=60)
    monkeypatch.setattr("indexer.media.video._READ_THROUGH", 96 * 64 * 10)
    assert [colour for _, colour in _frames(path)] == ["red"]


def test_what_is_said_alone_costs_one_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clip(tmp_path / "a.mp4", [(RED, 6), (GREEN, 6)], key_every=60)
    monkeypatch.setattr("indexer.media.video._Film._read_through", None)
    look = DecodeRequest(
        form=MediaType.VIDEO,
        size_hint=8,
        max_megapixels=1,
        frames=9,
        allow_truncated=False,
        pictures=False,
    )
    seen = decode(bytes(path), look)
    assert (seen.photos, seen.about.width) == ((), 96)


def _sound(path: Path) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_reasons(tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.mp4", [(RED, 1)]).read_bytes()
    _sound(tmp_path / "sound.mp4")
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nwhole.mp4\n#EXT-X-ENDLIST\n"
    files = {
        "empty file": b"",
        "broken or unknown video (invalid data found when processing input)": b"words" * 99,
        "it contains no pictures": (tmp_path / "sound.mp4").read_bytes(),
    }
    for reason, data in files.items():
        (tmp_path / "a.mp4").write_bytes(data)
        with pytest.raises(FileUnreadable) as caught:
            read_video(tmp_path / "a.mp4", size_hint=8)
        assert str(caught.value) == reason
    concat = b"ffconcat version 1.0\nfile 'whole.mp4'\n"
    for data in (playlist, concat, whole[: len(whole) // 2]):
        (tmp_path / "a.mp4").write_bytes(data)
        with pytest.raises(FileUnreadable, match=r"unknown video|it contains no pictures"):
            read_video(tmp_path / "a.mp4", size_hint=8)
    with pytest.raises(FileUnreadable, match=r"megapixels, over the limit of 0\.001; raise it"):
        read_video(tmp_path / "whole.mp4", size_hint=8, max_megapixels=0.001)
    with pytest.raises(FileUnreadable, match="no frame at 9 s any more"):
        read_frame(tmp_path / "whole.mp4", 9.0, size_hint=8)
    with pytest.raises(FileUnreadable, match="no such file"):
        read_frame(tmp_path / "gone.mp4", None, size_hint=8)


def test_only_what_cameras_write_is_decoded(tmp_path: Path) -> None:
    """FFmpeg has some 200 more decoders, for games and systems of the nineties."""
    path = clip(tmp_path / "a.avi", [(RED, 1)], codec="asv1")
    with pytest.raises(FileUnreadable, match="its codec, asv1, is not supported"):
        read_video(path, size_hint=8)


def test_without_the_package_the_reason_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clip(tmp_path / "a.mp4", [(RED, 1)])
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(FileUnreadable, match=r"needs: pip install 'twinlens\[video\]'$"):
        read_video(path, size_hint=8)


def test_a_process_decodes_it_alike(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", [(RED, 3), (GREEN, 3)], tags={"title": "Two"})
    with DecodePool(DecodeOptions(), size_hint=24) as decoders:
        seen = decoders.see(MediaType.VIDEO, bytes(path))
        same = read_video(path, size_hint=24)
        assert list(seen.times) == [frame.time for frame in same.frames]
        for photo, frame in zip(seen.photos, same.frames, strict=True):
            assert np.array_equal(np.asarray(photo), np.asarray(frame.image))
        size = (same.width, same.height)
        assert seen.about == read_video_metadata(same.tags, size=size)
        assert (seen.about.width, seen.about.height, seen.about.title) == (*size, "Two")
        path.write_bytes(b"words")
        with pytest.raises(FileUnreadable, match="broken or unknown"):
            decoders.see(MediaType.VIDEO, bytes(path))
    hasty = DecodePool(DecodeOptions(seconds=0.01), size_hint=24)
    with hasty, pytest.raises(FileUnreadable, match=r"took longer than 0\.01 s"):
        hasty.see(MediaType.VIDEO, bytes(path))


def test_spoilt_bytes_cost_themselves_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for name, codec in (("a.mp4", "libx264"), ("a.avi", "mpeg4")):
        path = clip(tmp_path / name, [(RED, 1), (GREEN, 1)], codec=codec)
        whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        with DecodePool(DecodeOptions(max_megapixels=1), size_hint=8) as decoders:
            for _ in range(30):
                spoilt = whole.copy()
                spoilt[rng.integers(0, len(spoilt), 20)] = rng.integers(0, 256, 20)
                path.write_bytes(spoilt.tobytes())
                try:
                    seen = decoders.see(MediaType.VIDEO, bytes(path))
                except FileUnreadable:
                    continue
                assert seen.photos


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG"])
def test_an_animation_shows_a_frame_amid_it(tmp_path: Path, format_: str) -> None:
    path = tmp_path / f"a.{format_.lower()}"

    def saved(*frames: Image.Image) -> str:
        more = {"save_all": True, "append_images": frames[1:]}
        frames[0].save(path, format_, **more)
        return _shown(read_photo(path, size_hint=96))

    assert saved(BLACK, BLACK, RED, GREEN) == "red"
    assert saved(RED, BLACK) == "red"  # the one amid it is blank
    assert saved(BLACK, RED) == "red"
