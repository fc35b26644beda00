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
    tags: dict[str, str] | None = None,
) -> Path:
    """Film scenes, each for so many seconds, with a key frame every so many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height = scenes[0][0].size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = round(key_every * FPS)
        stream.codec_context.time_base = Fraction(1, FPS)
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "sc_threshold": "0", "crf": "12"}
        for image, seconds in scenes:
            for _ in range(round(seconds * FPS)):
                frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


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
