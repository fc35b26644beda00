"""Choose a few frames that represent a video, each with its time.

    evenly spread times -> the key frame before each -> no blank ones -> no near-identical ones

Key frames are complete pictures, so a film of two hours costs as much as a clip: one seek and one
picture for each time. A film with fewer key frames than times is decoded from start to end, up to
`_READ_THROUGH` pixels. In a format without an index (MPEG-TS, MPEG-PS), a seek may land behind the
key frame, so it is repeated from farther back. Only data in the file are read: no playlist and no
address within it is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import islice, takewhile
from math import ceil
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from indexer.core.errors import FileUnreadable
from indexer.core.file_access import open_regular
from indexer.core.file_types import VIDEO_CODECS, VIDEO_FORMATS, wanting
from indexer.media.image import BAD_DATA, MAX_MEGAPIXELS, Claim, check_size, free, grey, is_blank

SECONDS_A_FRAME = 5.0
"""Of a short video; a longer one has `MOST_FRAMES`, spread over all of it."""

FEWEST_FRAMES = 3
MOST_FRAMES = 32

_OPTIONS = {
    "format_whitelist": ",".join(VIDEO_FORMATS),
    "codec_whitelist": ",".join(sorted(VIDEO_CODECS)),
    "protocol_whitelist": "none",  # of that name there is none: a video leads to no other file
    "export_xmp": "1",
}
"""What FFmpeg may do with a file."""

_COST = 40  # bytes a pixel: a decoder keeps up to 16 frames to build others upon
_WITHOUT_INDEX = frozenset({"mpeg", "mpegts", "mpegvideo"})
_ALIKE = 6.0  # mean difference of grey levels at 16 x 16: noise and compression make some 2
_ROUNDED = 0.001  # seconds to which times are kept
_FEW = 300  # frames that are looked at one by one, where key frames do not do
_READ_THROUGH = 3_000_000_000  # pixels decoded where key frames are few: some 20 s of one core
_BACK = (0.0, 1.0, 4.0, 16.0)  # seconds before a moment from which it is sought


@dataclass(frozen=True, kw_only=True)
class VideoFrame:
    """A frame, upright, RGB, and how many seconds after the start it is shown."""

    time: float
    image: Image.Image


@dataclass(frozen=True, kw_only=True)
class Video:
    """The frames that stand for a video, by time; its upright size in pixels; its own words.

    `tags` are what the file says about itself, by the names that its format has for that.
    """

    frames: tuple[VideoFrame, ...]
    width: int
    height: int
    tags: Mapping[str, str]


def read_video(
    path: Path,
    *,
    size_hint: int,
    max_megapixels: float = MAX_MEGAPIXELS,
    most: int = MOST_FRAMES,
    claim: Claim = free,
) -> Video:
    """Read the frames that stand for a video; at least one.

    Args:
        path: of the file.
        size_hint: as in `indexer.media.image.read_photo`; frames are made just so small.
        max_megapixels: videos of larger frames are refused.
        most: frames of a long video.
        claim: told how much memory a frame takes, before it is decoded.

    Raises:
        FileUnreadable: the reason, fit for a list of skipped files.
    """
    with _opened(path, max_megapixels, claim) as film:
        found = film.frames(most, size_hint)
        telling = [frame for frame in found if not is_blank(frame.image)]
        if not telling:
            more = (film.picture(frame, size_hint) for frame in film.first_frames())
            telling = [*islice((frame for frame in more if not is_blank(frame.image)), 1)]
        frames = _unlike(telling or found[:1])
        if not frames:
            raise FileUnreadable("no frame of the video can be decoded")
        width, height = film.size(frames[0])
        return Video(frames=frames, width=width, height=height, tags=film.tags())


def read_frame(
    path: Path,
    time: float | None,
    *,
    size_hint: int,
    max_megapixels: float = MAX_MEGAPIXELS,
    claim: Claim = free,
) -> Image.Image:
    """Read the frame that is shown after so many seconds; for None the one amid those of a video.

    Raises:
        FileUnreadable: the reason.
    """
    if time is None:
        frames = read_video(
            path,
            size_hint=size_hint,
            max_megapixels=max_megapixels,
            most=FEWEST_FRAMES,
            claim=claim,
        ).frames
        return frames[len(frames) // 2].image
    with _opened(path, max_megapixels, claim) as film:
        for frame in film.from_moment(time):
            return film.picture(frame, size_hint).image
    raise FileUnreadable(f"the video has no frame at {time:g} s any more")


class _Film:
    """An open video: its container and its pictures. `open_again` opens it at its start."""

    def __init__(
        self,
        container: Any,
        open_again: Callable[[], Any],
        errors: tuple[type[Exception], ...],
    ) -> None:
        self._container, self._open_again, self._errors = container, open_again, errors
        self._stream = _pictures_of(container)
        self._start = float((self._stream.start_time or 0) * self._stream.time_base)

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()

    def frames(self, most: int, size_hint: int) -> list[VideoFrame]:
        """Return frames by time, about evenly spread, each once; key frames where they do."""
        seconds = self._seconds()
        if not seconds:
            return [self.picture(frame, size_hint) for frame in islice(self._in_order(), most)]
        count = min(most, max(FEWEST_FRAMES, ceil(seconds / SECONDS_A_FRAME)))
        found = self._key_frames(seconds, count, size_hint)
        if len(found) >= min(count, max(FEWEST_FRAMES, ceil(count / 2))):
            return found
        return self._read_through(seconds, count, size_hint) or found

    def first_frames(self) -> Iterator[Any]:
        """Yield the first frames, key frames or not."""
        self._stream.codec_context.skip_frame = "DEFAULT"
        yield from islice(self._from_start(), _FEW)

    def from_moment(self, time: float) -> Iterator[Any]:
        """Yield all frames from a moment on."""
        self._stream.codec_context.skip_frame = "DEFAULT"
        for frame in self._landed(time + _ROUNDED):
            if self._time(frame) >= time - _ROUNDED:
                yield frame

    def picture(self, frame: Any, size_hint: int) -> VideoFrame:
        """Return a frame upright, its pixels square, its shorter side twice the hint or less."""
        aspect = float(self._stream.sample_aspect_ratio or 1) or 1.0
        width, height = frame.width * aspect, float(frame.height)
        shrink = min(1.0, 2 * size_hint / min(width, height))
        sides = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        image = frame.to_image(width=sides[0], height=sides[1], interpolation="AREA")
        turn = _TURNS.get(frame.rotation % 360)
        return VideoFrame(
            time=round(self._time(frame), 3), image=image.transpose(turn) if turn else image
        )

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """Return the size of the video, held as one of its frames is."""
        sides = sorted((self._stream.width, self._stream.height))
        upright = frame.image.height > frame.image.width
        return (sides[0], sides[1]) if upright else (sides[1], sides[0])

    def tags(self) -> dict[str, str]:
        """Return what the file says about itself."""
        return {**self._stream.metadata, **self._container.metadata}

    def _seconds(self) -> float:
        """Return how long it lasts; 0 where the file does not say."""
        if self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        return (self._container.duration or 0) / 1_000_000

    def _time(self, frame: Any) -> float:
        """Return how many seconds after the start a frame is shown."""
        return max(0.0, (frame.time or 0.0) - self._start)

    def _landed(self, time: float, late: float = 0.0) -> Iterator[Any]:
        """Yield frames from the key frame before a moment on, or one that is a little late."""
        for back in _BACK:
            landed, following = self._sought(time - back)
            if landed is not None and self._time(landed) <= time + late:
                yield landed
                yield from following
                return
        yield from self._from_start()

    def _sought(self, time: float) -> tuple[Any, Iterator[Any]]:
        """Go to the key frame before a moment, or about there; return the first frame and more."""
        at = int((max(0.0, time) + self._start) / self._stream.time_base)
        with suppress(*self._errors):
            self._container.seek(at, stream=self._stream)
            following = iter(self._container.decode(self._stream))
            return next(following, None), following
        return None, iter(())

    def _from_start(self) -> Iterator[Any]:
        """Yield frames from the start on, the first ones too, which a seek may lose."""
        skipped = self._stream.codec_context.skip_frame
        self._container.close()
        self._container = self._open_again()
        self._stream = _pictures_of(self._container)
        self._stream.codec_context.skip_frame = skipped
        yield from self._container.decode(self._stream)

    def _key_frames(self, seconds: float, count: int, size_hint: int) -> list[VideoFrame]:
        """Return the key frame before each of the moments, where one can be found."""
        self._stream.codec_context.skip_frame = "NONKEY"
        found: dict[Any, VideoFrame] = {}
        half = seconds / count / 2
        for number in range(count):
            with suppress(*self._errors):
                frame = self._last_before((2 * number + 1) * half, late=half)
                if frame is not None:
                    found.setdefault(frame.pts, self.picture(frame, size_hint))
        return [*found.values()]

    def _last_before(self, time: float, late: float) -> Any:
        """Return the last key frame before a moment; where a seek is exact, the first one met."""
        frames = self._landed(time, late)
        last = next(frames, None)
        if self._container.format.name in _WITHOUT_INDEX:
            for frame in takewhile(lambda each: self._time(each) <= time, frames):
                last = frame
        return last

    def _read_through(self, seconds: float, count: int, size_hint: int) -> list[VideoFrame]:
        """Return the first frame of each of so many equal parts; the pixels decoded are limited."""
        self._stream.codec_context.skip_frame = "DEFAULT"
        found: list[VideoFrame] = []
        most = max(1, _READ_THROUGH // max(1, self._stream.width * self._stream.height))
        with suppress(*self._errors):
            for frame in islice(self._from_start(), most):
                if self._time(frame) >= seconds * len(found) / count - _ROUNDED:
                    found.append(self.picture(frame, size_hint))
        return found[:count]

    def _in_order(self) -> Iterator[Any]:
        """Yield key frames some seconds apart from the start on."""
        last = -SECONDS_A_FRAME
        with suppress(*self._errors):
            for frame in self._container.decode(self._stream):
                if self._time(frame) >= last + SECONDS_A_FRAME:
                    last = self._time(frame)
                    yield frame


@contextmanager
def _opened(path: Path, max_megapixels: float, claim: Claim) -> Iterator[_Film]:
    """Open a video and find its pictures.

    Raises:
        FileUnreadable: it is none, or breaks while it is read.
    """
    try:
        av: Any = import_module("av")
    except ImportError as error:
        raise FileUnreadable(wanting("video")) from error
    errors = (*BAD_DATA, av.FFmpegError)
    try:
        if not path.stat().st_size:
            raise FileUnreadable("empty file")
        with open_regular(path) as file:
            yield from _film(file, max_megapixels, claim, errors)
    except errors as error:
        raise FileUnreadable(_reason(error)) from error


def _film(
    file: IO[bytes], max_megapixels: float, claim: Claim, errors: tuple[type[Exception], ...]
) -> Iterator[_Film]:
    """Yield the video of a file, and close it.

    A tag that is no UTF-8 costs no video; see `indexer.metadata.video_tags`.
    """

    def at_start() -> Any:
        file.seek(0)
        av: Any = import_module("av")
        return av.open(file, options=_OPTIONS, metadata_errors="surrogateescape")

    with at_start() as container:
        stream = _pictures_of(container)
        if stream is None:
            raise FileUnreadable("it contains no pictures")
        check_size((stream.width, stream.height), max_megapixels)
        claim(_COST * stream.width * stream.height)
        _check_codec(stream.codec_context.codec)
        film = _Film(container, at_start, errors)
        try:
            yield film
        finally:
            film.close()


def _check_codec(codec: Any) -> None:
    """Refuse a video whose pictures take a decoder that no camera needs."""
    if codec.name not in VIDEO_CODECS:
        raise FileUnreadable(f"its codec, {codec.name}, is not supported")


def _pictures_of(container: Any) -> Any:
    """Return the stream of pictures of a video; None if it has none."""
    stream = container.streams.best("video")
    if stream is not None:
        stream.codec_context.thread_count = 1  # each has memory of its own
    return stream


def _unlike(frames: Iterable[VideoFrame]) -> tuple[VideoFrame, ...]:
    """Drop each frame that looks like the last one kept."""
    kept: list[VideoFrame] = []
    for frame in frames:
        if not kept or _apart(kept[-1].image, frame.image) >= _ALIKE:
            kept.append(frame)
    return tuple(kept)


def _apart(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of grey levels of two pictures."""
    return float(np.abs(grey(one) - grey(other)).mean())


def _reason(error: BaseException) -> str:
    """Say in a few words what is wrong with the file."""
    if isinstance(error, MemoryError):
        return "too large for the memory of this machine"
    told = getattr(error, "strerror", None) or str(error)
    return f"broken or unknown video ({told.lower()})"


_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
"""How a frame is turned, by the degrees against the clock that its file asks for."""
