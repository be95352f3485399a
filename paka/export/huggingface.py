"""Hugging Face: the folder of a model that timm loads from the hub or from the disk; pushing it.

config.json        the architecture, with the size, mean and spread that it was made for
model.safetensors  its weights under timm's names
README.md          the model card, see `paka.export.card`
"""

from pathlib import Path

import timm
from timm.models import save_for_hf

from paka.encoder import DenseEncoder
from paka.errors import ExportError
from paka.export.checks import Check, compare, native_shape, other_shape
from paka.export.timm import TOLERANCE, timm_answer
from paka.files import read_json, write_json
from paka.starter.vit_starter import NAME as STARTER


def write(encoder: DenseEncoder, folder: Path) -> None:
    """Write config.json and model.safetensors."""
    facts = encoder.architecture
    save_for_hf(
        encoder.vit,
        str(folder),
        model_args={"dynamic_img_size": True},
        safe_serialization=True,
        data_config={"input_size": (3, facts.size, facts.size)},
    )
    config = read_json(folder / "config.json")
    config["pretrained_cfg"].pop("license", None)  # that of other weights; the card speaks of it
    if config["architecture"] == STARTER:  # in the words of a timm that does not know it
        config["architecture"] = "vit_tiny_patch16_224"
        config["model_args"]["depth"] = 6
    write_json(folder / "config.json", config)


def check(encoder: DenseEncoder, folder: Path) -> list[Check]:
    """Compare the model that timm makes of the folder, at its own size and at another."""
    vit = timm.create_model(f"local-dir:{folder}", pretrained=True)
    shapes = (native_shape(encoder.architecture), other_shape(encoder.architecture))
    return compare("huggingface", encoder, timm_answer(encoder, vit), shapes, TOLERANCE)


def push(folder: Path, repository: str, public: bool = False) -> str:
    """Upload an exported folder; the repository is made if it is not there.

    The key is the one that `hf auth login` has stored, or `HF_TOKEN`.

    Args:
        repository: `user/name`.
        public: whether a new repository can be seen by everybody.

    Returns:
        The repository's address.

    Raises:
        ExportError: the hub cannot be reached or refuses; the folder stays as it is.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(repository, private=not public, exist_ok=True)
        api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message="Upload an encoder and its card"
        )
    except Exception as error:  # the hub's client raises errors of many libraries
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ExportError(
            f"{folder} is complete, but could not be pushed to {repository}: {reason}. Once "
            f"{api.endpoint} can be reached and knows you (hf auth login, or HF_TOKEN), push it by "
            f"hf upload {repository} {folder}"
        ) from error
    return str(address)
