"""Encoders for other libraries: each export is compared with its encoder before it is kept.

timm            one file of weights
transformers    a folder for `AutoModel.from_pretrained`
huggingface     a folder for the hub: timm's layout, with a model card
onnx            a graph for onnxruntime

Each target has a module of its name with two functions: `write(encoder, folder)` and
`check(encoder, folder)`, which returns what was compared.

Example:
    >>> from pathlib import Path
    >>> from paka import DenseEncoder
    >>> from paka.export import export
    >>> encoder = DenseEncoder("vit_starter_patch16_224")
    >>> checks = export(encoder, "timm", Path("for-timm"))
    >>> all(check.passed for check in checks)
    True
"""

import copy
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from paka.encoder import DenseEncoder
from paka.errors import ConfigError
from paka.export import card
from paka.export.card import About
from paka.export.checks import Check, require
from paka.export.huggingface import push
from paka.files import replacing_folder

Target = Literal["timm", "transformers", "huggingface", "onnx"]
Extra = Literal["transformers", "onnx"]
TARGETS: tuple[Target, ...] = get_args(Target)
EXTRAS: tuple[Extra, ...] = get_args(Extra)


def export(
    encoder: DenseEncoder,
    to: Target,
    folder: Path,
    *,
    size: int | None = None,
    include: Sequence[Extra] = (),
    about: About | None = None,
) -> list[Check]:
    """Write an encoder for another library, load it there, and compare.

    Args:
        encoder: on any device; it is not changed.
        folder: where it goes; must not be there yet, or be empty.
        size: side in pixels for which the other library prepares images, and at which it is exact
            if it resizes position embeddings in its own way; None: that of the architecture.
        include: for `huggingface`: further targets, into sub-folders.
        about: for `huggingface`: what the model card says.

    Returns:
        What was compared, all of it passed.

    Raises:
        ConfigError: the folder holds something, or the size does not fit.
        ExportError: the target has no counterpart, a library is missing, or the export computes
            something else; then nothing is left behind.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already; give the name of a new folder")
    encoder = _prepared(encoder, size)
    found: list[Check] = []
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder.absolute()) as aside:
        for target, place in ((to, aside), *((extra, aside / extra) for extra in include)):
            module: Any = import_module(f"paka.export.{target}")
            place.mkdir(exist_ok=True)
            module.write(encoder, place)
            found += module.check(encoder, place)
        require(found)
        if to == "huggingface":
            card.write(encoder, aside, about or About(title=folder.name), found)
    return found


def _prepared(encoder: DenseEncoder, size: int | None) -> DenseEncoder:
    """A copy on the CPU, in float32 and eval mode, that prefers images of `size`."""
    encoder = copy.deepcopy(encoder).to("cpu", torch.float32).eval().requires_grad_(False)
    if size is not None:
        try:
            encoder.architecture.check_size(size, size)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        encoder.architecture = encoder.architecture._replace(size=size)
    return encoder


__all__ = ["EXTRAS", "TARGETS", "About", "Check", "Extra", "Target", "export", "push"]
