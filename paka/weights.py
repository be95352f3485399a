"""Weights of a vision transformer: from timm's hub, from a file, or drawn; and back to a file."""

import hashlib
import pickle
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import timm
import torch
from huggingface_hub import constants
from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import paka.starter.vit_starter  # noqa: F401  from here on timm knows the starter
from paka.errors import EncoderError
from paka.files import replacing, share

# Where an encoder begins: below what stands before these names. OpenAI's CLIP has its own ones.
_ANCHORS = ("patch_embed.proj.weight", "visual.class_embedding")
_DRAW = {"uniform_", "normal_", "trunc_normal_", "kaiming_uniform_", "xavier_uniform_", "erfinv_"}
_UNUSED = ("head.", "head_dist.", "fc.", "classifier.", "mask_token")


def build_vit(architecture: str, weights: str = "pretrained") -> nn.Module:
    """Return timm's model without a classification head, for images of any size.

    Args:
        architecture: a name in timm.
        weights: `pretrained` (timm's hub), `random` (always the same draw; the global random
            state is left as it was), or the path of a weights file.

    Raises:
        EncoderError: the weights cannot be had, read, or do not fit.
    """
    if weights == "pretrained":
        return _from_hub(architecture)
    if weights != "random" and not Path(weights).is_file():
        raise EncoderError(f"weights file {weights} does not exist")
    if weights == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return _create(architecture, pretrained=False)
    with _NothingDrawn():
        vit = _create(architecture, pretrained=False)
    load_weights(vit, Path(weights))
    return vit


class _NothingDrawn(TorchFunctionMode):
    """Leaves new parameters as they come: to draw those of a ViT-L takes seconds.

    A weights file sets them all, or is refused.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _DRAW:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _create(architecture: str, pretrained: bool) -> nn.Module:
    vit: nn.Module = timm.create_model(
        architecture, pretrained=pretrained, num_classes=0, dynamic_img_size=True
    )
    return vit


def _from_hub(architecture: str) -> nn.Module:
    if not timm.is_model_pretrained(architecture):
        raise EncoderError(
            f"timm has no pretrained weights of {architecture}; give a weights file, "
            f"{architecture}@/path/to/model.safetensors, or take {architecture}@random"
        )
    known = timm.get_pretrained_cfg(architecture)
    if known is not None and known.file:
        return _create(architecture, pretrained=True)  # the weights are here
    try:
        with _no_retries_when_offline():
            return _create(architecture, pretrained=True)
    except Exception as error:  # the hub's client raises errors of many libraries
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise EncoderError(
            f"pretrained weights of {architecture} could not be fetched ({reason}). Offline: "
            "download the model's model.safetensors on another machine, copy it here, and give "
            f"its path as weights, {architecture}@/path/to/model.safetensors"
        ) from error


@contextmanager
def _no_retries_when_offline() -> Iterator[None]:
    """Without a network use the hub's cache alone: its client would retry for a minute."""
    hub, before = urlsplit(constants.ENDPOINT), constants.HF_HUB_OFFLINE
    if not getproxies() and hub.hostname:
        try:
            socket.create_connection((hub.hostname, hub.port or 443), timeout=5).close()
        except OSError:
            constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def load_weights(vit: nn.Module, path: Path) -> None:
    """Load a file into a timm model.

    Reads safetensors and torch files of timm, of DINOv2's and other official repositories, and of
    training frameworks that put the encoder below a prefix (NeCo's among them). Position
    embeddings are resized where they must be; classification heads are passed over.

    Raises:
        EncoderError: not a weights file, unsafe to read, or made for another architecture.
    """
    state = _encoder_part(read_state(path))
    convert = sys.modules[type(vit).__module__].checkpoint_filter_fn
    try:
        state = convert(state, vit)
    except (KeyError, RuntimeError, ValueError, IndexError) as error:
        raise EncoderError(f"{path} does not fit {_name(vit)}: {error!r}") from error
    state = {key: value for key, value in state.items() if not key.startswith(_UNUSED)}
    wanted = vit.state_dict()
    missing = sorted(wanted.keys() - state.keys())
    misfits = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    if missing or misfits:
        fitting = len(wanted) - len(missing) - len(misfits)
        first = "; ".join([*misfits[:3], *(f"{key} is missing" for key in missing[:3])])
        raise EncoderError(
            f"{path} does not fit {_name(vit)}: {fitting} of {len(wanted)} tensors fit; {first}"
        )
    vit.load_state_dict({key: state[key] for key in wanted})


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors or torch file by name, without running code from it.

    Raises:
        EncoderError: it is neither, or holds more than tensors and plain values.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise EncoderError(
            f"{path} is refused: it holds more than tensors, or is no torch file; save the "
            "model's state_dict() alone, best as safetensors"
        ) from error
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise EncoderError(f"{path} is not a readable weights file: {error}") from error
    return _flatten(content)


def _flatten(content: Any, prefix: str = "") -> dict[str, Tensor]:
    """Nested dictionaries of tensors to one, names joined by dots."""
    if isinstance(content, Tensor):
        return {prefix.removesuffix("."): content}
    if not isinstance(content, dict):
        return {}
    return {
        name: tensor
        for key, value in content.items()
        for name, tensor in _flatten(value, f"{prefix}{key}.").items()
    }


def _encoder_part(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors below the prefix at which an encoder is found; a teacher's first."""
    prefixes = [
        name.removesuffix(anchor) for anchor in _ANCHORS for name in state if name.endswith(anchor)
    ]
    if not prefixes:
        return state  # names of a house that timm may know
    chosen = min(prefixes, key=lambda prefix: ("teacher" not in prefix, len(prefix)))
    return {k.removeprefix(chosen): v for k, v in state.items() if k.startswith(chosen)}


def save_weights(vit: nn.Module, path: Path) -> None:
    """Write safetensors with timm's own names, float32, in one piece."""
    with replacing(path) as aside:
        save_file(_portable(vit), aside, {"format": "pt"})
        share(aside)


def weights_sha256(source: nn.Module | Path) -> str:
    """The sha256 of a weights file; of a model, that of the file `save_weights` would write."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(save(_portable(source), {"format": "pt"})).hexdigest()


def _portable(vit: nn.Module) -> dict[str, Tensor]:
    return {
        name: tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in sorted(vit.state_dict().items())
    }


def _name(vit: nn.Module) -> str:
    return str(vit.pretrained_cfg.get("architecture", type(vit).__name__))  # type: ignore
