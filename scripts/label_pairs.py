"""Make pairs out of photos without captions: names of what is on them, from specific to general.

    python scripts/label_pairs.py --classifier vit_tiny.safetensors --wordnet /usr/share/wordnet \\
        --classes imagenet/labels.jsonl --photos PHOTOS.jsonl --out pairs.jsonl

`--photos`: a JSONL of `{"image", "label"?, "wnid"?}`. A photo's captions are

- its label, if it has one;
- the WordNet names of every kind of thing (tabby → cat → carnivore … ) that the classifier finds
  with a summed probability above `--above`, or, if the photo names its `wnid`, of that class.

Very general kinds ("artifact", "whole") are left out. `--classes` lists the classifier's 1,000
classes with their `wnid`, which is the offset of the class in WordNet 3.0.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file

from indexer.media.image import read_photo
from retrieval.models.pixels import Preprocess
from retrieval.models.preprocess import ImageSpec

BATCH = 100
TOO_GENERAL = 6  # kinds with fewer steps to the root name nothing that a person would type
COMMON = 3  # a name seen less often in tagged text is one that few people use
PLAIN = frozenset({"person", "animal", "food", "plant", "vehicle", "building"})
PLAIN |= {"furniture", "clothing", "fruit", "bird"}


@dataclass(frozen=True)
class Synset:
    """A kind of thing: its names and the kinds it belongs to."""

    names: tuple[str, ...]
    above: tuple[str, ...]


def read_nouns(wordnet: Path) -> dict[str, Synset]:
    """Read WordNet's nouns. Offsets (`01440764`) to synsets."""
    nouns = {}
    for line in (wordnet / "data.noun").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        fields = line.partition("|")[0].split()
        count = int(fields[3], 16)
        names = tuple(fields[4 + 2 * n].replace("_", " ") for n in range(count))
        above = tuple(re.findall(r"@i? (\d{8}) n", line))
        nouns[fields[0]] = Synset(names, above)
    return nouns


def read_counts(wordnet: Path) -> dict[str, int]:
    """Read how often each noun occurs in WordNet's sense-tagged corpora."""
    counts: dict[str, int] = {}
    for line in (wordnet / "cntlist.rev").read_text(encoding="utf-8").splitlines():
        sense, _, count = line.split()
        lemma, _, rest = sense.partition("%")
        if rest.startswith("1"):
            name = lemma.replace("_", " ")
            counts[name] = counts.get(name, 0) + int(count)
    return counts


def ancestors(offset: str, nouns: dict[str, Synset]) -> set[str]:
    """Return a kind and all the kinds above it."""
    found, waiting = set(), [offset]
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found.add(kind)
            waiting.extend(nouns[kind].above)
    return found


def depth(offset: str, nouns: dict[str, Synset]) -> int:
    """Return the fewest steps from a kind to the root."""
    return min((1 + depth(kind, nouns) for kind in nouns[offset].above), default=0)


@torch.inference_mode()
def classify(photos: list[Path], weights: Path) -> torch.Tensor:
    """Return a classifier's logits for photos, each whole. Shape (photos, 1000)."""
    classifier = timm.create_model("vit_tiny_patch16_224")
    classifier.load_state_dict({n: w.float() for n, w in load_file(weights).items()})
    classifier.eval().bfloat16()
    pixels, parts = Preprocess(ImageSpec()), []
    for start in range(0, len(photos), BATCH):
        batch = [pixels(read_photo(path, size_hint=224)) for path in photos[start : start + BATCH]]
        parts.append(classifier(torch.stack(batch).bfloat16()).float())
    return torch.cat(parts)


class Taxonomy:
    """The classifier's classes, the kinds that they belong to, and what people call these.

    Args:
        wordnet: folder of WordNet 3.0.
        classes: JSONL of `{"wnid", "label"}`, one a class; a `wnid` is an offset in WordNet.
        labels: names that count as usual, whatever WordNet says.
    """

    def __init__(self, wordnet: Path, classes: Path, labels: Iterable[str] = ()) -> None:
        self.nouns, self._counts = read_nouns(wordnet), read_counts(wordnet)
        rows = [json.loads(line) for line in classes.read_text().splitlines()]
        self.classes = sorted({row["wnid"][1:] for row in rows})
        self._label = {row["wnid"][1:]: row["label"] for row in rows}
        self._taught = PLAIN | {*self._label.values(), *labels}
        self.kinds = sorted({kind for one in self.classes for kind in ancestors(one, self.nouns)})
        column = {kind: number for number, kind in enumerate(self.kinds)}
        self.belongs = torch.zeros(len(self.classes), len(self.kinds))
        for number, one in enumerate(self.classes):
            self.belongs[number, [column[kind] for kind in ancestors(one, self.nouns)]] = 1.0

    def names(self, kind: str) -> list[str]:
        """Return what people call a kind, the label first."""
        first = [self._label[kind]] if kind in self._label else []
        if depth(kind, self.nouns) < TOO_GENERAL and not first:
            return [name for name in self.nouns[kind].names if name in PLAIN]
        usual = [n for n in self.nouns[kind].names[:2] if self._is_usual(n)]
        return list(dict.fromkeys(first + usual))

    def is_known(self, name: str) -> bool:
        """Tell whether a name occurs in tagged text at all."""
        return self._counts.get(name, 0) > 0

    def _is_usual(self, name: str) -> bool:
        return name in self._taught or self._counts.get(name, 0) >= COMMON


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("classifier", "wordnet", "classes", "photos", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--above", type=float, default=0.5)
    chosen = parser.parse_args()

    photos = [json.loads(line) for line in chosen.photos.read_text().splitlines()]
    labels = {photo["label"] for photo in photos if photo.get("label")}
    taxonomy = Taxonomy(chosen.wordnet, chosen.classes, labels)
    nouns, kinds = taxonomy.nouns, taxonomy.kinds
    folder = chosen.photos.parent
    logits = classify([folder / photo["image"] for photo in photos], chosen.classifier)
    with chosen.out.open("w", encoding="utf-8") as out:
        for photo, row in zip(photos, logits.softmax(1) @ taxonomy.belongs, strict=True):
            captions = [photo["label"]] if photo.get("label") else []
            if photo.get("wnid"):
                seen = ancestors(photo["wnid"][1:], nouns)
            else:
                seen = {kinds[n] for n in (row > chosen.above).nonzero().flatten().tolist()}
            for kind in sorted(seen, key=lambda kind: -depth(kind, nouns)):
                captions += taxonomy.names(kind)
            if captions:
                unique = list(dict.fromkeys(captions))
                out.write(json.dumps({"image": photo["image"], "captions": unique}) + "\n")


if __name__ == "__main__":
    main()
