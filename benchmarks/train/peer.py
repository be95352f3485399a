"""One training of lightly-train by the setting: `pretrain` with the method `dinov31`.

Runs in the environment that `make peer` makes; of ours it imports what needs torch alone.
"""

import sys
import tempfile

import lightly_train
import torch
from lightly_train._methods.dinov2.dinov2 import DINOv2
from lightly_train._methods.method import TrainingStepResult

from benchmarks.train.setting import Setting
from benchmarks.train.watch import run


def train(setting: Setting, dino_crops: int | None = None) -> None:
    """Train, with one loading process, and without what is not part of every step.

    Args:
        dino_crops: local crops for DINO, beside those for PaKA; None for as many.
    """
    crops = setting.local_crops
    sizes = {"num_views": crops if dino_crops is None else dino_crops}
    with tempfile.TemporaryDirectory() as folder:
        lightly_train.pretrain(
            out=folder,
            overwrite=True,
            data=setting.images,
            # ViT-S/14 with registers; without this argument layers are left out by chance, which
            # is so only where no weights are downloaded.
            model="dinov2/vits14-notpretrained",
            model_args={"drop_path_rate": 0.0},
            method="dinov31",
            method_args={"paka_num_local": crops},
            transform_args={
                "image_size": (setting.global_size, setting.global_size),
                "paka_num_local": crops,
                "local_view": {**sizes, "view_size": (setting.local_size, setting.local_size)},
            },
            batch_size=setting.batch_size,
            num_workers=1,
            accelerator="cpu",
            devices=1,
            precision="32-true",
            epochs=10_000,
            trainer_args={"max_steps": setting.total_steps},
            loggers={"tensorboard": None},
            callbacks={"model_checkpoint": None, "model_export": None},
        )


def train_paka_alone(setting: Setting) -> None:
    """Train without DINOv2's losses and what only they need, by leaving out their step."""

    def nothing(self: DINOv2, batch: object, batch_idx: int) -> TrainingStepResult:
        return TrainingStepResult(loss=torch.zeros((), device=self.device))

    DINOv2.training_step_impl = nothing
    train(setting, dino_crops=0)


if __name__ == "__main__":
    part = sys.argv.pop(1)
    run(train_paka_alone if part == "paka" else train)
