"""Feed mutated photos and sidecars to what parses them, guided by coverage, until one breaks it.

    pip install atheris
    python scripts/fuzz_photos.py --seconds 300

What a file may do is be refused with a reason. Anything else that is raised is a finding: atheris
prints it and keeps the input in a file. Crashes and floods of memory cost their process alone in
the product; here they end the run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from io import BytesIO
from pathlib import Path

import atheris
from PIL import Image

with atheris.instrument_imports(include=["PIL", "indexer", "defusedxml"]):
    from indexer.core.errors import FileUnreadable
    from indexer.core.file_types import MediaType
    from indexer.decoding.messages import DecodeRequest, read_back, written
    from indexer.decoding.task import decode

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 exif:GPSLatitude="41,53.5N" exif:GPSLongitude="12,30,0E"><dc:subject><rdf:Bag><rdf:li>sea</rdf:li>
 </rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""
LOOK = DecodeRequest(
    form=MediaType.PICTURE, size_hint=16, max_megapixels=1.0, frames=4, allow_truncated=False
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for name, data in seeds().items():
            (Path(folder) / name).write_bytes(data)
        limits = [f"-max_total_time={asked.seconds}", "-max_len=4096", "-rss_limit_mb=4096"]
        atheris.Setup([sys.argv[0], *limits, "-timeout=20", folder], look_at)
        atheris.Fuzz()


def look_at(data: bytes) -> None:
    """Look at a file of these bytes; its metadata must come through the pipe as they are."""
    try:
        about = decode(data, LOOK).about
    except FileUnreadable:
        return
    assert read_back(written(about)) == about


def seeds() -> dict[str, bytes]:
    """Return a small photo of each format, with EXIF and XMP where it takes them."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x010E] = "Canon", 6, "A dune"
    exif.get_ifd(0x8769).update({0x9003: "2019:07:14 18:03:11", 0x9286: b"ASCII\0\0\0words"})
    exif.get_ifd(0x8825).update({1: "N", 2: (41.0, 53.0, 30.0), 3: "E", 4: (12.0, 30.0, 40.0)})
    photo = Image.linear_gradient("L").resize((24, 16)).convert("RGB")
    files = {"empty": b""}
    for form in FORMATS:
        more = {"exif": exif} if form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") else {}
        more |= {"xmp": XMP} if form in ("JPEG", "WEBP") else {}
        buffer = BytesIO()
        try:
            photo.save(buffer, form, **more)
        except (KeyError, OSError):  # a Pillow without this format
            continue
        files[form] = buffer.getvalue()
    return files


if __name__ == "__main__":
    main()
