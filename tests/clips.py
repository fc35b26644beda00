"""Small videos of our own making."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.fakes import COLOURS

FPS = 10


def scene(*colours: str, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Draw upright stripes, one a colour."""
    image = Image.new("RGB", size)
    edges = [size[0] * number // len(colours) for number in range(len(colours) + 1)]
    for colour, left, right in zip(colours, edges, edges[1:], strict=False):
        image.paste(COLOURS[colour], (left, 0, right, size[1]))
    return image


def clip(
    path: Path,
    scenes: Sequence[tuple[Image.Image, float]],
    *,
    codec: str = "libx264",
    key_every: float = 1.0,
    live: str = "",
    tags: dict[str, str] | None = None,
) -> Path:
    """Film scenes, each for so many seconds, with a key frame every so many.

    `live` names a format that is written as by a recorder that cannot go back: no length is known.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "use_metadata_tags"} if path.suffix in {".mov", ".mp4"} else {}
    stream = _Stream()
    with av.open(stream if live else path, "w", format=live or None, options=options) as container:
        container.metadata.update(tags or {})
        track = container.add_stream(codec, rate=FPS)
        track.width, track.height = scenes[0][0].size
        track.pix_fmt = "yuv420p"
        track.codec_context.gop_size = round(key_every * FPS)
        track.codec_context.time_base = Fraction(1, FPS)
        if codec == "libx264":
            track.options = {"preset": "ultrafast", "sc_threshold": "0", "crf": "12"}
        for image, seconds in scenes:
            for _ in range(round(seconds * FPS)):
                frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
                container.mux(track.encode(frame))
        container.mux(track.encode())
    if live:
        path.write_bytes(stream.data)
    return path


class _Stream:
    """What can be written to, and no more."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        """Append."""
        self.data += data
        return len(data)


def turned(path: Path, degrees: int) -> Path:
    """Let an MP4 ask to be turned clockwise, as a phone that is held upright does."""
    data = bytearray(path.read_bytes())
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = [cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 14]
    at = data.index(b"tkhd") + 4 + 40
    for number, value in enumerate(matrix):
        scaled = value if number == 8 else value << 16
        scaled = (1 << 30) if number == 8 else scaled
        data[at + 4 * number : at + 4 * number + 4] = scaled.to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    return path
