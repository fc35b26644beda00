#!/usr/bin/env bash
# Train the reranker that ships, for the built-in model in data/model: words that are spotted, models
# that tell captions, then the network, first to tell photos apart, then above all to follow
# instructions; at last the signs of instructions, and looks, alone. The pairs are those that
# scripts/train_builtin.sh makes. Two and a half hours on two cores. Each step but the last resumes
# where it was stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin pairs=runs/pairs
learn() {
  $bin/twinlens train-reranker --pairs $pairs/flickr_train.jsonl --pairs $pairs/labelled.jsonl \
    --pairs $pairs/unlabelled.jsonl --val $pairs/flickr_dev.jsonl --precision bf16 "$@"
}

learn --out runs/reranker-1 --steps 3000 --views 4
learn --out runs/reranker-2 --init runs/reranker-1 --telling 0 --steps 1200 --lessons 2 --steering 4 \
  --lr 3e-4 --ema 0.995 --seed 1
learn --out runs/reranker-3 --init runs/reranker-2 --signs-only --steps 400 --signs 48 --lr 1e-3
cp runs/reranker-3/{reranker.json,reranker.safetensors,words.safetensors,looks.safetensors,telling.safetensors,train.json} data/reranker/

$bin/twinlens evaluate --data $pairs/flickr_dev.jsonl --rerank
$bin/twinlens evaluate --data $pairs/flickr_dev.jsonl --instructions
$bin/python benchmarks/signs.py
$bin/python benchmarks/objects.py --rerank --k 5 --labels $pairs/caltech_dev.jsonl
$bin/python benchmarks/objects.py --rerank --k 1 --labels $pairs/imagenet_dev.jsonl
$bin/python benchmarks/speed.py rerank-50
