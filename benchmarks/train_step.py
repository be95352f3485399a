"""Where the time of a training step goes, and what it costs above the two encoders themselves.

    python -m benchmarks.train_step IMAGES [--encoder NAME] [--batch 8] [--repeats 15]
        [--preset light] [--compile] [--profile FOLDER] [--json FILE]

One batch of real views, held in memory. In turn: a whole step (`paka.learner.Learner.step`), the
bare networks, which are encoders and heads, and the bare encoders, on the same crops, which are
ready in the encoder's own format: the teacher's forward pass, and the student's forward and
backward pass. What a step takes above the networks is overhead. On a GPU times are those of its
stream.

Loading has processes of its own; beside a step stands what reading, decoding and cropping its
images costs them, in processor time of one core.

With `--profile` some more steps run under torch's profiler: `trace.json` for chrome://tracing or
Perfetto, `operators.txt`, the operators that took longest, and on a GPU `memory.pickle`, the
history of its memory for https://pytorch.org/memory_viz.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from benchmarks.measure import Spread, in_turn, parser, show
from paka.config import TrainConfig
from paka.data.images import open_images
from paka.distributed import Processes
from paka.learner import Learner
from paka.presets import PRESETS, resolve
from paka.step_parts import PARTS
from paka.step_timer import StepTimer
from paka.views.pipeline import ViewBatch, ViewsDataset, collate

_PROFILED_STEPS = 3


class Setup(NamedTuple):
    """A learner, the views of one batch on its device, and what loading them cost."""

    learner: Learner
    timer: StepTimer
    views: ViewBatch
    read_ms: float
    decode_and_crop_ms: float

    def wait(self) -> None:
        """Until the device has computed all that was asked for."""
        if self.learner.device.type == "cuda":
            torch.cuda.synchronize()


def set_up(config: TrainConfig) -> Setup:
    """Build all that a step takes, and load one batch."""
    processes = Processes()
    device = processes.device(config.runtime.device)
    timer = StepTimer(device)
    learner = Learner(config, 1000, device, processes, timer)
    images = open_images(Path(config.dataset))
    dataset, numbers = ViewsDataset(images, config), range(config.optim.batch_size)
    with one_thread():
        dataset[0]
        start = time.process_time()
        for number in numbers:
            images.read(number % len(images))
        read = time.process_time() - start
        loaded = [dataset[number] for number in numbers]
        both = time.process_time() - start
    views = collate(loaded).views.to(device)
    return Setup(learner, timer, views, read * 1000, (both - 2 * read) * 1000)


class one_thread:
    """Within it torch has one thread, as in a loading process."""

    def __enter__(self) -> None:
        self.before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.before)


def bare(setup: Setup, heads: bool) -> Callable[[], None]:
    """The two encoders alone on crops that are ready; with their heads on as many points."""
    learner, views = setup.learner, setup.views
    encoder, teacher = learner.student.encoder, learner.teacher.encoder
    large = encoder.normalise(views.global_images.flatten(0, 1))
    small = encoder.normalise(views.local_images.flatten(0, 1))
    pairs, points = len(small), learner.config.grid**2

    def run() -> None:
        with learner.precision.autocast():
            with torch.no_grad():
                maps = teacher.patch_tokens(large)
                if heads:
                    learner.teacher.head(maps.flatten(0, 2)[: pairs * points])
            tokens = encoder.patch_tokens(small).flatten(1, 2)
            if heads:
                some = tokens.repeat(1, -(-points // tokens.shape[1]), 1)[:, :points]
                tokens = learner.student.head(some)
        tokens.backward(torch.ones_like(tokens))
        learner.optimizer.zero_grad(set_to_none=True)
        setup.wait()

    return run


def measure(setup: Setup, repeats: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of steps and of bare encoders, and the mean milliseconds of a step's parts."""
    taken: list[dict[str, float]] = []

    def step() -> None:
        setup.timer.restart()
        setup.learner.step([setup.views], len(taken))
        setup.wait()
        taken.append(setup.timer.take(1))

    calls = {"step": step, "networks": bare(setup, True), "encoders": bare(setup, False)}
    seconds = in_turn(calls, repeats, warm_up=2)
    parts = {
        part: statistics.median(one[f"seconds_{part}"] for one in taken[2:]) * 1000
        for part in PARTS
        if f"seconds_{part}" in taken[0]
    }
    return seconds, parts


def write_profile(setup: Setup, folder: Path) -> None:
    """Run some steps under torch's profiler, and write what it saw."""
    folder.mkdir(parents=True, exist_ok=True)
    on_gpu = setup.learner.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    if on_gpu:
        torch.cuda.memory._record_memory_history()
    with profile(activities=activities, profile_memory=True, record_shapes=True) as seen:
        for number in range(_PROFILED_STEPS):
            setup.learner.step([setup.views], number)
        setup.wait()
    seen.export_chrome_trace(str(folder / "trace.json"))
    order = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    (folder / "operators.txt").write_text(seen.key_averages().table(sort_by=order, row_limit=40))
    if on_gpu:
        torch.cuda.memory._dump_snapshot(str(folder / "memory.pickle"))


def table(setup: Setup, parts: dict[str, float], ms: dict[str, Spread]) -> Table:
    """Lay the parts of a step out for reading."""
    made, whole = Table("part", "ms", "of the step"), ms["step"].median
    for part, median in parts.items():
        made.add_row(part, f"{median:.1f}", f"{median / whole:.1%}")
    made.add_row("step", str(ms["step"]), "")
    for name in ("networks", "encoders"):
        over = f"the step takes {whole / ms[name].median - 1:.1%} more"
        made.add_row(f"bare {name}", str(ms[name]), over)
    made.add_row("in loading processes: read", f"{setup.read_ms:.1f}", "")
    made.add_row("in loading processes: decode and crop", f"{setup.decode_and_crop_ms:.1f}", "")
    return made


def main() -> None:
    """Measure and print."""
    options = parser(str(__doc__), repeats=15)
    options.add_argument("source", metavar="IMAGES", type=Path, help="a data set of images")
    options.add_argument("--encoder", default="vit_small_patch14_reg4_dinov2", help="timm's name")
    options.add_argument("--preset", default="light", choices=sorted(PRESETS))
    options.add_argument("--batch", type=int, default=8, help="images of a step")
    options.add_argument("--compile", action="store_true", help="runtime.compile")
    options.add_argument("--cuda-graphs", action="store_true", help="runtime.cuda_graphs")
    options.add_argument("--profile", type=Path, metavar="FOLDER", help="also profile some steps")
    given = options.parse_args()
    over = {
        "encoder": {"architecture": given.encoder, "weights": "random"},
        "dataset": str(given.source),
        "optim": {"batch_size": given.batch},
        "runtime": {"compile": given.compile, "cuda_graphs": given.cuda_graphs},
    }
    setup = set_up(resolve(over, given.preset))
    seconds, parts = measure(setup, given.repeats)
    ms = {name: Spread.of([s * 1000 for s in taken]) for name, taken in seconds.items()}
    settings = ("encoder", "preset", "batch", "compile", "cuda_graphs")
    figures = {
        **{name: getattr(given, name) for name in settings},
        "parts_ms": parts,
        "ms": ms,
        "read_ms": setup.read_ms,
        "decode_and_crop_ms": setup.decode_and_crop_ms,
    }
    show([table(setup, parts, ms)], figures, given)
    if given.profile:
        write_profile(setup, given.profile)


if __name__ == "__main__":
    main()
