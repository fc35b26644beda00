"""Make the bank of generic captions that tells which photos are near to everything.

    python scripts/make_captions.py

Reads the patterns of `scripts/captions.txt` and writes `data/captions.txt`: from each topic the
same number of captions, each of them once. The same patterns give the same file.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

PATTERNS = Path(__file__).with_name("captions.txt")
BANK = Path(__file__).resolve().parents[1] / "data" / "captions.txt"
PER_TOPIC = 30
TRIES = 200  # draws in a row that bring nothing new before a topic counts as too small
VOWEL = re.compile(r"\b(a)n? (?=[aeiou])(?!one|uni|use|eu)", re.IGNORECASE)


class Choice:
    """Options drawn in turn from a shuffled deck, so that each comes up equally often."""

    def __init__(self, options: list[str], dice: random.Random) -> None:
        self._options, self._dice = options, dice
        self._deck: list[str] = []

    def draw(self) -> str:
        """Return the next option."""
        if not self._deck:
            self._deck = self._dice.sample(self._options, len(self._options))
        return self._deck.pop()


class Pattern:
    """A sentence with choices in it."""

    def __init__(self, line: str, dice: random.Random) -> None:
        parts = re.split(r"\[([^\]]*)\]", line)
        self._parts = [
            Choice(part.split("|") if n % 2 else [part], dice) for n, part in enumerate(parts)
        ]

    def draw(self) -> str:
        """Return a sentence, with "a" and "an" put right."""
        words = " ".join("".join(part.draw() for part in self._parts).split())
        return VOWEL.sub(r"\1n ", words)


def read_topics(text: str) -> dict[str, list[str]]:
    """Return the patterns of each topic."""
    _, *topics = re.split(r"^# ", text, flags=re.MULTILINE)
    lines = [[line for line in topic.splitlines() if line.strip()] for topic in topics]
    return {topic[0]: topic[1:] for topic in lines}


def draw_topic(lines: list[str], count: int, dice: random.Random) -> Iterator[str]:
    """Yield `count` different captions, from each pattern in turn."""
    patterns = [Pattern(line, dice) for line in lines]
    seen: set[str] = set()
    for draw in range(count * TRIES):
        caption = patterns[draw % len(patterns)].draw()
        if caption not in seen:
            seen.add(caption)
            yield caption
        if len(seen) == count:
            return
    raise ValueError(f"only {len(seen)} captions, not {count}, come from: {lines[0]} …")


def make_captions(text: str) -> list[str]:
    """Return the bank: every topic's captions, each once."""
    captions: dict[str, None] = {}
    for name, lines in read_topics(text).items():
        captions.update(dict.fromkeys(draw_topic(lines, PER_TOPIC, random.Random(name))))
    return list(captions)


def main() -> None:
    captions = make_captions(PATTERNS.read_text("utf-8"))
    BANK.write_text("".join(f"{caption}\n" for caption in captions), "utf-8")
    print(f"{BANK}: {len(captions)}")


if __name__ == "__main__":
    main()
