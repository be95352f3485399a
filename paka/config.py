"""All settings of a post-training run, each with its bounds, its default and its reason.

Marks in the descriptions: [P] the PaKA paper (arXiv 2509.05606), [N] the recipe of NeCo
(arXiv 2408.11054), [L] LightlyTrain's public implementation. Unmarked values are our own.
This module imports neither torch nor timm: the HTTP service checks requests with it.
"""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from paka.evaluation.config import TrainEvaluation
from paka.loggers.config import LoggingConfig
from paka.settings import EncoderConfig as EncoderConfig
from paka.settings import Settings as Settings
from paka.settings import misfit

Range = tuple[float, float]
Probability = Annotated[float, Field(ge=0, le=1)]


class ViewsConfig(Settings):
    """The crops that teacher and student see of one image."""

    global_size: int = Field(224, ge=32, le=2048, description="Teacher crop's side in pixels.")
    local_size: int | None = Field(
        None,
        ge=16,
        le=1024,
        description="Student crop's side in pixels. Default: the largest multiple of the patch "
        "size up to 98, so 98 for patch 14 and 96 for patch 16 and 8 [N].",
    )
    global_crops: int = Field(2, ge=1, le=8, description="Teacher crops per image [N].")
    local_crops: int = Field(
        5, ge=1, le=32, description="Student crops per image, dealt in turn to the teacher crops."
    )
    global_scale: Range = Field(
        (0.25, 1.0), description="Area of a teacher crop as a share of the image [N]."
    )
    local_scale: Range = Field(
        (0.05, 0.25), description="Area of a student crop as a share of the image [N]."
    )
    aspect: Range = Field((0.75, 1.3333333333), description="Width / height of a crop.")
    containment: Probability = Field(
        0.9,
        description="Least share of a student crop that lies inside its teacher crop [P]: "
        "global-local intersection maximization.",
    )
    flip: Probability = Field(0.5, description="Chance that a crop is mirrored left to right.")
    jitter: Probability = Field(0.8, description="Chance of colour jitter (student crops) [N].")
    brightness: float = Field(0.4, ge=0, le=1, description="Strength of the brightness jitter.")
    contrast: float = Field(0.4, ge=0, le=1, description="Strength of the contrast jitter.")
    saturation: float = Field(0.2, ge=0, le=1, description="Strength of the saturation jitter.")
    hue: float = Field(0.1, ge=0, le=0.5, description="Strength of the hue jitter, in turns.")
    grey: Probability = Field(0.2, description="Chance of greyscale (student crops) [N].")
    blur: Probability = Field(0.5, description="Chance of Gaussian blur (student crops) [N].")
    blur_sigma: Range = Field((0.1, 2.0), description="Blur's standard deviation in pixels.")

    teacher_photometric: bool = Field(
        False,
        description="Disturb the colours of teacher crops as well, as the control for PaKA's "
        "augmentation-free teacher [P].",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, top in (
            ("global_scale", 1.0),
            ("local_scale", 1.0),
            ("aspect", 10.0),
            ("blur_sigma", 20.0),
        ):
            low, high = getattr(self, name)
            if not 0 < low <= high <= top:
                problem = f"must be 0 < low <= high <= {top:g}, got ({low}, {high})"
                raise misfit(name, problem)
        if self.local_scale[0] > self.global_scale[1]:
            raise misfit(
                "local_scale",
                f"{self.local_scale} starts above global_scale {self.global_scale}: "
                "a student crop could never lie inside a teacher crop",
            )
        return self


class LossConfig(Settings):
    """What the student's patches learn from the teacher's, and how they are compared."""

    objective: Literal["paka", "cosine", "gram"] = Field(
        "paka",
        description="`paka`: patch kernel alignment [P]. Controls beside it: `cosine` (each patch "
        "by itself) and `gram` (Gram anchoring, DINOv3, arXiv 2508.10104).",
    )
    kernel: Literal["linear", "rbf"] = Field(
        "linear", description="Kernel between patches [P]; `paka` only."
    )
    alignment: Literal["cka", "frobenius"] = Field(
        "cka", description="Measure between the two centred kernels [P]; `paka` only."
    )
    grid: int | None = Field(
        7,
        ge=2,
        le=64,
        description="Points per side of the grid on which both crops' patches are compared [N]; "
        "null: the student crop's own patch grid [L].",
    )

    pairing: Literal["parent", "all"] = Field(
        "parent",
        description="Teacher crops that a student crop is compared with: its own, over what both "
        "show, or every one of its image that holds at least two points of the student crop's "
        "grid, points outside it not counting.",
    )

    @model_validator(mode="after")
    def _of_the_objective(self) -> Self:
        for name in ("kernel", "alignment"):
            value, default = getattr(self, name), type(self).model_fields[name].default
            if self.objective != "paka" and value != default:
                problem = f"{value} belongs to the objective paka; {self.objective} has no {name}"
                raise misfit(name, problem)
        return self


class HeadConfig(Settings):
    """The projection head: three layers, GELU; dropped after training [P, sizes N]."""

    hidden: int = Field(2048, ge=1, le=16384, description="Width of the two hidden layers.")
    out: int = Field(256, ge=2, le=8192, description="Width of the compared vectors.")


class TeacherConfig(Settings):
    """The moving average of the student, momentum rising along a cosine [N]."""

    momentum: Probability = Field(0.9995, description="Momentum at the first step.")
    momentum_end: Probability = Field(1.0, description="Momentum at the last step.")


class OptimConfig(Settings):
    """AdamW, and how long it runs."""

    batch_size: int = Field(
        64, ge=1, le=16384, description="Images per step, over all processes and accumulation [N]."
    )
    epochs: float = Field(25.0, gt=0, le=10000, description="Passes over the data set [N].")
    max_steps: int | None = Field(
        None, ge=1, le=10_000_000, description="Stop after this many steps, whatever the epochs."
    )
    lr_encoder: float = Field(1e-5, ge=0, le=1, description="Learning rate of the encoder [N].")
    lr_head: float = Field(1e-4, ge=0, le=1, description="Learning rate of the head [N].")
    warmup_steps: int = Field(0, ge=0, le=100_000, description="Steps of linear warm-up.")
    weight_decay: float = Field(0.04, ge=0, le=1, description="Weight decay at the start [L, N].")
    weight_decay_end: float = Field(0.04, ge=0, le=1, description="At the end (0.5 in [N]).")
    clip_norm: float | None = Field(
        None, gt=0, le=1000, description="Clip the gradient to this norm; null: no clipping [N]."
    )
    accumulate: int = Field(
        1, ge=1, le=1024, description="Split a process's share of a batch into this many parts."
    )


class RuntimeConfig(Settings):
    """Where and how the run is carried out; none of it changes what is optimised."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU if there.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto: bf16 on a GPU, fp32 on the CPU."
    )
    processes: int = Field(1, ge=1, le=1024, description="Training processes in all (one per GPU).")
    nodes: int = Field(
        1, ge=1, le=128, description="Hosts that share the run, each with as many processes."
    )
    workers: int = Field(
        4, ge=0, le=128, description="Image loading processes per training process."
    )
    max_unreadable: Probability = Field(
        0.05,
        description="Largest share of the data set's images that may turn out to be unreadable. "
        "Each is listed, and another image takes its place; beyond the share the run fails.",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of order, crops and initial head.")
    compile: bool = Field(
        False,
        description="Compile the encoders and the student's changes of colour with torch.compile.",
    )
    cuda_graphs: bool = Field(
        False,
        description="Have the GPU replay the compiled encoders as CUDA graphs: for small crops and "
        "batches, where starting kernels takes longer than they run. Needs runtime.compile.",
    )
    auto_batch: bool = Field(
        False,
        description="Raise optim.accumulate, by trial before the first step, to the least value "
        "with which the run fits into memory. Not with runtime.cuda_graphs.",
    )
    log_every: int = Field(10, ge=1, le=10_000, description="Steps between two metrics lines.")
    divergence: float | None = Field(
        3.0,
        gt=1,
        le=1e6,
        description="Stop when the mean loss of three log lines in a row is more than this many "
        "times that of the first steps; null: never.",
    )
    checkpoint_every_steps: int | None = Field(
        500, ge=1, le=10_000_000, description="Steps between two checkpoints; null: by time only."
    )
    checkpoint_every_minutes: float | None = Field(
        15.0, gt=0, le=100_000, description="Minutes between two checkpoints; null: by steps only."
    )
    probe_images: int = Field(
        32,
        ge=0,
        le=1024,
        description="Images on which the features are probed at the start, at every checkpoint "
        "and at the end: effective rank, likeness to the encoder at the start, agreement of two "
        "views, and of neighbours; 0: off.",
    )
    keep_checkpoints: int = Field(2, ge=1, le=1000, description="Latest checkpoints to keep.")
    export: Literal["teacher", "student"] = Field(
        "teacher", description="Whose encoder is the result."
    )

    @model_validator(mode="after")
    def _graphs_are_of_what_is_compiled(self) -> Self:
        if self.cuda_graphs and not self.compile:
            raise misfit("cuda_graphs", "true needs runtime.compile true as well")
        if self.cuda_graphs and self.auto_batch:
            problem = "true does not go with runtime.cuda_graphs true; set optim.accumulate instead"
            raise misfit("auto_batch", problem)
        return self


class TrainFields(Settings):
    """The fields of a run, each checked by itself; a preset may still lie under them."""

    encoder: EncoderConfig = Field(
        default_factory=lambda: EncoderConfig.model_validate({}),
        description="The encoder to post-train: `name`, `name@weights`, or an object.",
    )
    dataset: str = Field(
        min_length=1,
        description="A folder of images, searched with its sub-folders; a .tar, .zip, or a folder "
        "of such shards; or a folder that Hugging Face's `save_to_disk` has made. Labels are not "
        "used.",
        examples=["/data/photos"],
    )
    views: ViewsConfig = Field(default_factory=lambda: ViewsConfig.model_validate({}))
    loss: LossConfig = Field(default_factory=lambda: LossConfig.model_validate({}))
    head: HeadConfig = Field(default_factory=lambda: HeadConfig.model_validate({}))
    teacher: TeacherConfig = Field(default_factory=lambda: TeacherConfig.model_validate({}))
    optim: OptimConfig = Field(default_factory=lambda: OptimConfig.model_validate({}))
    runtime: RuntimeConfig = Field(default_factory=lambda: RuntimeConfig.model_validate({}))
    logging: LoggingConfig = Field(default_factory=lambda: LoggingConfig.model_validate({}))
    evaluate: TrainEvaluation | None = Field(
        None,
        description="Compare the encoder before and after on a labelled data set, once trained.",
    )


class TrainConfig(TrainFields):
    """One post-training run, complete: what `paka train` and `POST /train` both check."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        facts = self.encoder.facts
        for name, size in (
            ("views.global_size", self.views.global_size),
            ("views.local_size", self.local_size),
            *([("evaluate.size", self.evaluate.size)] if self.evaluate else []),
        ):
            try:
                facts.check_size(size, size)
            except ValueError as error:
                raise misfit(name, error) from None
        return self

    @model_validator(mode="after")
    def _processes_divide(self) -> Self:
        if self.runtime.processes % self.runtime.nodes:
            raise misfit(
                "runtime.processes",
                f"{self.runtime.processes} is not a multiple of runtime.nodes = "
                f"{self.runtime.nodes}: each host has as many of them",
            )
        return self

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        parts = self.runtime.processes * self.optim.accumulate
        if self.optim.batch_size % parts:
            raise misfit(
                "optim.batch_size",
                f"{self.optim.batch_size} is not a multiple of "
                f"runtime.processes x optim.accumulate = {parts}",
            )
        return self

    def total_steps(self, images: int) -> int:
        """Steps of a run: `optim.epochs` over `images`, or `optim.max_steps` if that is less."""
        steps = max(math.ceil(self.optim.epochs * images / self.optim.batch_size), 1)
        return min(steps, self.optim.max_steps or steps)

    @property
    def local_size(self) -> int:
        """The student crop's side in pixels, resolved for the encoder's patch size."""
        patch = self.encoder.facts.patch_size
        return self.views.local_size or max(98 // patch, 1) * patch

    @property
    def grid(self) -> int:
        """Points per side of the comparison grid, resolved."""
        return self.loss.grid or self.local_size // self.encoder.facts.patch_size
