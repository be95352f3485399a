"""The sections of a model card in Markdown; one for which nothing is known is empty."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from paka.encoder import DenseEncoder
from paka.evaluation.report import to_markdown
from paka.evaluation.report_schema import Report
from paka.export.checks import Check
from paka.export.run_facts import RunFacts
from paka.export.settings_table import nearest_preset, public_settings, to_yaml
from paka.weights import weights_sha256

PAPER = "https://arxiv.org/abs/2509.05606"
_OBJECTIVES = {
    "paka": "Patch-level Kernel Alignment: a student that sees small crops of an image learns to "
    "relate its patches to each other as its teacher, which sees more of the image, relates the "
    "same places",
    "cosine": "plain distillation of patches: each patch of a student that sees small crops of an "
    "image learns to point where its teacher's does, which sees more of the image, at the same "
    "place",
    "gram": "Gram anchoring: the cosines between the patches of a student that sees small crops of "
    "an image learn to be those of its teacher, which sees more of the image",
}
"""What is learnt by each `loss.objective`."""


def introduction(encoder: DenseEncoder, run: RunFacts) -> str:
    """What it is."""
    facts = encoder.architecture
    size = (
        f"{facts.parameters / 1e6:.1f} million parameters, patches of {facts.patch_size} x "
        f"{facts.patch_size} pixels, {facts.dim} dimensions"
    )
    if run.config is None:
        return f"The vision transformer `{facts.name}`: {size}."
    objective = _OBJECTIVES[run.config.loss.objective]
    return (
        f"The vision transformer `{facts.name}` ({size}), post-trained without labels so that its "
        f"patch features improve, in the manner of [PaKA]({PAPER}). Objective: {objective}."
    )


def loading(encoder: DenseEncoder, repository: str | None, folder: Path) -> str:
    """Code to load it and to use it."""
    facts = encoder.architecture
    place = f"hf-hub:{repository}" if repository else "local-dir:path/to/this/folder"
    also = ""
    if (folder / "transformers").is_dir():
        source = (
            f'"{repository}", subfolder="transformers"' if repository else '"this/transformers"'
        )
        also += f"\n\nIn transformers: `AutoModel.from_pretrained({source})`."
    if (folder / "onnx").is_dir():
        also += "\n\nFor onnxruntime: `onnx/encoder.onnx`, which takes RGB images in [0, 1]."
    return f"""## Use

```python
import timm
import torch
from PIL import Image

vit = timm.create_model("{place}", pretrained=True).eval()
config = timm.data.resolve_model_data_config(vit)
transform = timm.data.create_transform(**config, is_training=False)
images = transform(Image.open("cat.jpg").convert("RGB"))[None]
```

Dense features, one vector per patch, for sides that are multiples of {facts.patch_size}:

```python
with torch.inference_mode():
    tokens = vit.forward_features(images)
rows, columns = (side // {facts.patch_size} for side in images.shape[2:])
patch_tokens = tokens[:, vit.num_prefix_tokens :].unflatten(1, (rows, columns))
```

`patch_tokens` is (1, rows, columns, {facts.dim}). sha256 of the weights in timm's layout:
`{weights_sha256(encoder.vit)}`.{also}"""


def data(run: RunFacts) -> str:
    """What it was trained on."""
    if run.config is None:
        return ""
    name = public_settings(run.config)["dataset"]
    count = "" if run.images is None else f": {run.images:,} images"
    skipped = f" {run.skipped} of them could not be read." if run.skipped else ""
    return f"## Data\n\n`{Path(name).name}`{count}, without labels.{skipped}"


def training(run: RunFacts) -> str:
    """How the training went."""
    rows = [row for row in run.metrics if "loss" in row]
    if not rows:
        return ""
    first, last = rows[0], rows[-1]
    values: dict[str, Any] = {
        "steps": f"{last['step']} of {last.get('total_steps', last['step'])}",
        "loss": f"{first['loss']:.4f} at step {first['step']}, {last['loss']:.4f} at the end",
    }
    if speeds := [row["images_per_second"] for row in rows if "images_per_second" in row]:
        values["images per second"] = f"{median(speeds):.4g} (median)"
    if run.device is not None:
        processes = run.config.runtime.processes if run.config else 1
        values["device"] = run.device if processes == 1 else f"{processes} x {run.device}"
    for key in dict.fromkeys(key for row in run.metrics for key in row if key.startswith("probe_")):
        known = [row[key] for row in run.metrics if key in row]
        name = key.removeprefix("probe_").replace("_", " ")
        values[name] = f"{known[0]:.4g} before, {known[-1]:.4g} after"
    return f"## Training\n\n{_table(('', ''), list(values.items()))}"


def evaluation(run: RunFacts) -> str:
    """What it is worth, if that was measured."""
    return "" if run.report is None else f"#{to_markdown(_without_folders(run.report))}".rstrip()


def settings(run: RunFacts) -> str:
    """All settings, and those that differ from the nearest preset."""
    if run.config is None:
        return ""
    says = ""
    if nearest := nearest_preset(run.config):
        preset, different = nearest
        rows = [(f"`{name}`", f"`{there}`", f"`{own}`") for name, (there, own) in different.items()]
        table = _table(("setting", f"preset `{preset}`", "here"), rows)
        says = f"The preset `{preset}`, but for\n\n{table}" if rows else f"The preset `{preset}`."
    return (
        f"## Settings\n\n{says}\n\n<details><summary>All settings</summary>\n\n"
        f"```yaml\n{to_yaml(run.config)}```\n\n</details>"
    )


def checked(checks: Sequence[Check]) -> str:
    """How the files were compared with the encoder."""
    rows = [
        (check.target, check.what, " x ".join(map(str, check.shape)), f"{check.difference:.1g}")
        for check in checks
    ]
    table = _table(("", "", "images x height x width", "largest difference"), rows)
    return (
        "## Check\n\nThe files were loaded again and compared with the encoder they were made "
        f"from, on random images:\n\n{table}"
    )


def licence(own: str | None, of_base: str | None) -> str:
    """Under which terms it may be used."""
    base = f"The weights that it began with are under `{of_base}`." if of_base else ""
    mine = f"`{own}`." if own else "Nothing was stated for these weights."
    return f"## License\n\n{f'{mine} {base}'.strip()}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _without_folders(report: Report) -> Report:
    """A report whose encoders are not called by their paths."""
    names = {
        entry.name: f"encoder {number}" if "/" in entry.name else entry.name
        for number, entry in enumerate(report.encoders, 1)
    }
    return report.model_copy(
        update={
            "dataset": Path(report.dataset).name,
            "encoders": tuple(
                entry.model_copy(update={"name": names[entry.name]}) for entry in report.encoders
            ),
            "results": tuple(
                result.model_copy(update={"encoder": names[result.encoder]})
                for result in report.results
            ),
        }
    )
