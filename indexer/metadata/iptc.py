"""Read IPTC: the fields that news agencies and older editors write."""

from __future__ import annotations

from PIL import Image, ImageFile, IptcImagePlugin

from indexer.metadata.dates import read_date
from indexer.metadata.source import NOTHING, SourceMetadata, caption, first, text, unique

_TITLE, _HEADLINE, _CAPTION = 5, 105, 120
_WORDS = (25, 20)  # keywords, supplemental categories
_DATE, _TIME = 55, 60
_PLACE = (92, 90, 95, 101)  # part of a city, city, state, country
_DEPICTED = 27  # the name of a place that is shown


def from_iptc(image: Image.Image) -> SourceMetadata:
    """Read the fields that a picture has."""
    if not isinstance(image, ImageFile.ImageFile):
        return NOTHING
    fields = IptcImagePlugin.getiptcinfo(image) or {}

    def all_of(number: int) -> list[str]:
        value = fields.get((2, number), [])
        return [text(each) for each in (value if isinstance(value, list) else [value])]

    def one(number: int) -> str:
        return first(all_of(number)) or ""

    return SourceMetadata(
        taken=read_date(one(_DATE) + one(_TIME)) or read_date(one(_DATE)),
        place=unique(map(one, (*_PLACE[:1], _DEPICTED, *_PLACE[1:]))),
        keywords=tuple(word for number in _WORDS for word in all_of(number) if word),
        title=one(_TITLE) or one(_HEADLINE),
        caption=caption(one(_CAPTION)),
    )
