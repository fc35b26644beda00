"""XMP as each program nests it: faces, keywords with those above them, places, dates."""

from __future__ import annotations

from datetime import datetime

import pytest

from indexer.metadata.xmp import from_xmp

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "mwg-kw": "http://www.metadataworkinggroup.com/schemas/keywords/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "acdsee-rs": "http://ns.acdsee.com/regions/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "mediapro": "http://ns.iview-multimedia.com/mediapro/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
}


def packet(elements: str, attributes: str = "") -> bytes:
    spaces = " ".join(f'xmlns:{prefix}="{address}"' for prefix, address in NAMESPACES.items())
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/" {spaces}><rdf:RDF>'
        f'<rdf:Description rdf:about="" {attributes}>{elements}</rdf:Description>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def listed(name: str, *items: str, kind: str = "Bag") -> str:
    inside = "".join(f"<rdf:li>{item}</rdf:li>" for item in items)
    return f"<{name}><rdf:{kind}>{inside}</rdf:{kind}></{name}>"


def resource(name: str, inside: str) -> str:
    return f'<{name} rdf:parseType="Resource">{inside}</{name}>'


AREA = '<mwg-rs:Area stArea:x="0.5" stArea:y="0.5" stArea:w="0.1" stArea:h="0.1"/>'
MWG = resource(
    "mwg-rs:Regions",
    "<mwg-rs:RegionList><rdf:Bag>"
    '<rdf:li rdf:parseType="Resource"><mwg-rs:Name>Zebedea</mwg-rs:Name>'
    f"<mwg-rs:Type>Face</mwg-rs:Type>{AREA}</rdf:li>"
    '<rdf:li><rdf:Description mwg-rs:Name="Ann Lee" mwg-rs:Type="Face"/></rdf:li>'
    '<rdf:li mwg-rs:Name="Rex" mwg-rs:Type="Pet"/>'
    '<rdf:li rdf:parseType="Resource"><mwg-rs:Name></mwg-rs:Name></rdf:li>'
    '<rdf:li rdf:parseType="Resource"><mwg-rs:Name>AF point</mwg-rs:Name>'
    "<mwg-rs:Type>Focus</mwg-rs:Type></rdf:li>"
    "</rdf:Bag></mwg-rs:RegionList>",
)
PERSON = '<rdf:li rdf:parseType="Resource"><MPReg:PersonDisplayName>{}</MPReg:PersonDisplayName>'
MICROSOFT = (
    "<MP:RegionInfo><rdf:Description><MPRI:Regions><rdf:Bag>"
    + PERSON.format("Zebedea")
    + "<MPReg:Rectangle>0.1, 0.2, 0.3, 0.4</MPReg:Rectangle></rdf:li>"
    + '<rdf:li MPReg:PersonDisplayName="Ann Lee"/>'
    + "</rdf:Bag></MPRI:Regions></rdf:Description></MP:RegionInfo>"
)
ACDSEE = resource(
    "acdsee-rs:Regions",
    "<acdsee-rs:RegionList><rdf:Bag>"
    '<rdf:li acdsee-rs:Name="Zebedea" acdsee-rs:Type="Face"/></rdf:Bag></acdsee-rs:RegionList>',
)
CATEGORIES = (
    "<acdsee:categories>&lt;Categories&gt;&lt;Category Assigned=&quot;0&quot;&gt;People"
    "&lt;Category Assigned=&quot;1&quot;&gt;Zebedea&lt;/Category&gt;&lt;/Category&gt;"
    "&lt;/Categories&gt;</acdsee:categories>"
)
DETAILS = (
    '<Iptc4xmpExt:PersonInImageWDetails><rdf:Bag><rdf:li rdf:parseType="Resource">'
    + '<Iptc4xmpExt:PersonName><rdf:Alt><rdf:li xml:lang="x-default">Zebedea</rdf:li></rdf:Alt>'
    + "</Iptc4xmpExt:PersonName></rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImageWDetails>"
)
REGION = (
    '<Iptc4xmpExt:ImageRegion><rdf:Bag><rdf:li rdf:parseType="Resource">'
    + listed("Iptc4xmpExt:Name", "Zebedea", kind="Alt")
    + "</rdf:li></rdf:Bag></Iptc4xmpExt:ImageRegion>"
)
HIERARCHY = (
    '<mwg-kw:Keywords rdf:parseType="Resource"><mwg-kw:Hierarchy><rdf:Bag>'
    '<rdf:li rdf:parseType="Resource"><mwg-kw:Keyword>People</mwg-kw:Keyword><mwg-kw:Children>'
    '<rdf:Bag><rdf:li mwg-kw:Keyword="Zebedea"/></rdf:Bag></mwg-kw:Children></rdf:li>'
    "</rdf:Bag></mwg-kw:Hierarchy></mwg-kw:Keywords>"
)


