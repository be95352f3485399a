"""What learns: student, teacher, loss and optimizer on one device, and one step of all of them."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from paka.config import TrainConfig
from paka.distributed import Processes
from paka.encoder import DenseEncoder
from paka.heads import ProjectionHead
from paka.losses import make_loss
from paka.optim import clip_and_step, make_optimizer, schedule
from paka.precision import Precision
from paka.schedules import cosine
from paka.step_timer import StepTimer
from paka.student import Student
from paka.teacher import Teacher
from paka.views.photometric import augment
from paka.views.pipeline import ViewBatch


class Taken(NamedTuple):
    """What a step has to say: its loss, the gradient's norm, and the rates that it was taken with.

    Tensors stay on the device, and nothing waits for them.
    """

    loss: Tensor
    grad_norm: Tensor
    rates: dict[str, float]


class Learner:
    """Student, teacher, loss and optimizer of one process.

    Args:
        config: the run's settings; a batch may come in other parts than they say.
        total_steps: of the run, along which rates and momentum change.
        device: where all of it is computed.
        processes: this process's place among those of the run.
        timer: is told which part of a step has run.

    Raises:
        EncoderError: the encoder cannot be had.
    """

    def __init__(
        self,
        config: TrainConfig,
        total_steps: int,
        device: torch.device,
        processes: Processes,
        timer: StepTimer,
    ) -> None:
        self.config, self.total_steps, self.device = config, total_steps, device
        self.processes, self.timer = processes, timer
        self.precision = Precision(config.runtime.precision, device)
        torch.manual_seed(config.runtime.seed)
        # The first process sends the others its weights before the first step.
        weights = config.encoder.weights if processes.first else "random"
        self.encoder = DenseEncoder(config.encoder.architecture, weights)
        self.encoder.freeze_unused()
        head = ProjectionHead(self.encoder.architecture.dim, config.head.hidden, config.head.out)
        student = Student(self.encoder, head, config.grid, config.loss.pairing)
        self.student = student.to(device).train()
        self.teacher = Teacher(self.student).to(device)
        self._disturb = self._disturbed
        if config.runtime.compile:
            graphs = config.runtime.cuda_graphs
            self.student.encoder.compile_patch_tokens(graphs)
            self.teacher.encoder.compile_patch_tokens(graphs)
            self._disturb = torch.compile(self._disturbed, dynamic=False)
        self.loss = make_loss(config.loss)
        self.optimizer = make_optimizer(self.student, config.optim)
        self._shared: nn.Module = self.student

    @property
    def result(self) -> DenseEncoder:
        """The encoder that the run is for."""
        owner = self.teacher if self.config.runtime.export == "teacher" else self.student
        return owner.encoder

    def join(self) -> None:
        """From here on, average gradients over all processes."""
        self._shared = self.processes.wrap(self.student, self.device)

    def step(self, batches: Sequence[ViewBatch], number: int) -> Taken:
        """Update the student once, then the teacher.

        Args:
            batches: the parts of the step's batch, each as large as memory allows, on the device.
            number: steps done before this one.
        """
        # Nothing random happens outside the loader, but for encoders with dropout: seeding each
        # step makes a resumed run repeat it without having stored any random state.
        torch.manual_seed(hash((self.config.runtime.seed, number, self.processes.rank)))
        if self.config.runtime.cuda_graphs:
            torch.compiler.cudagraph_mark_step_begin()
        rates = schedule(self.optimizer, self.config.optim, number, self.total_steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._backward(batches)
        scaler = self.precision.scaler
        grad_norm = clip_and_step(self.optimizer, scaler, self.config.optim.clip_norm)
        self.timer.mark("optimizer")
        average = self.config.teacher
        momentum = cosine(average.momentum, average.momentum_end, number, self.total_steps)
        self.teacher.update(momentum)
        self.timer.mark("average")
        return Taken(loss, grad_norm, {"momentum": momentum, **rates})

    def _backward(self, batches: Sequence[ViewBatch]) -> Tensor:
        """Add up gradients over all parts; return the mean loss."""
        loss = torch.zeros((), device=self.device)
        for index, batch in enumerate(batches):
            last = index == len(batches) - 1
            with nullcontext() if last else self.processes.no_sync(self._shared):
                part = self.loss_of(batch) / len(batches)
                self.precision.scaler.scale(part).backward()
                self.timer.mark("backward")
            loss += part.detach()
        return loss

    def loss_of(self, batch: ViewBatch) -> Tensor:
        """The loss of views on this device, with what its gradient takes."""
        with self.precision.autocast():
            maps = self.teacher.maps(batch)
            self.timer.mark("teacher")
            images = self._disturb(
                batch.local_images.flatten(0, 1), batch.photometric.flatten(0, 1)
            )
            self.timer.mark("augment")
            student, teacher, valid = self._shared(images, maps, batch, self.timer.mark)
            with torch.no_grad():
                target = self.teacher.head(teacher)
        self.timer.mark("align")
        loss: Tensor = self.loss(student, target, valid)
        self.timer.mark("loss")
        return loss

    def _disturbed(self, pixels: Tensor, parameters: Tensor) -> Tensor:
        """Student crops (M, 3, s, s) uint8 as its encoder takes them; compiled, a few kernels."""
        return self.encoder.standardise(augment(pixels / 255, parameters))

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "student": self.student.state_dict(),
            "teacher": self.teacher.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.precision.scaler.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.student.load_state_dict(state["student"])
        self.teacher.load_state_dict(state["teacher"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.precision.scaler.load_state_dict(state["scaler"])
