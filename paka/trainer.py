"""The loop of PaKA: student and teacher see different crops of one image; the student's patches
learn to be related to each other as the teacher's are, over the region that both see.
"""

import itertools
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from paka.auto_batch import Trial, fit_to_memory, with_accumulate
from paka.checkpoint import load_latest_state
from paka.config import TrainConfig
from paka.data.images import open_images
from paka.data.unreadable import SkippedImages, Unreadable
from paka.distributed import Processes, device_name
from paka.encoder import DenseEncoder
from paka.errors import TrainingError
from paka.evaluation.probes import Probe, ProbeSample
from paka.learner import Learner
from paka.loader import make_loader
from paka.loggers.run_loggers import RunLoggers
from paka.loss_watch import LossWatch
from paka.memory import peak_memory_bytes
from paka.process import StopFlag
from paka.run_folder import Outcome, RunFolder
from paka.same_images import check_same_images
from paka.saver import Saver
from paka.sending import sent_ahead
from paka.step_timer import StepTimer
from paka.views.pipeline import Loaded, ViewBatch

log = logging.getLogger(__name__)


class Trainer:
    """One post-training run, from its settings to `final/encoder.safetensors`.

    Args:
        config: what to do.
        run: where to write; a run that was interrupted goes on from its last checkpoint.
        stop: set it, from a signal or another thread, to write a checkpoint and leave.
        processes: this process's place among those of the run.
    """

    def __init__(
        self,
        config: TrainConfig,
        run: RunFolder,
        stop: StopFlag | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.config, self.run_folder = config, run
        self.stop = StopFlag() if stop is None else stop
        self.processes = Processes() if processes is None else processes
        self.device = self.processes.device(config.runtime.device)
        self.images = open_images(Path(config.dataset))
        self.total_steps = config.total_steps(len(self.images))
        share, writes = config.runtime.max_unreadable, self.processes.first
        self.skipped = SkippedImages(run.skipped, len(self.images), share, writes)
        self.watch = LossWatch(config.runtime.divergence, config.runtime.log_every)
        about = {
            "total_steps": self.total_steps,
            "architecture": config.encoder.architecture,
            "images": len(self.images),
            "device": device_name(self.device),
        }
        self.saver = Saver(run, config.runtime.keep_checkpoints, about)
        self.step = 0
        self.timer = StepTimer(self.device)

    def run(self) -> Outcome:
        """Train to the end, or until stopped; several processes must have joined before.

        Raises:
            TrainingError: the loss is no longer finite, or diverges; no memory or no space is left.
            DataError, EncoderError, CheckpointError: as their names say.
        """
        self.run_folder.path.mkdir(parents=True, exist_ok=True)
        check_same_images(self.images, self.config.dataset, self.processes)
        self._build()
        config, after = self.config, self._resume()
        with RunLoggers(config, self.run_folder, after, self.processes.first) as self.loggers:
            outcome = self._train()
            self.loggers.ending = outcome.outcome
        return outcome

    def _train(self) -> Outcome:
        if self.config.runtime.auto_batch:
            self._fit_to_memory()
        # The first images are loaded while the features are probed.
        loader = make_loader(self.config, self.images, self.processes, self.device, self.step)
        batches = iter(loader)
        self._log_start()
        self.learner.join()
        for loaded in sent_ahead(self._steps_of(batches), self.device):
            self.timer.mark("transfer")
            self._skip([one for part in loaded for one in part.unreadable])
            self._step([part.views for part in loaded])
            self._after_step()
            self.timer.mark()
            if self.processes.any(bool(self.stop)) and self.step < self.total_steps:
                self._save_checkpoint()
                return Outcome("stopped", self.step)
        self._save_result()
        return Outcome("finished", self.step)

    def _build(self) -> None:
        self.learner = Learner(
            self.config, self.total_steps, self.device, self.processes, self.timer
        )
        self.probe = self._make_probe(self.learner.encoder)
        self._loss_sum = torch.zeros((), device=self.device)
        self._logged_step, self._logged_at = 0, time.monotonic()
        self._saved_at = time.monotonic()
        self._latest: dict[str, float | Tensor] = {}

    def _make_probe(self, base: DenseEncoder) -> Probe | None:
        """What measures the features of a few images, in the process that writes."""
        count, size = self.config.runtime.probe_images, self.config.views.global_size
        if not count or not self.processes.first:
            return None
        sample = ProbeSample.load(
            self.images, count, size, self.config.local_size, skip_unreadable=True
        )
        return Probe(base, sample)

    def _fit_to_memory(self) -> None:
        """Split batches as far as memory asks for, found with the images of the next step.

        Each process by itself: one that fails must not keep the others waiting.
        """
        runtime = self.config.runtime.model_copy(update={"workers": 0})
        alone = self.config.model_copy(update={"runtime": runtime})
        loader = make_loader(alone, self.images, self.processes, self.device, self.step)
        views = next(iter(loader)).views
        trial = Trial(views, self.learner.loss_of, self.learner.optimizer, self.device)
        self.config = fit_to_memory(self.config, trial, self.processes.any)
        log.info("optim.accumulate %d fits into memory", self.config.optim.accumulate)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def _steps_of(self, batches: Iterator[Loaded]) -> Iterator[list[Loaded]]:
        """The batches of each step (`optim.accumulate` of them), from this step to the last."""
        for _ in range(self.step, self.total_steps):
            loaded = list(itertools.islice(batches, self.config.optim.accumulate))
            self.timer.mark("load")
            yield loaded

    def _skip(self, unreadable: list[Unreadable]) -> None:
        """List images that had to be replaced; where they are too many, all processes leave."""
        if self.processes.any(bool(unreadable)):
            self.skipped.add(self.processes.gather(unreadable))

    def _step(self, batches: list[ViewBatch]) -> None:
        taken = self.learner.step(batches, self.step)
        self._loss_sum += taken.loss
        self.step += 1
        self._latest = {"grad_norm": taken.grad_norm, **taken.rates}

    def _after_step(self) -> None:
        done = self.step == self.total_steps
        due = self._checkpoint_due() and not done
        if due or done or self.step % self.config.runtime.log_every == 0 or self.step == 1:
            self._log(probing=due or done)
        if due:
            self._save_checkpoint()

    def _checkpoint_due(self) -> bool:
        """The same answer in every process, though their clocks may differ."""
        runtime = self.config.runtime
        every, minutes = runtime.checkpoint_every_steps, runtime.checkpoint_every_minutes
        if every is not None and self.step % every == 0:
            return True
        if minutes is None:
            return False
        return self.processes.any(time.monotonic() - self._saved_at > minutes * 60)

    def _log_start(self) -> None:
        """Write what the features are like before the first step."""
        if self.step == 0 and self.probe:
            start = {"step": 0, "total_steps": self.total_steps}
            self.loggers.log({**start, **self._probed()})
        self._logged_at = self._began_at = time.monotonic()
        self._began_step = self.step
        self.timer.restart()

    def _log(self, probing: bool) -> None:
        """Write one line of metrics; the mean loss is over the steps since the last line."""
        steps = self.step - self._logged_step
        loss = self.processes.mean(self._loss_sum / steps).item()
        self._check(self.watch.problem(loss, self.step, steps))
        seconds, parts = time.monotonic() - self._logged_at, self.timer.take(steps)
        self._loss_sum.zero_()
        probes = self._probed() if probing else {}
        self._logged_step, self._logged_at = self.step, time.monotonic()
        if self.processes.first:
            latest = {key: float(value) for key, value in self._latest.items()}
            # From the beginning: a few steps alone, fast or slow by chance, make it jump.
            pace = (self._logged_at - self._began_at) / (self.step - self._began_step)
            self.loggers.log(
                {
                    "step": self.step,
                    "total_steps": self.total_steps,
                    "loss": loss,
                    **latest,
                    "accumulate": self.config.optim.accumulate,
                    "step_seconds": seconds / steps,
                    **parts,
                    "peak_memory_bytes": peak_memory_bytes(self.device),
                    "images_per_second": steps * self.config.optim.batch_size / seconds,
                    "eta_seconds": (self.total_steps - self.step) * pace,
                    **probes,
                }
            )

    def _probed(self) -> dict[str, float]:
        if self.probe is None:
            return {}
        values = self.probe.measure(self.learner.result)
        return {f"probe_{name}": value for name, value in values.items()}

    def _check(self, problem: str | None) -> None:
        if problem:
            raise TrainingError(
                f"{problem}; {self.saver.last_good(self.watch.sound_step)}. Lower "
                "optim.lr_encoder, set optim.clip_norm, or use runtime.precision fp32"
            )

    def _save_checkpoint(self) -> None:
        loss = self.processes.mean(self._loss_sum.clone()).item()
        if not math.isfinite(loss):
            self._check(f"the loss is {loss} within the steps up to {self.step}")
        self._saved_at = time.monotonic()
        if self.processes.first:
            self.saver.save(self.step, self.learner.result.vit, self._state())

    def _save_result(self) -> None:
        if self.processes.first:
            self.saver.save_result(self.step, self.learner.result.vit)

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            **self.learner.state(),
            "loss_watch": self.watch.state(),
            "accumulate": self.config.optim.accumulate,
        }

    def _resume(self) -> int:
        """Go on from the latest sound checkpoint; return its step, -1 if there is none.

        The first process reads it. The others get it from there, as they get the weights to begin
        with: they may be on hosts that have no such files.
        """
        state = None
        if self.processes.first:
            found = load_latest_state(self.run_folder.checkpoints, self.device)
            state = found or self.learner.state()
        state = self.processes.share(state, self.device)
        assert state is not None  # the first process had one
        self.learner.load_state(state)
        if "step" not in state:
            return -1
        # Checkpoints of earlier versions have neither of these.
        if "loss_watch" in state:
            self.watch.load_state(state["loss_watch"])
        if "accumulate" in state:  # with auto_batch, the same split gives the same bits
            self.config = with_accumulate(self.config, state["accumulate"])
        self.step = self._logged_step = state["step"]
        return self.step
