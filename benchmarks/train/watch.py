"""Watching one side's training: its steps, or what one of them computes."""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.steps import timed
from benchmarks.train.setting import Setting

Train = Callable[[Setting], None]


class Counted(NamedTuple):
    """What one step computes, all for one image: by the encoders, crops and patches; and in all.

    GFLOP are those of matrix products, convolutions and attention, forward and backward.
    """

    teacher_crops: float
    teacher_patches: float
    student_crops: float
    student_patches: float
    gflop: float


def run(train: Train) -> None:
    """Do what the parent process asks for, and leave the result in a file for it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("time", "count"))
    parser.add_argument("setting", type=json.loads)
    parser.add_argument("result", type=Path)
    given = parser.parse_args()
    setting = Setting(**given.setting)
    torch.set_num_threads(setting.threads)
    if given.what == "time":
        figures = timed(partial(train, setting), setting.warm_up)._asdict()
    else:
        figures = counted(train, setting)._asdict()
    given.result.write_text(json.dumps(figures))


def counted(train: Train, setting: Setting) -> Counted:
    """Train for one step, and count."""
    crops: Counter[str] = Counter()
    patches: Counter[str] = Counter()

    def before_module(module: Any, inputs: tuple[Any, ...]) -> None:
        if type(module).__name__ == "PatchEmbed":  # timm's, and DINOv2's that lightly-train has
            side = "student" if torch.is_grad_enabled() else "teacher"
            images, size = inputs[0], module.patch_size[0]
            crops[side] += len(images)
            patches[side] += len(images) * (images.shape[2] // size) * (images.shape[3] // size)

    counter = FlopCounterMode(display=False)
    with register_module_forward_pre_hook(before_module), counter:
        train(setting._replace(warm_up=0, steps=1))
    counts = [many[side] for side in ("teacher", "student") for many in (crops, patches)]
    numbers = (*counts, counter.get_total_flops() / 1e9)
    return Counted(*(number / setting.batch_size for number in numbers))
