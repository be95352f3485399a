"""Training of the starter encoder: image-level labels, read off the class token.

The loss never sees a mask or a patch: image features become good, patch features follow only as
far as the class token needs them. That is the situation post-training is made for.
"""

import json
import logging
import math
import time
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader

from paka.files import replacing, share
from paka.starter.recipe import Recipe
from paka.starter.scenes import LABELS, Batches, Crops, draw_all
from paka.starter.vit_starter import NAME

log = logging.getLogger(__name__)


def train_starter(recipe: Recipe, folder: Path) -> Path:
    """Train, and write starter.safetensors (float16), recipe.json and log.jsonl into `folder`.

    Scenes are drawn into `folder` first, unless they are there. On a machine with a GPU it is used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(recipe.model_dump_json(indent=2) + "\n")
    images, labels = draw_all(recipe, folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(recipe.seed)
    vit = timm.create_model(NAME, num_classes=len(LABELS), dynamic_img_size=True).to(device)
    if recipe.weights is not None:
        vit.load_state_dict(load_file(recipe.weights, device=str(device)))
    optimizer = _optimizer(vit, recipe)
    loader = DataLoader(Crops(recipe, images, labels), batch_sampler=Batches(recipe), num_workers=1)
    total, started, rows = len(loader), time.monotonic(), []
    running = torch.zeros(2, device=device)
    for step, (pixels, target) in enumerate(loader):
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * _rate(step, total, recipe.warmup)
        running += _update(vit, optimizer, pixels.to(device), target.to(device), recipe.clip)
        if (step + 1) % 50 == 0 or step + 1 == total:
            since = (step + 1) % 50 or 50
            loss, balanced = (running / since).tolist()
            running.zero_()
            seconds = round(time.monotonic() - started, 1)
            rows.append({"step": step + 1, "loss": loss, "accuracy": balanced, "seconds": seconds})
            log.info("step %d of %d: %s", step + 1, total, rows[-1])
            with replacing(folder / "log.jsonl") as aside:
                aside.write_text("".join(json.dumps(row) + "\n" for row in rows))
            save_starter(vit, folder / "starter.safetensors")
    return folder / "starter.safetensors"


def save_starter(vit: nn.Module, path: Path) -> None:
    """Write the encoder with its classifier, in float16, to be read as any weights file."""
    state = {key: value.half().cpu().contiguous() for key, value in vit.state_dict().items()}
    with replacing(path) as aside:
        save_file(state, aside, metadata={"format": "pt"})
        share(aside)


def _optimizer(vit: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    matrices = [p for p in vit.parameters() if p.ndim > 1]
    vectors = [p for p in vit.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, fused=True)


def _rate(step: int, total: int, warmup: int) -> float:
    """Share of the peak learning rate: up along a line, down along a cosine."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def _update(
    vit: nn.Module, optimizer: torch.optim.Optimizer, pixels: Tensor, target: Tensor, clip: float
) -> Tensor:
    """One step; returns the loss and the balanced accuracy over all labels of the batch, (2,)."""
    images = pixels.float() / 127.5 - 1
    with torch.autocast(pixels.device.type, torch.bfloat16):
        logits = vit(images)
    loss = binary_cross_entropy_with_logits(logits.float(), target)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(vit.parameters(), clip)
    optimizer.step()
    with torch.no_grad():
        right = ((logits > 0) == (target > 0)).float()
        sensitivity = (right * target).sum() / target.sum().clamp_min(1)
        specificity = (right * (1 - target)).sum() / (1 - target).sum().clamp_min(1)
        return torch.stack([loss.detach(), (sensitivity + specificity) / 2])