@pytest.mark.parametrize(
    ("elements", "keywords"),
    [
        (MWG, ("Zebedea", "Ann Lee", "Rex")),
        (MICROSOFT, ("Zebedea", "Ann Lee")),
        (ACDSEE, ("Zebedea",)),
        (CATEGORIES, ("People", "Zebedea")),
        (listed("Iptc4xmpExt:PersonInImage", "Zebedea", "Ann Lee"), ("Zebedea", "Ann Lee")),
        (DETAILS, ("Zebedea",)),
        (REGION, ("Zebedea",)),
        (listed("mediapro:People", "Zebedea"), ("Zebedea",)),
        (listed("digiKam:TagsList", "People/Zebedea", kind="Seq"), ("People", "Zebedea")),
        (listed("lr:hierarchicalSubject", "People|Zebedea"), ("People", "Zebedea")),
        (listed("MicrosoftPhoto:LastKeywordXMP", "People/Zebedea"), ("People", "Zebedea")),
        (HIERARCHY, ("People", "Zebedea")),
        (listed("dc:subject", "zebedea") + MWG, ("zebedea", "Ann Lee", "Rex")),
    ],
)
def test_names_of_faces_are_keywords(elements: str, keywords: tuple[str, ...]) -> None:
    assert from_xmp(packet(elements)).keywords == keywords


LOCATION = (
    "<Iptc4xmpExt:{0}><rdf:Bag><rdf:li Iptc4xmpExt:City='{1}' Iptc4xmpExt:CountryName='Italy' "
    "Iptc4xmpExt:ProvinceState='Umbria' Iptc4xmpExt:Sublocation='Duomo'/></rdf:Bag>"
    "</Iptc4xmpExt:{0}>"
)


@pytest.mark.parametrize(
    ("elements", "place"),
    [
        (
            "<photoshop:City>Orvieto</photoshop:City><photoshop:State>Umbria</photoshop:State>"
            "<photoshop:Country>Italy</photoshop:Country>"
            "<Iptc4xmpCore:Location>Duomo</Iptc4xmpCore:Location>",
            ("Duomo", "Orvieto", "Umbria", "Italy"),
        ),
        ("<photoshop:Country>Italy</photoshop:Country>", ("Italy",)),
        (LOCATION.format("LocationCreated", "Orvieto"), ("Duomo", "Orvieto", "Umbria", "Italy")),
        (LOCATION.format("LocationShown", "Orvieto"), ("Duomo", "Orvieto", "Umbria", "Italy")),
    ],
)
def test_city_and_country(elements: str, place: tuple[str, ...]) -> None:
    assert from_xmp(packet(elements)).place == place


def test_where_it_was_made_is_the_place_and_what_it_shows_is_a_keyword() -> None:
    both = LOCATION.format("LocationShown", "Assisi") + LOCATION.format(
        "LocationCreated", "Orvieto"
    )
    told = from_xmp(packet(both))
    assert told.place == ("Duomo", "Orvieto", "Umbria", "Italy")
    assert "Assisi" in told.keywords


def test_the_date_of_the_picture_is_not_that_of_its_scan() -> None:
    told = from_xmp(packet("", 'photoshop:DateCreated="1955-08" xmp:CreateDate="2015-01-02"'))
    assert (told.taken, told.digitized) == (datetime(1955, 8, 1), datetime(2015, 1, 2))


def test_what_editors_leave_behind_the_packet_costs_nothing() -> None:
    data = packet(listed("dc:subject", "heron")) + b'<?xpacket end="w"?>\0\0 junk'
    assert from_xmp(data).keywords == ("heron",)


def test_a_packet_in_utf_16() -> None:
    head = '<?xml version="1.0" encoding="UTF-16"?>'
    data = (head + packet(listed("dc:subject", "reiher")).decode()).encode("utf-16")
    assert from_xmp(data).keywords == ("reiher",)
