#!/usr/bin/env bash
# Fit the probability `match` again, after the built-in model or its reranker changed.
# Usage: bash scripts/fit_match.sh DATASETS WORDNET
#   DATASETS  folder with coco_small, stanford40 and ade20k; the pairs are those of train_builtin.sh
#   WORDNET   folder of WordNet 3.0's data.noun (Debian: wordnet-base, /usr/share/wordnet)
# Writes data/matching.safetensors. Copy the constants that it prints to
# retrieval/search/match_probability.py and, of the second fit, to data/reranker/reranker.json.
set -euo pipefail
datasets=$(realpath "$1") wordnet=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=.venv/bin/python pairs=runs/pairs captions=("$pairs/flickr_dev.jsonl" "$datasets/coco_small/dev.jsonl")

$python scripts/fit_matching.py --captions "${captions[@]}" --labels $pairs/caltech_dev.jsonl \
  $pairs/imagenet_dev.jsonl "$datasets/stanford40/labels.jsonl" \
  --scenes "$datasets/ade20k/labels.jsonl" --wordnet "$wordnet" --most 60 --cache runs/matching
$python scripts/fit_obeying.py --captions "${captions[@]}" --cache runs/matching
