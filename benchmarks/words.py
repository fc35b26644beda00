"""What words of captions add to the embedding: R@k with and without `words`.

    python benchmarks/words.py --pairs runs/pairs/flickr_dev.jsonl

The first caption of some of the photos is written into an `.xmp` file beside it, the others are
the queries, one a photo. Where no photo has a caption, words can only do harm: file names.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from retrieval import Library, Searcher, index_folders, load_encoder, read_pairs
from retrieval.pairs import Pair

SHARES = (0, 30, 100)  # percent of the photos with a caption
KS = (1, 5, 10)
SIDECAR = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>
<rdf:li>{}</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--model", default="builtin")
    chosen = parser.parse_args()
    pairs = [pair for pair in read_pairs(chosen.pairs).pairs if len(pair.captions) > 1]
    encoder = load_encoder(chosen.model)
    print("captions  words  " + "  ".join(f"R@{k:<4}" for k in KS))
    with tempfile.TemporaryDirectory() as name:
        photos = copied(pairs, Path(name) / "photos")
        with Library.create(Path(name) / "library", encoder) as library:
            for share in SHARES:
                describe(pairs, photos, share)
                index_folders(library, encoder, [Path(name) / "photos"])
                searcher = Searcher(library, encoder)
                for words in (False, True):
                    row = recalls(searcher, pairs, photos, words=words)
                    shown = "  ".join(f"{each:<6.1f}" for each in row)
                    print(f"{share:7} %  {'with' if words else 'none':5}  {shown}", flush=True)


def copied(pairs: Sequence[Pair], folder: Path) -> list[Path]:
    """Copy the photos under names that tell nothing."""
    folder.mkdir()
    paths = [folder / f"{number:06}{Path(pair.name).suffix}" for number, pair in enumerate(pairs)]
    for pair, path in zip(pairs, paths, strict=True):
        shutil.copy(pair.photo.path, path)
    return paths


def describe(pairs: Sequence[Pair], photos: Sequence[Path], share: int) -> None:
    """Write the first caption of a share of the photos, the same ones each time, beside them."""
    draw = random.Random(0)
    for pair, photo in zip(pairs, photos, strict=True):
        sidecar = photo.with_name(photo.name + ".xmp")
        if draw.random() * 100 < share:
            sidecar.write_text(SIDECAR.format(escape(pair.captions[0])), encoding="utf-8")


def recalls(
    searcher: Searcher, pairs: Sequence[Pair], photos: Sequence[Path], *, words: bool
) -> list[float]:
    """Return R@k, percent, of one caption a photo that is not the first."""
    ranks = []
    for number, (pair, photo) in enumerate(zip(pairs, photos, strict=True)):
        query = pair.captions[1 + number % (len(pair.captions) - 1)]
        found = [hit.path for hit in searcher.search(query, top=max(KS), words=words)]
        ranks.append(found.index(photo) if photo in found else max(KS))
    return [100 * sum(rank < k for rank in ranks) / len(ranks) for k in KS]


if __name__ == "__main__":
    main()
