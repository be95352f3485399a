"""What an encoder's name on the command line stands for."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from paka.cli.errors import describe
from paka.config import EncoderConfig
from paka.errors import ConfigError
from paka.extras import require_method
from paka.files import read_json

if TYPE_CHECKING:
    from paka.encoder import DenseEncoder


def read_reference(reference: str) -> EncoderConfig:
    """What a reference stands for, its path absolute.

    Args:
        reference: `name`, `name@weights`, or the folder of a run, of its result or of a checkpoint.

    Raises:
        ConfigError: an unknown architecture, or a folder without an encoder.
    """
    path = Path(reference).expanduser().absolute()
    for folder in (path / "final", path):
        if (folder / "meta.json").is_file():
            name = read_json(folder / "meta.json")["architecture"]
            return EncoderConfig(architecture=name, weights=str(folder / "encoder.safetensors"))
    if path.is_dir():
        raise ConfigError(
            f"{reference} holds no finished encoder (no final/meta.json); finish the run with "
            f"paka train --run {reference}, or name one of its checkpoints"
        )
    name, _, weights = reference.partition("@")
    if weights not in ("", "pretrained", "random"):
        reference = f"{name}@{Path(weights).expanduser().absolute()}"
    try:
        return EncoderConfig.model_validate(reference)
    except ValidationError as error:
        raise ConfigError(describe(error)) from None


def load(config: EncoderConfig) -> "DenseEncoder":
    """The encoder, ready to be asked, on a GPU if there is one.

    Raises:
        ConfigError: the packages that it takes are not installed.
        EncoderError: its weights cannot be had, or do not fit.
    """
    require_method("an encoder")
    from paka.distributed import Processes
    from paka.encoder import DenseEncoder

    encoder = DenseEncoder.from_config(config).eval().requires_grad_(False)
    return encoder.to(Processes().device("auto"))


def in_timm(architecture: str, weights: Path) -> str:
    """Code that loads the weights with timm, which does not know the starter by itself."""
    known = "import paka.starter.vit_starter; " if architecture.startswith("vit_starter") else ""
    return f'{known}timm.create_model("{architecture}", num_classes=0, checkpoint_path="{weights}")'
