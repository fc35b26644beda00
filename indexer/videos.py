"""A video becomes a few frames that stand for it, each with its time.

    moments, evenly spread -> the key frame before each -> no blank ones -> no look-alikes

Key frames are whole pictures, so a film of two hours costs as much as a clip: one seek and one
picture a moment. Only what lies in the file is read: no playlist, no address within it is followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexer.errors import FileUnreadable
from indexer.formats import VIDEO_CODECS, VIDEO_FORMATS, wanting
from indexer.photos import BAD_DATA, MAX_MEGAPIXELS, Claim, check_size, free, grey, is_blank

SECONDS_A_FRAME = 5.0
"""Of a short video; a longer one has `MOST_FRAMES`, spread over all of it."""

FEWEST_FRAMES = 3
MOST_FRAMES = 32

_ONLY = {
    "format_whitelist": ",".join(VIDEO_FORMATS),
    "codec_whitelist": ",".join(sorted(VIDEO_CODECS)),
    "protocol_whitelist": "none",  # of that name there is none: a video leads to no other file
}
"""What FFmpeg may do with a file."""

_COST = 40  # bytes a pixel: a decoder keeps up to 16 frames to build others upon
_ALIKE = 6.0  # mean difference of grey levels at 16 x 16: noise and compression make some 2
_ROUNDED = 0.001  # seconds to which times are kept
_FEW = 300  # frames that are looked at one by one, where key frames do not do


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame, upright, RGB, and how many seconds after the start it is shown."""

    time: float
    image: Image.Image


@dataclass(frozen=True, kw_only=True)
class Video:
    """The frames that stand for a video, by time; its upright size in pixels; its own words.

    `tags` are what the file says about itself, by the names that its format has for that.
    """

    frames: tuple[Frame, ...]
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
        size_hint: as in `indexer.photos.read_photo`; frames are made just so small.
        max_megapixels: videos of larger frames are refused.
        most: frames of a long video.
        claim: told how much memory a frame takes, before it is decoded.

    Raises:
        FileUnreadable: the reason, fit for a list of skipped files.
    """
    with _opened(path, max_megapixels, claim) as film:
        found = [film.picture(frame, size_hint) for frame in film.key_frames(most)]
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
    """An open video: its container and its pictures."""

    def __init__(self, container: Any, stream: Any, errors: tuple[type[Exception], ...]) -> None:
        self._container, self._stream, self._errors = container, stream, errors
        self._start = float((stream.start_time or 0) * stream.time_base)

    def key_frames(self, most: int) -> Iterator[Any]:
        """Yield key frames by time, about evenly spread, each once."""
        self._stream.codec_context.skip_frame = "NONKEY"
        seconds = self._seconds()
        found = self._sought(seconds, most) if seconds else self._in_order()
        seen = set()
        for frame in islice(found, most):
            if frame.pts not in seen:
                seen.add(frame.pts)
                yield frame

    def first_frames(self) -> Iterator[Any]:
        """Yield the first frames, key frames or not."""
        yield from islice(self.from_moment(0.0), _FEW)

    def from_moment(self, time: float) -> Iterator[Any]:
        """Yield all frames from a moment on."""
        self._stream.codec_context.skip_frame = "DEFAULT"
        self._seek(time + _ROUNDED)
        for frame in self._container.decode(self._stream):
            if self._time(frame) >= time - _ROUNDED:
                yield frame

    def picture(self, frame: Any, size_hint: int) -> Frame:
        """Return a frame upright, its pixels square, its shorter side twice the hint or less."""
        aspect = float(self._stream.sample_aspect_ratio or 1) or 1.0
        width, height = frame.width * aspect, float(frame.height)
        shrink = min(1.0, 2 * size_hint / min(width, height))
        sides = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        image = frame.to_image(width=sides[0], height=sides[1], interpolation="AREA")
        turn = _TURNS.get(frame.rotation % 360)
        return Frame(
            time=round(self._time(frame), 3), image=image.transpose(turn) if turn else image
        )

    def size(self, frame: Frame) -> tuple[int, int]:
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

    def _seek(self, time: float) -> None:
        """Go to the key frame before a moment."""
        at = int((time + self._start) / self._stream.time_base)
        self._container.seek(at, stream=self._stream)

    def _sought(self, seconds: float, most: int) -> Iterator[Any]:
        """Yield the key frame before each of the moments, where one can be found."""
        count = min(most, max(FEWEST_FRAMES, ceil(seconds / SECONDS_A_FRAME)))
        for number in range(count):
            with suppress(*self._errors):
                self._seek(seconds * (number + 0.5) / count)
                yield from islice(self._container.decode(self._stream), 1)

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
        with path.open("rb") as file, av.open(file, options=_ONLY) as container:
            stream = container.streams.best("video")
            if stream is None:
                raise FileUnreadable("no pictures in it")
            check_size((stream.width, stream.height), max_megapixels)
            claim(_COST * stream.width * stream.height)
            _check_codec(stream.codec_context.codec)
            stream.codec_context.thread_count = 1  # each has memory of its own
            yield _Film(container, stream, errors)
    except errors as error:
        raise FileUnreadable(_reason(error)) from error


def _check_codec(codec: Any) -> None:
    """Refuse a video whose pictures take a decoder that no camera needs."""
    if codec.name not in VIDEO_CODECS:
        raise FileUnreadable(f"its pictures are written as {codec.name}, which is not read")


def _unlike(frames: Iterable[Frame]) -> tuple[Frame, ...]:
    """Drop each frame that looks like the last one kept."""
    kept: list[Frame] = []
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
