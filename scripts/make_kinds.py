"""Say how likely each kind of thing is on each photo, for `twinlens train --kinds`.

    python scripts/make_kinds.py --classifier vit_tiny.safetensors --wordnet /usr/share/wordnet \\
        --classes imagenet/labels.jsonl --photos A.jsonl --photos B.jsonl --out kinds.safetensors

`--photos`: JSONL files of `{"image", "wnid"?}` beside `--out`. A photo that names its class has
half of its probability from that, half from the classifier. The format is that of
`retrieval.training.lessons`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from label_pairs import Taxonomy, classify
from safetensors.torch import save_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("classifier", "wordnet", "classes", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, action="append")
    chosen = parser.parse_args()

    taxonomy = Taxonomy(chosen.wordnet, chosen.classes)
    photos = [json.loads(row) for path in chosen.photos for row in path.read_text().splitlines()]
    folder = chosen.out.parent
    logits = classify([folder / photo["image"] for photo in photos], chosen.classifier)
    likely = logits.softmax(1)
    for row, photo in zip(likely, photos, strict=True):
        if photo.get("wnid"):
            row /= 2.0
            row[taxonomy.classes.index(photo["wnid"][1:])] += 0.5
    names = [taxonomy.names(kind) for kind in taxonomy.kinds]
    named = [number for number, some in enumerate(names) if some]
    save_file(
        {
            "probabilities": likely.half(),
            "members": taxonomy.belongs.T[named].to(torch.uint8).contiguous(),
        },
        chosen.out,
        metadata={
            "photos": json.dumps([photo["image"] for photo in photos]),
            "names": json.dumps([names[number] for number in named]),
        },
    )
    print(f"{chosen.out}: {len(photos)} photos, {len(named)} kinds")


if __name__ == "__main__":
    main()
