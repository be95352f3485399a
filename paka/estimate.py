"""What a training will need, before it has run: memory and time, without torch.

Counted from what the architecture fixes (parameters, tokens, operations), then held against runs
that have been measured: of the same architecture on the same device if there are any.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from paka.architectures import Architecture
from paka.config import TrainConfig

Basis = Literal["measured", "scaled", "model"]

_MIB = 2**20
# Student and its gradients, AdamW's two moments, teacher: five numbers of four bytes.
_BYTES_PER_PARAMETER = 20
# Under autocast, the parameters of student and teacher once more in two bytes.
_BYTES_PER_CAST_PARAMETER = 4
# What is alive at once within a block that keeps nothing, in numbers per token and dimension.
_ALIVE_IN_BLOCK = 12
# Copies of the views in float32 on the way to the encoder.
_COPIES_OF_PIXELS = 4


class Rates(NamedTuple):
    """What one kind of device does; the first guess where nothing has been measured."""

    base_bytes: int  # what a process needs that has only been started
    flops: float  # operations per second
    pixels: float  # pixels of views per second, cut, moved and disturbed in colour
    step_seconds: float  # what every step costs


# Of one core, measured on eight runs of 0.4 to 22 million parameters; of a GPU of 2023, guessed.
_CPU = Rates(800 * _MIB, flops=1.3e11, pixels=5e6, step_seconds=0.02)
_GPU = Rates(64 * _MIB, flops=4e13, pixels=5e8, step_seconds=0.02)


class Measured(NamedTuple):
    """A run that was measured: its `step_seconds` and `peak_memory_bytes` as in its metrics.

    `device` is a name such as `cpu` or `NVIDIA H200`.
    """

    config: TrainConfig
    device: str
    step_seconds: float
    memory_bytes: int


class Estimate(NamedTuple):
    """What a training will need, in each of its processes.

    `memory_bytes` is the most that is alive at once: on a GPU what tensors take, the CUDA context
    (about 0.5 GiB) not counted; on the CPU the process's memory, without its loading processes.
    It is for `optim.accumulate` as it is set; `runtime.auto_batch` may come to need less.
    `seconds` is that of all steps, without start, probes and evaluation. `basis`: `measured` on
    this device with this architecture, `scaled` from another architecture on this device, or by
    the `model` alone.
    """

    memory_bytes: int
    step_seconds: float
    total_steps: int
    seconds: float
    basis: Basis


def estimate(
    config: TrainConfig, images: int, device: str, measured: Sequence[Measured] = ()
) -> Estimate:
    """Return what a training will need.

    Args:
        images: how many the data set has.
        device: the kind of device that each process has to itself.
        measured: earlier runs; those on other devices are passed over.
    """
    seconds, memory = _model_seconds(config, device), float(_model_bytes(config, device))
    nearest = _nearest(config, [run for run in measured if run.device == device])
    basis: Basis = "model"
    if nearest is not None:
        basis = "measured" if _same_architecture(config, nearest.config) else "scaled"
        seconds *= nearest.step_seconds / _model_seconds(nearest.config, device)
        memory *= nearest.memory_bytes / _model_bytes(nearest.config, device)
    steps = config.total_steps(images)
    return Estimate(round(memory), seconds, steps, steps * seconds, basis)


def step_flops(config: TrainConfig) -> float:
    """Operations of one step in one process: multiplications and additions, two for each pair."""
    facts, views = config.encoder.facts, config.views
    images = config.optim.batch_size / config.runtime.processes
    teacher = views.global_crops * _forward_flops(facts, views.global_size)
    student = views.local_crops * _forward_flops(facts, config.local_size)
    # A backward pass costs twice its forward pass; of the head, the teacher's side has none.
    head = 4 * 2 * _head_parameters(config) * _pairs(config) * config.grid**2
    return images * (teacher + 3 * student + head)


def _model_seconds(config: TrainConfig, device: str) -> float:
    rates, images = _rates(device), config.optim.batch_size / config.runtime.processes
    pixels = images * _view_pixels(config)
    return step_flops(config) / rates.flops + pixels / rates.pixels + rates.step_seconds


def _model_bytes(config: TrainConfig, device: str) -> int:
    facts, views, half = config.encoder.facts, config.views, _is_half(config, device)
    images = config.optim.batch_size // config.runtime.processes // config.optim.accumulate
    teacher = images * views.global_crops * _tokens(facts, views.global_size)
    student = images * views.local_crops * _tokens(facts, config.local_size)
    points = images * _pairs(config) * config.grid**2
    number = 2 if half else 4
    alive = number * _ALIVE_IN_BLOCK * facts.dim * max(teacher, student)
    kept = facts.depth * _kept_per_block(half) * facts.dim * student
    head = number * (4 * config.head.hidden + 2 * config.head.out + facts.dim) * points
    maps = 4 * facts.dim * (teacher + points)
    local_pixels = _COPIES_OF_PIXELS * views.local_crops * config.local_size**2
    pixels = 4 * 3 * images * max(local_pixels, views.global_crops * views.global_size**2)
    per_parameter = _BYTES_PER_PARAMETER + (_BYTES_PER_CAST_PARAMETER if half else 0)
    parameters = per_parameter * (facts.parameters + _head_parameters(config))
    return _rates(device).base_bytes + parameters + alive + kept + head + maps + pixels


def _kept_per_block(half: bool) -> int:
    """Bytes per token and dimension that the backward pass keeps of one block.

    What goes into the two norms (float32 in any case) and what comes out, query, key and value,
    attention, and the layer of four times the width before and after its nonlinearity.
    """
    number = 2 if half else 4
    return 2 * 4 + (2 + 3 + 1 + 4 + 4) * number


def _is_half(config: TrainConfig, device: str) -> bool:
    precision = config.runtime.precision
    return precision in ("bf16", "fp16") or (precision == "auto" and device != "cpu")


def _nearest(config: TrainConfig, runs: Sequence[Measured]) -> Measured | None:
    """The run most like `config`: of its architecture if there is one, and of about its size."""
    if not runs:
        return None

    def distance(run: Measured) -> tuple[bool, float]:
        other = not _same_architecture(config, run.config)
        return other, abs(math.log(step_flops(run.config) / step_flops(config)))

    return min(runs, key=distance)


def _same_architecture(one: TrainConfig, other: TrainConfig) -> bool:
    """Tags such as `.mae` only say whose weights it has."""
    names = (config.encoder.architecture.partition(".")[0] for config in (one, other))
    return len(set(names)) == 1


def _rates(device: str) -> Rates:
    return _CPU if device == "cpu" else _GPU


def _forward_flops(facts: Architecture, size: int) -> float:
    """Operations of one image's forward pass: every parameter once per token, and attention."""
    tokens = _tokens(facts, size)
    return tokens * (2.0 * facts.parameters + 4.0 * tokens * facts.dim * facts.depth)


def _tokens(facts: Architecture, size: int) -> int:
    return (size // facts.patch_size) ** 2 + facts.prefix_tokens


def _head_parameters(config: TrainConfig) -> int:
    head = config.head
    return head.hidden * (config.encoder.facts.dim + head.hidden + head.out)


def _pairs(config: TrainConfig) -> int:
    """Compared pairs of crops per image, at most."""
    views = config.views
    partners = views.global_crops if config.loss.pairing == "all" else 1
    return views.local_crops * partners


def _view_pixels(config: TrainConfig) -> int:
    views = config.views
    return views.global_crops * views.global_size**2 + views.local_crops * config.local_size**2
