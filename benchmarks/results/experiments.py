"""The experiments: PaKA's recipe for small encoders, its controls, its ablations."""

from typing import Any, NamedTuple

from paka.presets import PRESETS, merge

IMAGES = int(PRESETS["tiny"]["optim"]["batch_size"] * PRESETS["tiny"]["optim"]["max_steps"])


class Experiment(NamedTuple):
    """A training: what differs from the recipe, and which of the tables it belongs to."""

    name: str
    title: str
    group: str
    changes: dict[str, Any]

    def settings(self, dataset: str, seed: int) -> dict[str, Any]:
        """The fields of its `TrainConfig`."""
        fixed = {
            "dataset": dataset,
            "runtime": {
                "seed": seed,
                "precision": "bf16",
                "probe_images": 0,
                "checkpoint_every_steps": None,
            },
        }
        return merge(merge(PRESETS["tiny"], self.changes), fixed)


def _batch(size: int) -> dict[str, Any]:
    """Another batch size over the same number of images."""
    return {"optim": {"batch_size": size, "max_steps": IMAGES // size}}


MAIN = Experiment("paka", "PaKA", "main", {})
# Trained by `paka.starter` on more scenes and their labels, not by the trainer.
OWN = Experiment("own", "no loss on patches, more steps of the starter's own", "control", {})
EXPERIMENTS = (
    MAIN,
    Experiment(
        "cosine",
        "plain cosine distillation of patches",
        "control",
        {"loss": {"objective": "cosine"}},
    ),
    Experiment(
        "gram",
        "Gram anchoring (Frobenius, uncentred)",
        "control",
        {"loss": {"objective": "gram"}},
    ),
    OWN,
    Experiment(
        "teacher-photometric",
        "teacher crops in disturbed colours too",
        "ablation",
        {"views": {"teacher_photometric": True}},
    ),
    Experiment("m-0", "m = 0", "ablation", {"views": {"containment": 0.0}}),
    Experiment("m-0.5", "m = 0.5", "ablation", {"views": {"containment": 0.5}}),
    Experiment("rbf", "RBF kernel", "ablation", {"loss": {"kernel": "rbf"}}),
    Experiment("pairing-all", "every overlapping pair", "ablation", {"loss": {"pairing": "all"}}),
    Experiment("batch-8", "batch 8", "ablation", _batch(8)),
    Experiment("batch-32", "batch 32", "ablation", _batch(32)),
    Experiment("batch-64", "batch 64", "ablation", _batch(64)),
)
