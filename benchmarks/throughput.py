"""How long a whole run of a preset would take, from a steady stretch of it on this machine.

    python -m benchmarks.throughput IMAGES [--preset paper] [--steps 300] [--repeats 5]
        [--workers N] [--compile] [--cuda-graphs] [--images 118287] [--json FILE]

Three rates, one after the other: of the loader alone (*loading*), of steps over one batch that lies
on the device (*computing*), and of a real training, reading its photographs (*both*). Each is over
`--steps` steps, in `--repeats` stretches, after a tenth as many to warm up. Operations are those of
the two encoders and the head (`paka.estimate.step_flops`); utilisation is their rate beside that of
one large product of matrices in the same precision, measured here as well. The projection is to the
preset's epochs over `--images`: by default COCO's train2017, for which the paper took 14 hours on
its one GPU.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from rich.table import Table

from benchmarks.measure import Spread, parser, show
from paka.config import TrainConfig
from paka.data.images import open_images
from paka.distributed import Processes
from paka.estimate import step_flops
from paka.learner import Learner
from paka.loader import make_loader
from paka.presets import PRESETS, resolve
from paka.run_folder import RunFolder
from paka.step_timer import StepTimer
from paka.trainer import Trainer
from paka.views.pipeline import Loaded, ViewBatch

COCO_IMAGES = 118_287
_SIDE = 8192


class Plan(NamedTuple):
    """So many steps in all, in so many stretches; `wait` until the device has computed them."""

    steps: int
    stretches: int
    wait: Callable[[], None]

    @property
    def warm_up(self) -> int:
        """Steps before the first stretch."""
        return max(self.steps // 10, 1)

    @property
    def each(self) -> int:
        """Steps of a stretch."""
        return max(self.steps // self.stretches, 1)


def stretches(step: Callable[[], None], plan: Plan) -> Spread:
    """Steps per second, over each stretch."""
    for _ in range(plan.warm_up):
        step()
    plan.wait()
    rates = []
    for _ in range(plan.stretches):
        start = time.perf_counter()
        for _ in range(plan.each):
            step()
        plan.wait()
        rates.append(plan.each / (time.perf_counter() - start))
    return Spread.of(rates)


def batches(config: TrainConfig) -> Iterator[Loaded]:
    """What a training's loader gives, endlessly."""
    device = Processes().device(config.runtime.device)
    images = open_images(Path(config.dataset))
    return iter(make_loader(config, images, Processes(), device, 0))


def matrix_rate(config: TrainConfig, plan: Plan) -> float:
    """Operations per second of a product of large matrices, in the run's precision."""
    device = Processes().device(config.runtime.device)
    side = _SIDE if device.type == "cuda" else _SIDE // 8
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))

    def multiply() -> None:
        torch.mm(one, other)

    return stretches(multiply, plan._replace(steps=50)).median * 2 * side**3


class Stretched(Trainer):
    """A training that notes when its stretches begin and end, all before them being computed."""

    plan: Plan
    times: list[float]

    def _after_step(self) -> None:
        super()._after_step()
        after = self.step - self.plan.warm_up
        if after >= 0 and after % self.plan.each == 0:
            self.plan.wait()
            self.times.append(time.perf_counter())


def trained(config: TrainConfig, plan: Plan) -> Spread:
    """Steps per second of a real training."""
    steps = plan.warm_up + plan.each * plan.stretches
    optim = config.optim.model_copy(update={"max_steps": steps})
    with tempfile.TemporaryDirectory() as folder:
        run = Stretched(config.model_copy(update={"optim": optim}), RunFolder(Path(folder)))
        run.plan, run.times = plan, []
        run.run()
    return Spread.of([plan.each / (end - begin) for begin, end in pairwise(run.times)])


def measure(config: TrainConfig, plan: Plan) -> tuple[dict[str, Spread], float]:
    """Images per second of each rate, and the operations per second of a product of matrices."""
    loading, loaded = load(config, plan)
    computing, matrices = compute(config, loaded.views, plan), matrix_rate(config, plan)
    size, both = config.optim.batch_size, trained(config, plan)
    rates = {"loading": loading, "computing": computing, "both": both}
    images = {name: Spread(*(size * rate for rate in found)) for name, found in rates.items()}
    return images, matrices


def load(config: TrainConfig, plan: Plan) -> tuple[Spread, Loaded]:
    """Batches per second of the loader alone, and one of them."""
    loader = batches(config)

    def take() -> None:
        next(loader)

    return stretches(take, plan), next(loader)


def compute(config: TrainConfig, views: ViewBatch, plan: Plan) -> Spread:
    """Steps per second over one batch that lies on the device."""
    device = Processes().device(config.runtime.device)
    timer, there = StepTimer(device), views.to(device)
    learner = Learner(config, 10 * plan.steps, device, Processes(), timer)

    def step() -> None:
        learner.step([there], 0)
        timer.restart()

    return stretches(step, plan)


def report(config: TrainConfig, rates: dict[str, Spread], matrices: float, images: int) -> Table:
    """Lay the rates out for reading, with what they come to."""
    made = Table("", "images / s", "of the matrix rate", f"{config.optim.epochs:g} epochs, hours")
    per_image = step_flops(config) / config.optim.batch_size
    for name, rate in rates.items():
        share = "" if name == "loading" else f"{rate.median * per_image / matrices:.1%}"
        hours = images * config.optim.epochs / rate.median / 3600
        made.add_row(name, str(rate), share, f"{hours:.2f}")
    made.caption = f"{per_image / 1e12:.3f} TFLOP per image; matrices {matrices / 1e12:.2f} TFLOP/s"
    return made


def options() -> argparse.Namespace:
    """What was asked for."""
    made = parser(str(__doc__), repeats=5)
    made.add_argument("source", metavar="IMAGES", type=Path, help="a data set of photographs")
    made.add_argument("--preset", default="paper", choices=sorted(PRESETS))
    made.add_argument("--batch", type=int, help="images of a step; default: the preset's")
    made.add_argument("--steps", type=int, default=300)
    made.add_argument("--workers", type=int, help="loading processes; default: the preset's")
    made.add_argument("--compile", action="store_true", help="runtime.compile")
    made.add_argument("--cuda-graphs", action="store_true", help="runtime.cuda_graphs")
    made.add_argument("--images", type=int, default=COCO_IMAGES, help="of the projected run")
    return made.parse_args()


def main() -> None:
    """Measure and print."""
    given = options()
    runtime = {"compile": given.compile, "cuda_graphs": given.cuda_graphs, "probe_images": 0}
    runtime |= {"log_every": 50}
    runtime |= {"checkpoint_every_steps": None, "checkpoint_every_minutes": None}
    encoder = {**PRESETS[given.preset]["encoder"], "weights": "random"}
    over = {"dataset": str(given.source), "encoder": encoder, "runtime": runtime}
    if given.workers is not None:
        runtime["workers"] = given.workers
    if given.batch:
        over["optim"] = {"batch_size": given.batch}
    config = resolve(over, given.preset)
    on_gpu = Processes().device(config.runtime.device).type == "cuda"
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    rates, matrices = measure(config, Plan(given.steps, given.repeats, wait))
    figures = {"preset": given.preset, "rates": rates, "matrix_flops": matrices}
    show([report(config, rates, matrices, given.images)], figures, given)


if __name__ == "__main__":
    main()
