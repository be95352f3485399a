"""One training of ours: the preset `light` by the setting, from random weights."""

import tempfile
from pathlib import Path

from benchmarks.train.setting import Setting
from benchmarks.train.watch import run
from paka.presets import resolve
from paka.run_folder import RunFolder
from paka.trainer import Trainer


def train(setting: Setting) -> None:
    """Train, with one loading process, and without what is not part of every step."""
    config = resolve(
        {
            "dataset": setting.images,
            "encoder": "vit_small_patch14_reg4_dinov2.lvd142m@random",
            "views": {
                "global_size": setting.global_size,
                "local_size": setting.local_size,
                "local_crops": setting.local_crops,
            },
            "optim": {"batch_size": setting.batch_size, "max_steps": setting.total_steps},
            "runtime": {
                "device": "cpu",
                "precision": "fp32",
                "workers": 1,
                "probe_images": 0,
                "checkpoint_every_steps": None,
                "checkpoint_every_minutes": None,
            },
        },
        "light",
    )
    with tempfile.TemporaryDirectory() as folder:
        Trainer(config, RunFolder(Path(folder))).run()


if __name__ == "__main__":
    run(train)
