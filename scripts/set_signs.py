"""Put the signs of one reranker into another that reads with the same dual encoder.

    python scripts/set_signs.py FROM INTO

Of INTO, the weights whose names begin with `sign.`, the shape of that part and the format change,
and how far an instruction carries becomes FROM's; the rest stays as it was.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safetensors.torch import load_file, save

from indexer.segments import replacing
from retrieval.reranking.config import CONFIG, WEIGHTS, read_config
from retrieval.reranking.store import SIGNS


def main(source: Path, target: Path) -> None:
    """Change the target's files."""
    signs, rest = (load_file(folder / WEIGHTS) for folder in (source, target))
    weights = {name: weight for name, weight in rest.items() if not name.startswith(SIGNS)}
    weights |= {name: weight for name, weight in signs.items() if name.startswith(SIGNS)}
    given, config = read_config(source), read_config(target)
    if given["encoder"] != config["encoder"]:
        sys.exit(f"'{source}' and '{target}' read with different models")
    shape = {name: value for name, value in given["network"].items() if name.startswith("sign_")}
    config["network"] |= shape
    config["fusion"]["instructed"] = given["fusion"]["instructed"]
    config["share"], config["format"] = given["share"], given["format"]
    with replacing(target / WEIGHTS) as part:
        part.write_bytes(save(weights))
    with replacing(target / CONFIG) as part:
        part.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
