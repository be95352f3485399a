"""AdamW with the encoder and the head apart, and without decay on norms and biases."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from paka.config import OptimConfig
from paka.schedules import cosine, cosine_with_warmup
from paka.student import Student


def make_optimizer(student: Student, config: OptimConfig) -> torch.optim.AdamW:
    """Return fused AdamW over four groups: encoder and head, each with and without decay."""
    groups = [
        {"params": params, "base_lr": lr, "decay": decay}
        for module, lr in (
            (student.encoder, config.lr_encoder),
            (student.head, config.lr_head),
        )
        for params, decay in zip(_split(module), (True, False), strict=True)
        if params
    ]
    return torch.optim.AdamW(groups, lr=config.lr_encoder, fused=True)


def _split(module: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Trainable parameters that decay (matrices), and those that do not (norms, biases, tokens)."""
    params: list[tuple[str, Tensor]] = [
        (name, p) for name, p in module.named_parameters() if p.requires_grad
    ]
    decays = [p for name, p in params if _decays(name, p)]
    rest = [p for name, p in params if not _decays(name, p)]
    return decays, rest


def _decays(name: str, parameter: Tensor) -> bool:
    tokens = ("pos_embed", "cls_token", "reg_token", "dist_token")
    return parameter.ndim > 1 and not name.endswith(tokens)


def schedule(
    optimizer: torch.optim.Optimizer, config: OptimConfig, step: int, total: int
) -> dict[str, float]:
    """Set every group's learning rate and decay for `step` (from 0); return them by name."""
    decay = cosine(config.weight_decay, config.weight_decay_end, step, total)
    for group in optimizer.param_groups:
        warmup = min(config.warmup_steps, total - 1)
        group["lr"] = cosine_with_warmup(group["base_lr"], step, total, warmup)
        group["weight_decay"] = decay if group["decay"] else 0.0
    rates = {group["base_lr"]: group["lr"] for group in optimizer.param_groups}
    return {
        "lr_encoder": rates.get(config.lr_encoder, 0.0),
        "lr_head": rates.get(config.lr_head, 0.0),
        "weight_decay": decay,
    }


def all_parameters(optimizer: torch.optim.Optimizer) -> Iterable[Tensor]:
    """Every parameter that the optimizer moves."""
    return (p for group in optimizer.param_groups for p in group["params"])


def clip_and_step(
    optimizer: torch.optim.AdamW, scaler: torch.amp.GradScaler, limit: float | None
) -> Tensor:
    """Clip gradients to the norm `limit`, and step unless one is not finite; return their norm."""
    scaler.unscale_(optimizer)
    grads = [p.grad for p in all_parameters(optimizer) if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(grads)
    if limit is not None:
        torch._foreach_mul_(grads, (limit / (norm + 1e-6)).clamp(max=1.0))
    if not scaler.is_enabled():
        # The fused optimizer skips the step on the device, as it does for a GradScaler; the
        # host learns of it at the next log line and stops there, with nothing spoilt.
        optimizer.grad_scale = None  # type: ignore[attr-defined]
        optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
    scaler.step(optimizer)
    scaler.update()
    return norm
