"""The grammar of instructions: attributes of photos, and templates that ask for one.

`data/instructions.toml` contains it as data: families of attributes, each with the words that
captions use for it, and templates that ask for an attribute. Some families and templates are held
out from training, so that a benchmark can ask in ways that no reranker has seen.

A training template stands for many wordings: one option of `[a|b|c]` is drawn, `$name` stands for
the words of a list, joined by `|`, `{}` is the phrase, `{noun}` the phrase without its article.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import numpy as np

from indexer.core.errors import UsageError
from retrieval._resources import resource

LOOK = "look"
"""The family whose attributes are seen on the photo itself, not read in its captions."""


_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_LIST = re.compile(r"\$([a-z_]+)")
_ARTICLE = re.compile(r"^(an?|the) ")
_WORD = re.compile(r"[a-z]+")
_PLURAL = re.compile(r"(?<=..)s$")


class Ask(StrEnum):
    """The kinds of instruction."""

    WITH = "with"
    WITHOUT = "without"
    PREFER = "prefer"
    LOOK = "look"
    NOT_LOOK = "not_look"
    EITHER = "either"
    ANYTHING = "anything"

    @property
    def sign(self) -> int:
        """The polarity: 1 if photos should show something, -1 if they should not, 0 for neither."""
        if self in (Ask.EITHER, Ask.ANYTHING):
            return 0
        return -1 if self in (Ask.WITHOUT, Ask.NOT_LOOK) else 1


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """Something a photo has or lacks: `phrase` names it, `words` of a caption tell it."""

    family: str
    phrase: str
    words: tuple[str, ...]

    def overlaps(self, other: Attribute) -> bool:
        """Return whether a word speaks of both."""
        return not set(self.words).isdisjoint(other.words)


@dataclass(frozen=True, kw_only=True)
class Wordings:
    """The templates of one kind of instruction.

    Attributes:
        learned: for training; the only ones with choices.
        tuning: not learned; the weights of a reranker are chosen on them.
        held: for measuring alone.
    """

    learned: tuple[str, ...]
    tuning: tuple[str, ...]
    held: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class InstructionTemplates:
    """All attributes, and the templates of each kind of instruction.

    Attributes:
        attributes: what photos have or lack.
        held_families: those of which instructions are for measuring alone.
        templates: ways to ask.
        looks: more that a photo may look like; no attribute, for nothing tells them.
        visible: words of templates that a query may look for, too.
    """

    attributes: tuple[Attribute, ...]
    held_families: frozenset[str]
    templates: dict[Ask, Wordings]
    looks: tuple[str, ...] = ()
    visible: frozenset[str] = frozenset()

    def is_held(self, attribute: Attribute) -> bool:
        """Return whether instructions about an attribute are held out for the benchmark."""
        return attribute.family in self.held_families

    def wordings(self, ask: Ask, attribute: Attribute | None, *, held: bool) -> list[str]:
        """Return every held-out wording of an instruction, or every wording for tuning."""
        templates = self.templates[ask]
        phrase = attribute.phrase if attribute else ""
        return [filled(each, phrase) for each in (templates.held if held else templates.tuning)]

    def frame(self) -> set[str]:
        """Return the words that learned wordings are made of, whatever they are about.

        Those that say something of a photo, too, are left out.
        """
        texts = [text for each in self.templates.values() for text in each.learned]
        return words_of(" ".join(texts).replace("{noun}", "")) - self.visible

    def draw(self, ask: Ask, phrase: str, rng: np.random.Generator) -> str:
        """Draw a training wording of an instruction about a phrase."""
        template = str(rng.choice(self.templates[ask].learned))
        return filled(_CHOICE.sub(lambda found: _one_of(found[1], rng), template), phrase)


def asks_of(attribute: Attribute, *, wanted: bool) -> Ask:
    """Return the kind of instruction that wants an attribute, or does not."""
    if attribute.family == LOOK:
        return Ask.LOOK if wanted else Ask.NOT_LOOK
    return Ask.WITH if wanted else Ask.WITHOUT


def read_grammar(path: Path) -> InstructionTemplates:
    """Read a grammar in the form of `data/instructions.toml`.

    Raises:
        UsageError: the file is missing or malformed; says where.
    """
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
        attributes = [
            Attribute(family=family, phrase=phrase, words=tuple(words))
            for family, phrases in plain["families"].items()
            for phrase, words in phrases.items()
        ]
        lists = {name: "|".join(words) for name, words in plain.get("lists", {}).items()}
        templates = {Ask(name): _templates(kinds, lists) for name, kinds in plain["ask"].items()}
        held = frozenset(plain["held_families"])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the grammar '{path}': {error}") from error
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"'{path}' is no grammar of instructions: {error!r}") from error
    return InstructionTemplates(
        attributes=tuple(attributes),
        held_families=held,
        templates=templates,
        looks=tuple(plain.get("looks", ())),
        visible=frozenset(plain.get("visible", ())),
    )


@cache
def shipped_grammar() -> InstructionTemplates:
    """Return the grammar that ships with twinlens."""
    return read_grammar(resource("instructions.toml"))


@cache
def looks() -> set[str]:
    """Return the words of all style attributes in the shipped grammar."""
    grammar = shipped_grammar()
    named = [each.phrase for each in grammar.attributes if each.family == LOOK]
    return words_of(" ".join((*named, *grammar.looks)))


def _templates(kinds: dict[str, Sequence[str]], lists: dict[str, str]) -> Wordings:
    """Read the ways to ask of one kind of instruction, and fill in the lists that they name."""
    return Wordings(
        learned=tuple(_LIST.sub(lambda name: lists[name[1]], each) for each in kinds["learned"]),
        tuning=tuple(kinds["tuning"]),
        held=tuple(kinds["held"]),
    )


def _one_of(choices: str, rng: np.random.Generator) -> str:
    """Draw one of `a|b|c`."""
    return str(rng.choice(choices.split("|")))


def filled(template: str, phrase: str) -> str:
    """Put a phrase into a template; what was left out of it leaves no gap."""
    filled = template.replace("{noun}", _ARTICLE.sub("", phrase)).replace("{}", phrase)
    return " ".join(filled.split())


def words_of(text: str) -> set[str]:
    """Return the words of a text in small letters, without the s of a plural."""
    return {_PLURAL.sub("", word) for word in _WORD.findall(text.lower())}
