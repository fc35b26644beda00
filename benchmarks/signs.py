"""What a reranker reads in the wordings of instructions: asks, forbids, or neither.

    python benchmarks/signs.py [--reranker builtin] [--model builtin]
    python benchmarks/signs.py --wordings benchmarks/wordings.jsonl
    python benchmarks/signs.py --leave-out --pairs train.jsonl [--steps 400] [--depth 3] [--seed 0]

Prints a JSON object a line for each wording that no reranker has learned, of the tuning and of the
held-back kind: its right sign, the mean of the signs read over all attributes of the kind, and the
share of it that is right (1 where every sign is). With `--wordings`, the same of a file, a line
`{"author", "kind", "wording"}` each, about all that is held back, and the means of each author and
kind; those of `wordings.jsonl` are by two authors who knew neither the grammar nor the code. With
`--leave-out`, signs are learned five times, each time without the wordings that have a word of one
group of `GROUPS`, and tried on those: how well verbs are read that were never learned. Without
photos.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.builtin_reranker.instruction_reranker import SURE, InstructionReranker
from retrieval.builtin_reranker.polarity_config import PolarityConfig
from retrieval.builtin_reranker.polarity_reader import PolarityReader
from retrieval.builtin_reranker.text_features import InstructionFeatures
from retrieval.builtin_reranker.training.polarity import PolarityExamples, learn_signs
from retrieval.builtin_reranker.training.training_config import RerankerTraining
from retrieval.instructions.parser import split_constraints
from retrieval.instructions.templates import (
    LOOK,
    Ask,
    Attribute,
    InstructionTemplates,
    filled,
    shipped_grammar,
)
from retrieval.models import TorchEncoder, load_encoder
from retrieval.pairs import read_pairs
from retrieval.rerankers import load_reranker

TRIED = 600
"""Wordings that signs are tried on, of each group that was left out."""

GROUPS = (
    r"skip|reject|\bban|str[iu]c?k|purg|shun|den(y|ied)|cull|cast aside|set aside|blacklist|"
    r"abandon|conceal|devoid|detest|taboo|invalid|allergic|rather than|\bbar\b|barred|mute|"
    r"\bfail|minus|retain|select|accept|gather|isolat|stick to|ador|essential|\bvalid|confin|"
    r"obligator|depict",
    r"omit|delet|forb[ia]d|suppress|refus|prun|turn(ed)? down|disqualif|deselect|bare of|loath|"
    r"undesirab|unaccept|instead of|against|\bbury|no use|preserv|\bpick|welcom|collect|extract|"
    r"focus|enjoy|mandator|qualif|reduc|display",
    r"remov|discard|rul(e|ed) out|eras|veto|subtract|wip|banish|overlook|empty of|despis|"
    r"off limits|out of the question|tired of|useless|in place of|exclud|choos|chose|admit|"
    r"retriev|identif|concentrat|desir|necessar|eligib|trim|portray",
    r"\bhid|eliminat|dismiss|expel|declin|ta(ke|ken) (out|away)|edit|steer clear|ditch|void|"
    r"clear of|abhor|annoy|fed up|ineligib|except|unwelcom|stay away|\bfind|\bfound|approv|"
    r"provid|home in|crav|requir|shrink|\bhold",
    r"ignor|weed|cross|scrap|prohibit|avoid|dispos|\bcut|trash|dump|stripped|rid of|resent|"
    r"disturb|opposed|unsuitab|loses|barring|hate|dislike|\bkeep|\bkept|includ|deliver|"
    r"single out|go for|fond of|indispens|passes|constrain|picturing",
)


class Partly(PolarityExamples):
    """Lessons of the wordings that have a telling word, or of those that do not.

    Args:
        lessons: all of them.
        word: the telling words.
        having: which of the two.
    """

    def __init__(self, lessons: PolarityExamples, word: re.Pattern[str], *, having: bool) -> None:
        self._all, self._word, self._having = lessons, word, having

    def draw(self, count: int, rng: np.random.Generator) -> tuple[list[str], NDArray[np.int64]]:
        """Draw texts and their signs, -1, 0 or 1. Shape (count,)."""
        texts: list[str] = []
        signs: list[int] = []
        while len(texts) < count:
            some, told = self._all.draw(2 * count, rng)
            kept = [
                n for n, text in enumerate(some) if bool(self._word.search(text)) is self._having
            ]
            texts += [some[n] for n in kept]
            signs += told[kept].tolist()
        return texts[:count], np.array(signs[:count], dtype=np.int64)


def rightness(read: NDArray[np.float64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how right signs are: 1 for wholly, 0 for none where there is one, -1 for contrary."""
    return np.where(right == 0, 1.0 - np.abs(read), read * right)


