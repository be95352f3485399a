"""How a user names an encoder: an architecture, with weights after an @, or a run's folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from paka.config import EncoderConfig
from paka.errors import EncoderError
from paka.files import read_json

if TYPE_CHECKING:
    from paka.encoder import DenseEncoder


def read_reference(reference: str) -> EncoderConfig:
    """Return the encoder that is named.

    Args:
        reference: `name`, `name@random`, `name@file`, a run's folder, or a checkpoint's.

    Raises:
        EncoderError: a folder without a complete encoder.
        pydantic.ValidationError: an unknown architecture.
    """
    folder = Path(reference)
    if not folder.is_dir():
        return EncoderConfig.model_validate(reference)
    if (folder / "final").is_dir():
        folder = folder / "final"
    if not (folder / "meta.json").exists():
        raise EncoderError(
            f"{reference} holds no finished encoder; name a run that has finished, or one of its "
            "checkpoints/step-… folders"
        )
    weights = str(folder / "encoder.safetensors")
    architecture = read_json(folder / "meta.json")["architecture"]
    return EncoderConfig(architecture=architecture, weights=weights)


def load(config: EncoderConfig) -> "DenseEncoder":
    """Return the encoder, ready to embed, on a GPU if there is one."""
    import torch

    from paka.encoder import DenseEncoder

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return DenseEncoder.from_config(config).eval().requires_grad_(False).to(device)
