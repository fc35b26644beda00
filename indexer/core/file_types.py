"""The supported file types: which suffixes are indexed, and how each file is read.

The first bytes decide for a file with an unknown suffix or none: see
`indexer.media.file_signature`.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import PurePath

from indexer.core.types import Kind

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {".avif", ".jp2", ".ppm", ".pgm", ".heic", ".heif", ".hif", ".jxl"}
    | {".mpo", ".jps", ".insp", ".jpg_large", ".j2k", ".j2c", ".jpf", ".jpx", ".pnm", ".tga"}
)
"""JPEG XL is here to be listed with a reason where Pillow cannot read it, not skipped silently."""

RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc"}
    | {".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2"}
    | {".srf", ".srw", ".x3f"}
)
"""What cameras write beside or in place of a JPEG. Not `.raw`, which anything may be called."""

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".3gp"}
    | {".3g2", ".wmv", ".flv", ".ogv", ".vob", ".asf", ".m2t", ".m2v", ".mpe", ".divx", ".f4v"}
    | {".qt", ".insv"}
)
"""Not `.ts`, which is TypeScript more often than a broadcast."""

TEXT_SUFFIXES = frozenset({".txt", ".md", ".jsonl", ".csv"})


SIDECAR_SUFFIXES = frozenset({".xmp", ".aae", ".ini", ".db"})
"""What editors and systems put beside photos: `a.xmp`, `IMG_1.AAE`, `desktop.ini`, `Thumbs.db`."""

OTHER_SUFFIXES = SIDECAR_SUFFIXES | frozenset(
    {".doc", ".docx", ".odt", ".pdf", ".ppt", ".pptx", ".xls", ".xlsx", ".ods", ".rtf", ".epub"}
    | {".zip", ".7z", ".rar", ".gz", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".iso", ".dmg"}
    | {".mp3", ".m4a", ".wav", ".flac", ".ogg", ".oga", ".opus", ".wma", ".aac", ".mka", ".mid"}
    | {".html", ".htm", ".xml", ".json", ".yml", ".yaml", ".toml", ".log", ".css", ".svg", ".tsv"}
    | {".py", ".js", ".c", ".h", ".cpp", ".java", ".rs", ".go", ".sh", ".php", ".ipynb"}
    | {".exe", ".dll", ".so", ".bin", ".lnk", ".url", ".eml", ".ics", ".vcf", ".sqlite", ".torrent"}
    | {".psd", ".psb", ".xcf", ".ai", ".eps", ".indd", ".cdr", ".kra", ".lrcat", ".lrtemplate"}
    | {".part", ".partial", ".crdownload", ".download", ".tmp", ".temp", ".bak", ".swp"}
    | {".thm", ".lrv", ".lrf", ".lrprev", ".srt", ".sub", ".gpx", ".kml", ".cube"}
)
"""What is not read and not opened either: documents, archives, sound, code, unfinished downloads,
and the small copies that cameras and programs write beside their photos and films."""
PICTURE_FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF", "JPEG2000", "PPM", "JXL", "TGA"),
)
"""What a photo may be, by Pillow's names, whatever its suffix says.

Its content decides. A format whose reader starts another program must never be listed: Pillow
hands PostScript to Ghostscript.
"""

VIDEO_FORMATS = (
    *("mov", "matroska", "webm", "avi", "mpeg", "mpegvideo", "mpegts", "asf", "flv", "ogg"),
)
"""What a video may be, by FFmpeg's names. Not playlists, which name other files and addresses."""

VIDEO_CODECS = frozenset(
    {"h264", "hevc", "vvc", "av1", "libdav1d", "libaom-av1", "vp8", "vp9", "libvpx", "libvpx-vp9"}
    | {"mpeg1video", "mpeg2video", "mpegvideo", "mpeg4", "h261", "h263", "h263i", "h263p", "flv"}
    | {"msmpeg4", "msmpeg4v1", "msmpeg4v2", "wmv1", "wmv2", "wmv3", "vc1", "theora", "vp3", "vp6"}
    | {"vp6a", "vp6f", "mjpeg", "mjpegb", "dvvideo", "prores", "dnxhd", "cfhd", "svq1", "svq3"}
    | {"cinepak", "indeo3", "indeo5", "rawvideo", "qtrle", "rle", "rpza", "smc", "huffyuv"}
    | {"ffvhuff", "ffv1", "png", "msvideo1", "jpeg2000", "libopenjpeg", "8bps", "dirac"}
)
"""What the pictures of a video may be written with, by the names of FFmpeg's decoders: what
cameras, phones and common programs write, of some 200 that FFmpeg has."""


class MediaType(StrEnum):
    """How a file is read."""

    PICTURE = "picture"
    RAW = "raw"
    VIDEO = "video"
    TEXT = "text"


SUFFIXES = {
    **dict.fromkeys(PHOTO_SUFFIXES, MediaType.PICTURE),
    **dict.fromkeys(RAW_SUFFIXES, MediaType.RAW),
    **dict.fromkeys(VIDEO_SUFFIXES, MediaType.VIDEO),
    **dict.fromkeys(TEXT_SUFFIXES, MediaType.TEXT),
}
"""The form of each suffix."""


EXTRAS = {"raw": "camera RAW", "video": "a video", "jxl": "JPEG XL"}
"""What is read with a package that not everyone installs, by the extra that brings it."""


def wanting(extra: str) -> str:
    """Return why a file is not read where an extra is not installed."""
    return f"{EXTRAS[extra]}, which needs: pip install 'twinlens[{extra}]'"


WANTING = {wanting(extra): extra for extra in EXTRAS}
"""The extra that each of these reasons names."""


def form_of(path: PurePath | str) -> MediaType | None:
    """Tell by its suffix how a file is read; None for one that is not looked at."""
    return SUFFIXES.get(suffix_of(path))


def suffix_of(path: os.PathLike[str] | str) -> str:
    """Return the suffix of a file in small letters, with its dot; empty if there is none."""
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 - twice as fast


def kind_of(path: PurePath | str) -> Kind | None:
    """Tell a photo from a text; the frames of a video are photos. None for anything else."""
    form = form_of(path)
    if form is None:
        return None
    return Kind.TEXT if form == MediaType.TEXT else Kind.PHOTO