def wordings(
    reranker: InstructionReranker, grammar: InstructionTemplates
) -> Iterator[dict[str, object]]:
    """Yield each wording that was not learned with the signs that are read of it."""
    for held in (False, True):
        for ask in Ask:
            subjects = list(_subjects(grammar, ask, held))
            templates = grammar.templates[ask].held if held else grammar.templates[ask].tuning
            texts = [grammar.wordings(ask, each, held=held) for each in subjects]
            for number, template in enumerate(templates):
                read = reranker.signs([each[number] for each in texts])
                right = rightness(read, np.full(len(read), ask.sign))
                yield {
                    "kind": "held" if held else "tuning",
                    "wording": template,
                    "sign": ask.sign,
                    "read": round(float(read.mean()), 2),
                    "right": round(float(right.mean()), 2),
                }


def strangers(
    reranker: InstructionReranker, grammar: InstructionTemplates, rows: list[dict[str, str]]
) -> Iterator[dict[str, object]]:
    """Yield how right signs are of wordings that others wrote, and their means."""
    marks: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        ask = Ask(row["kind"])
        told = [each.phrase if each else "" for each in _subjects(grammar, ask, held=True)]
        wishes = [split_constraints(filled(row["wording"], phrase)) for phrase in told]
        signs = SURE * reranker.signs([wish for each in wishes for wish in each])
        owner = np.repeat(np.arange(len(wishes)), [len(each) for each in wishes])
        read = np.bincount(owner, signs, minlength=len(wishes)).clip(-1, 1)
        right = float(rightness(read, np.full(len(read), ask.sign)).mean())
        marks.setdefault((row["author"], ask.value), []).append(right)
        yield {**row, "read": round(float(read.mean()), 2), "right": round(right, 2)}
    for (author, kind), each in sorted(marks.items()):
        mean = round(float(np.mean(each)), 3)
        yield {"author": author, "kind": kind, "wordings": len(each), "right": mean}


def _subjects(grammar: InstructionTemplates, ask: Ask, held: bool) -> Iterator[Attribute | None]:
    """Yield what a kind of instruction is asked about; looks are never held back."""
    if ask == Ask.ANYTHING:
        yield None
        return
    of_look = ask in (Ask.LOOK, Ask.NOT_LOOK)
    for each in grammar.attributes:
        if (each.family == LOOK) == of_look and (of_look or grammar.is_held(each) == held):
            yield each


def leave_out(encoder: TorchEncoder, args: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Learn signs without each group of telling words, and try them on the group."""
    captions = [text for pair in read_pairs(args.pairs).pairs for text in pair.captions]
    lessons = PolarityExamples(shipped_grammar(), captions)
    shape = PolarityConfig(depth=args.depth)
    training = RerankerTraining(steps=args.steps, signs=64, lr=args.lr, seed=args.seed)
    reader = InstructionFeatures(encoder, args.depth)
    marks = []
    for number, group in enumerate(GROUPS):
        word = re.compile(group)
        without = Partly(lessons, word, having=False)
        signs = learn_signs(without, reader, shape, training)
        texts, right = Partly(lessons, word, having=True).draw(TRIED, np.random.default_rng(1))
        with torch.inference_mode():
            read = PolarityReader(shape, signs.weights())(*reader.early(texts))
        marks.append(rightness(read, right))
        sure = float((np.abs(read - right) < 0.5).mean())
        yield {
            "group": number,
            "right": round(float(marks[-1].mean()), 3),
            "within half": round(sure, 3),
        }
    yield {"groups": len(GROUPS), "right": round(float(np.concatenate(marks).mean()), 3)}


def main() -> None:
    """Print what is read."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reranker", default="builtin")
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--wordings", type=Path)
    parser.add_argument("--leave-out", action="store_true")
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--depth", type=int, default=PolarityConfig().depth)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    encoder = load_encoder(args.model)
    if not isinstance(encoder, TorchEncoder):
        parser.error("--model: no model of twinlens's own kind")
    if args.leave_out:
        lines = leave_out(encoder, args)
    else:
        reranker = load_reranker(args.reranker, encoder)
        if not isinstance(reranker, InstructionReranker):
            parser.error("--reranker: no reranker of twinlens's own kind")
        grammar = shipped_grammar()
        if args.wordings:
            rows = [json.loads(line) for line in args.wordings.read_text("utf-8").splitlines()]
            lines = strangers(reranker, grammar, rows)
        else:
            lines = wordings(reranker, grammar)
    for line in lines:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
