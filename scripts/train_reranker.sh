#!/usr/bin/env bash
# Train the reranker that ships, for the built-in model in data/model: words that are spotted, models
# that tell captions, the signs of instructions, looks, and the weights of all of them. The pairs are
# those that scripts/train_builtin.sh makes. The models of captions take most of the time, ten minutes
# each on two cores with AMX. A run that was stopped goes on after the last of them that is
# finished. Afterwards, fit_match.sh fits how likely hits are right and follow an instruction.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin pairs=runs/pairs

$bin/twinlens train-reranker --pairs $pairs/flickr_train.jsonl --pairs $pairs/labelled.jsonl \
  --pairs $pairs/unlabelled.jsonl --val $pairs/flickr_dev.jsonl --out runs/reranker --views 4
cp runs/reranker/{reranker.json,reranker.safetensors,words.safetensors,looks.safetensors,telling.safetensors,train.json} data/reranker/

$bin/twinlens evaluate --data $pairs/flickr_dev.jsonl --rerank
$bin/twinlens evaluate --data $pairs/flickr_dev.jsonl --instructions
$bin/python benchmarks/signs.py
$bin/python benchmarks/objects.py --rerank --k 5 --labels $pairs/caltech_dev.jsonl
$bin/python benchmarks/objects.py --rerank --k 1 --labels $pairs/imagenet_dev.jsonl
$bin/python benchmarks/speed.py rerank-50
