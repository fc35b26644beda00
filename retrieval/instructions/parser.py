"""Split an instruction into its constraints: "with grass but no people" has two.

Each constraint has its own polarity, so they are scored separately and added. A text is split
before a part that begins with a signal word ("no", "without", "leave out", "only", "must"), if a
comma, a full stop, "and" or "but" stands before it, or before "instead of". Two requirements are
split as well: "a dog must be in it, people must not". Lists of things are not split: "salt and
pepper", "no dogs or people", "a man and a woman must be in it", "anything but a dog".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from retrieval.instructions.templates import shipped_grammar, words_of

_JOINT = re.compile(
    r"\s*(?:[.;!?]+\s+|,\s*(?:and |but |yet |though |while )?"
    r"|\s(?:and|but|yet|though|while|plus)\s)\s*"
    r"|\s+(?=(?:instead of|rather than|in place of|except(?: for)?|other than)\s)",
    re.IGNORECASE,
)
_TELLING = re.compile(
    r"(?:please |also |then |rather |preferably |ideally )*"
    r"(?:no|not|never|none|nothing|without|only|just|always|prefer|ideally|instead of|rather than|"
    r"in place of|except|other than|exactly|at least|at most|"
    r"do not|don'?t|must|should|may not|has to|have to|(?:it|there|they|the (?:photo|picture)) "
    r"(?:must|should|may|has|have|is|are)|make sure|"
    r"I (?:want|need|like|love|hate|prefer|dislike|(?:don'?t|do not) (?:want|like|need))|"
    r"leave out|skip|omit|remove|hide|exclude|reject|ignore|avoid|delete|discard|eliminate|"
    r"throw away|get rid of|keep|show|include|take|choose|pick|select|find|limit|focus on)\b",
    re.IGNORECASE,
)
_MUST = r"(?:must|should|may|has to|have to)\b"
_DEMANDED = re.compile(rf".*\b{_MUST}", re.IGNORECASE)
_DEMANDED_TOO = re.compile(rf"(?:\w+ ){{1,3}}{_MUST}", re.IGNORECASE)
_PLACE = re.compile(
    r"(?:with|in|at|on|by|from|during|outside|inside|indoors|outdoors|near|under)\b", re.IGNORECASE
)
_CONDITION = re.compile(
    r"(?:if|when|unless|whenever|as soon as|once|where|in case|provided)\b", re.IGNORECASE
)
_CONTRARY = re.compile(r"\b(?:but|yet|though)\b", re.IGNORECASE)
_WORD = re.compile(r"\w[\w'-]*")
_VERB = re.compile(r"(?:[^s]s|ing|'\w+)$", re.IGNORECASE)
_LINK = re.compile(
    r"(?:with|without|or|no|not|of|in|a|the|any|if|when|unless|that|to)$", re.IGNORECASE
)


def split_constraints(instruction: str) -> list[str]:
    """Return the constraints of an instruction, in order; none for an empty text."""
    parts: list[str] = []
    start = 0
    for joint in _JOINT.finditer(instruction):
        before, after = instruction[start : joint.start()], instruction[joint.end() :]
        contrary = _CONTRARY.search(joint[0]) is not None
        if _apart(before.strip(), after.strip(), contrary=contrary):
            parts.append(before.strip())
            start = joint.end()
    return [part for part in (*parts, instruction[start:].strip(" .,;!?")) if part]


def constraint_topic(wish: str, known: Callable[[str], bool]) -> str:
    """Return what a constraint is about: its phrases, without the words of the templates.

    Args:
        wish: a constraint.
        known: tells whether a phrase names what photos are known to show. Where one does, others
            are left out: they may be ways to ask that nobody thought of. So is what begins
            such a phrase and is not known, if it has the form of a verb: "lacks", "featuring".
            After what is known it would be a plural: "red tulips".

    Returns:
        The phrases in their order; the constraint, where there is none.
    """
    phrases = [""]
    for word in _WORD.findall(wish):
        if _names(word):
            phrases[-1] += f" {word}"
        else:
            phrases.append("")
    said = [phrase.split() for phrase in phrases if phrase]
    shown = [_shown(phrase, known) for phrase in said if known(" ".join(phrase))]
    return " ".join(word for phrase in shown or said for word in phrase) or wish


def _shown(phrase: list[str], known: Callable[[str], bool]) -> list[str]:
    """Return a phrase without the verbs before it that no photo is known to show."""
    named = (n for n, word in enumerate(phrase) if known(word) or not _VERB.search(word))
    return phrase[next(named, 0) :]


def _apart(before: str, after: str, *, contrary: bool) -> bool:
    """Return whether a constraint ends and another one begins; `contrary` is set after a "but"."""
    if _CONDITION.match(before) or _LINK.search(before) or not _names(before) or not _names(after):
        return False
    placed = _opens(after, _PLACE) and (contrary or _opens(before, _PLACE))
    demanded = _DEMANDED.match(before) and _DEMANDED_TOO.match(after)
    return placed or demanded is not None or _TELLING.match(after) is not None


def _opens(text: str, turn: re.Pattern[str]) -> bool:
    """Return whether a text begins with a turn, after "only" or the like."""
    return (
        turn.match(re.sub(r"^(?:only|just|but|not)\s+", "", text, flags=re.IGNORECASE)) is not None
    )


def _names(text: str) -> bool:
    """Return whether a text says what it is about: a word that no way to ask is made of."""
    return not _ways().issuperset(words_of(text.replace("-", "")))  # "close-up" is one word


@cache
def _ways() -> set[str]:
    """Return the words that ways to ask are made of, but for looks that are one word."""
    grammar = shipped_grammar()
    return (grammar.frame() | grammar.visible) - set(grammar.looks)
