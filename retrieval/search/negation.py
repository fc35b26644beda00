"""Parse plain negation in a query: "a beach without people" becomes "a beach - people".

A text tower ignores negation and would look for the people. Only clear forms are parsed: "without
X", "with no X", "but no X", ", no X", "no X", "has no X", "except X", "excluding X", "free of X",
"but not X", "not a dog". All other words stay as they are, and so do

- words printed on a sign: "no parking", "no smoking", "a sign that says no dogs";
- clothes that someone does not wear, and parts of the body: captions say "a man with no shirt" for
  a look of its own, and subtracting shirts would subtract much else;
- idioms: "no longer", "no man's land", "no 7".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_HAVE = r"(?:has|have|had|shows?|contains?|includes?|features?)"
_NOT = r"(?:do(?:es)?\s+not|do(?:es)?n['’]t|did\s+not|didn['’]t|never)"
_WHICH = r"(?:(?:that|which|who)\s+)?"
_MARK = re.compile(
    rf"""(?ix)
    (?<![\w-])(?:
        (?P<with>
            {_WHICH}{_HAVE}\s+(?:no|zero)
          | {_WHICH}{_NOT}\s+(?:have|show|contain|include|feature)(?:\s+any)?
          | (?:having|showing|containing|with)\s+(?:no|zero)
          | without(?:\s+any)? | w/o | lacking(?:\s+any)?
        )
      | (?P<free>
            not\s+(?:showing|containing|including|featuring)(?:\s+any)?
          | (?:where\s+)?there\s+(?:is|are)\s+no
          | except(?:ing)?(?:\s+for)?(?:\s+any)? | excluding(?:\s+any)? | exclude
          | (?:that\s+(?:is|are)\s+)?(?:free|empty|devoid|clear)\s+of(?:\s+any)?
          | (?:but|and)\s+(?:with\s+no|without|not|no)(?:\s+any)?
        )
      | (?P<no>no)
      | (?P<not>not(?=\s+(?:an?|the|any)\s))
    )(?![\w'’-])\s*
    | (?<![\w-])(?P<nobody>)(?=nobody\b|no-?one\b)
    """
)
"""What says that something shall not be there."""

_NOBODY = re.compile(
    r"(?i)^(?:nobody|no[\s-]?one|anyone|anybody|one|any\s+(?:person|human)s?|a\s+(?:single\s+)?"
    r"(?:person|human|soul)|persons?|humans?|human\s+beings?)$"
)
_DETERMINER = re.compile(r"(?i)^(?:(?:any|an?|the|some|single|other|of)\s+)+")
_ARTICLE = re.compile(r"(?i)^(?:an?|the|some|one|two|three)\s")
_ENDS = re.compile(
    r"(?i)\s*[;.!?]|\s+(?:at|on|in|by|near|during|under|over|beside|behind|with|but|while|when"
    r"|where|along|from|for|to|against|around|next\s+to|outside|inside|after|before|above|below"
    r"|between|among|through|across|is|are|walking|standing|sitting|running|playing)\b"
)
"""Where a list of things ends."""

_TAIL = re.compile(
    r"(?i)^\s*(?:(?:in|on)\s+(?:it|them|sight|view|there|(?:the|any)\s+(?:photos?|pictures?|images?"
    r"|frame|shot|scene|background|foreground|view))|around|anywhere|at\s+all|visible|present"
    r"|nearby|to\s+be\s+seen|there|please)(?![\w-])"
)
"""What only says that a thing is not on the photo."""

_LISTED = re.compile(r"(?i)\s*(?:,\s*(?:and|or|nor)?|/|&|\band\b|\bor\b|\bnor\b)\s+|/")
_JOINS = re.compile(
    r"(?i)(?:[\s,;:]+|\s+(?:and|but|with|that|which|are|is|or|there|of|where|who))+$"
)
_NOTHING_SAID = re.compile(
    r"(?i)^(?:(?:please|show|find|get|give|list|me|us|i|want|need|search|look|for|all|any|some|every"
    r"|the|my|our|an?|only|just|of|from|with|are|is|that|which|there|photos?|pictures?|pics?|images?"
    r"|shots?|snapshots?|photographs?|scenes?|everything|anything|something|ones?)(?:\s+|$))*$"
)
"""Words that ask for nothing of their own: "show me all photos"."""

_PRINTED = re.compile(
    r"(?i)\b(?:signs?|signboards?|posters?|sa(?:ys|ying)|reads|reading|written)\b"
)
_AS_PRINTED = re.compile(
    r"(?i)^(?:parking|smoking|entry|entrance|exit|access|trespassing|loitering|littering|dumping"
    r"|vacanc(?:y|ies)|admittance|thoroughfare|turn|turns|u-?turns?|through|stopping|standing|waiting"
    r"|swimming|diving|fishing|hunting|camping|running|overtaking|passing|cycling|skating|photography)\b"
)
_PHRASES = re.compile(
    r"(?i)^(?:longer|matter|more|less|way|doubt|idea|problem|good|time|name|other|man['’]?s|mans|sense"
    r"|wonder|\d+|one\s+(?:is|else|knows)|filter|makeup\s+look)\b"
)
_PRONOUN = re.compile(r"(?i)^(?:me|you|him|her|us|them|it|my|your|his|their|this|that)\b")

_WORN = frozenset(
    {"shirt", "shirts", "t-shirt", "top", "tops", "clothes", "clothing", "pants", "trousers"}
    | {"shorts", "shoe", "shoes", "sock", "socks", "boots", "hat", "hats", "cap", "helmet"}
    | {"helmets", "glasses", "sunglasses", "goggles", "mask", "masks", "gloves", "jacket", "coat"}
    | {"tie", "belt", "bra", "bikini", "underwear", "dress", "uniform", "jewelry", "makeup"}
    | {"make-up", "leash", "leashes", "collar", "collars", "saddle", "bridle", "sleeve", "sleeves"}
    | {"hair", "beard", "moustache", "mustache", "eyebrows", "teeth", "tooth", "tail", "tails"}
    | {"ear", "ears", "eye", "eyes", "nose", "mouth", "face", "head", "heads", "arm", "arms"}
    | {"hand", "hands", "finger", "fingers", "leg", "legs", "foot", "feet", "strap", "straps"}
)
"""What someone wears, or has as a part of the body."""


@dataclass(frozen=True, kw_only=True)
class NegatedQuery:
    """A query, and the things that it excludes.

    Attributes:
        wanted: what is searched for; empty if there is nothing.
        unwanted: the excluded things, each by its name.
    """

    wanted: str
    unwanted: tuple[str, ...]


def parted(text: str) -> NegatedQuery | None:
    """Split a query into what it wants and what it excludes; None if it has no clear negation."""
    marks = [mark for mark in _MARK.finditer(text) if _negates(mark, text)]
    if not marks:
        return None
    wanted, unwanted = text[: marks[0].start()], []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    for mark, end in zip(marks, ends, strict=True):
        things, rest = _things(text[mark.end() : end])
        if not things:
            return None
        unwanted += things
        wanted = f"{_JOINS.sub('', wanted)} {rest}"
    wanted = _JOINS.sub("", " ".join(wanted.split())).strip(" ,;")
    if _NOTHING_SAID.match(wanted):
        wanted = ""
    return NegatedQuery(wanted=wanted, unwanted=tuple(dict.fromkeys(unwanted)))


def worn(text: str) -> str:
    """Return the clothes that a text says someone does not wear, which stay in the query; or ""."""
    for mark in _MARK.finditer(text):
        things, _ = _things(text[mark.end() :])
        if mark["with"] and things and _is_worn(things):
            return things[0]
    return ""


def _negates(mark: re.Match[str], text: str) -> bool:
    """Return whether a mark is a plain negation of what stands behind it."""
    behind = text[mark.end() :]
    if not behind.strip() or _PRONOUN.match(behind) or _PHRASES.match(behind):
        return False
    if mark["no"] is not None:
        return not (_PRINTED.search(text) or _AS_PRINTED.match(behind))
    if mark["with"] is None:
        return True
    things, _ = _things(behind)
    return not (_is_worn(things) and text[: mark.start()].strip())


def _is_worn(things: Sequence[str]) -> bool:
    """Return whether all of some things are worn, or parts of a body."""
    return bool(things) and all(thing.split()[-1].lower() in _WORN for thing in things)


def _things(behind: str) -> tuple[list[str], str]:
    """Return the things that stand behind a mark, and what the query says after them."""
    found = _ENDS.search(behind)
    end = len(behind) if found is None else found.start()
    listed, more = _listed(behind[:end].strip(" ,"))
    rest = f"{more} {behind[end:]}".strip(" ;.!?")
    while tail := _TAIL.match(rest):
        rest = rest[tail.end() :].strip(" ,;.!?")
    things = [_name(_without_tail(each)) for each in listed]
    return [thing for thing in things if thing], rest


def _listed(text: str) -> tuple[list[str], str]:
    """Cut a list of things; what follows "and" with an article of its own is asked for again."""
    joins = list(_LISTED.finditer(text))
    ends = [*(join.start() for join in joins), len(text)]
    kept = [text[: ends[0]]]
    listing = any(join[0].strip(" ,").lower() in ("and", "or", "nor") for join in joins)
    for join, end in zip(joins, ends[1:], strict=True):
        part, sign = text[join.end() : end], join[0].strip().lower()
        if sign == "and" and _ARTICLE.match(part) and not _ARTICLE.match(kept[0]):
            return kept, text[join.start() :]
        if sign == "," and not listing:
            return kept, text[join.end() :]
        kept.append(part)
    return kept, ""


def _without_tail(thing: str) -> str:
    """Leave out "visible" and the like behind a thing."""
    words = thing.split()
    for count in (3, 2, 1):
        behind = " ".join(words[-count:])
        if len(words) > count and _TAIL.fullmatch(behind):
            return " ".join(words[:-count])
    return thing


def _name(thing: str) -> str:
    """Return what is taken away as a bare name; nobody at all is "people"."""
    thing = thing.strip(" ,.;:!?")
    if _NOBODY.match(thing):
        return "people"
    bare = _DETERMINER.sub("", thing).strip()
    return "people" if _NOBODY.match(bare) else bare
