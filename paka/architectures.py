"""What is fixed by a vision transformer's architecture, known without torch.

`architectures.json` lists every vision transformer of timm that gives patch tokens at any size.
It is written from timm itself by `python -m paka.architectures`; a test holds the two together.
"""

import difflib
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

_FILE = Path(__file__).with_name("architectures.json")
MODULES = ("vision_transformer", "deit", "eva", "vit_starter")
MAX_SIZE = 2048


class Architecture(NamedTuple):
    """One vision transformer. Sizes in pixels, `mean` and `std` in units of [0, 1] RGB.

    `parameters` counts all numbers that the encoder learns, its classifier left out.
    """

    name: str
    patch_size: int
    dim: int
    depth: int
    prefix_tokens: int
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    parameters: int

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError if the encoder cannot take images of `height` x `width` pixels."""
        for side in (height, width):
            nearest = min(max(round(side / self.patch_size), 1), MAX_SIZE // self.patch_size)
            if side % self.patch_size or not 0 < side <= MAX_SIZE:
                raise ValueError(
                    f"size {side} must be a multiple of the patch size {self.patch_size} of "
                    f"{self.name}, {MAX_SIZE} at most; the nearest is {nearest * self.patch_size}"
                )


@cache
def architectures() -> dict[str, Architecture]:
    """Every known architecture by name; `vit_x` and `vit_x.tag` are entries of their own."""
    rows = json.loads(_FILE.read_text())
    found = (Architecture._make((*r[:6], tuple(r[6]), tuple(r[7]), r[8])) for r in rows)
    return {architecture.name: architecture for architecture in found}


def find_architecture(name: str) -> Architecture:
    """Return the architecture called `name`.

    Raises:
        ValueError: there is none; the message names the nearest ones.
    """
    known = architectures()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "see `paka encoders` for the list"
    raise ValueError(f"unknown encoder architecture {name!r}; {hint}")


def read_from_timm() -> list[Architecture]:
    """Return what the installed timm holds; builds each candidate on the meta device (30 s)."""
    import timm
    import torch

    import paka.starter.vit_starter  # noqa: F401  makes the starter known to timm

    found = []
    for base in (name for module in MODULES for name in timm.list_models(module=module)):
        with torch.device("meta"):
            model: Any = timm.create_model(base, num_classes=0, dynamic_img_size=True)
        names = {base, *timm.list_pretrained(f"{base}.*")}
        for name in sorted(names):
            data: Any = timm.get_pretrained_cfg(name) or model.pretrained_cfg
            found.append(
                Architecture(
                    name,
                    patch_size=model.patch_embed.patch_size[0],
                    dim=model.num_features,
                    depth=len(model.blocks),
                    prefix_tokens=model.num_prefix_tokens,
                    size=data.input_size[-2],
                    mean=tuple(data.mean),
                    std=tuple(data.std),
                    parameters=sum(parameter.numel() for parameter in model.parameters()),
                )
            )
    return sorted(found)


def write() -> None:
    """Write `architectures.json` anew from the installed timm, one line each."""
    rows = ",\n".join(json.dumps(row) for row in read_from_timm())
    _FILE.write_text(f"[\n{rows}\n]\n")


if __name__ == "__main__":
    write()
