"""Checkpoints: complete or not there, verified before use, readable without unpickling code.

checkpoints/step-00000500/encoder.safetensors   the encoder as it would ship now
                          state.pt              everything needed to go on
                          meta.json             step, and size and sha256 of each file
final/encoder.safetensors meta.json             the result
"""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from paka.errors import CheckpointError
from paka.files import read_json, replacing_folder, write_json
from paka.run_folder import list_checkpoints
from paka.weights import save_weights


def save_checkpoint(
    folder: Path, vit: torch.nn.Module, meta: dict[str, Any], state: dict[str, Any] | None
) -> None:
    """Write a checkpoint (or, without `state`, a result) in one piece.

    Args:
        folder: where it goes; one that is there already is replaced.
        vit: the timm model that ships.
        meta: what meta.json says beside the files (`step`, `total_steps`, `architecture`).
        state: tensors, numbers and strings only, so that it loads with `weights_only=True`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder) as aside:
        save_weights(vit, aside / "encoder.safetensors")
        if state is not None:
            with (aside / "state.pt").open("wb") as file:  # not a path: it hides why it failed
                torch.save(state, file)
        files = {path.name: _describe(path) for path in sorted(aside.iterdir())}
        made = datetime.now(UTC).isoformat()
        write_json(aside / "meta.json", {**meta, "created_at": made, "files": files})


def prune(checkpoints: Path, keep: int) -> None:
    """Remove all but the latest `keep` checkpoints."""
    for folder in list_checkpoints(checkpoints)[:-keep]:
        shutil.rmtree(folder)


def saved_bytes(value: Any) -> int:
    """About how many bytes a model or a state takes on the disk: those of its tensors."""
    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if isinstance(value, torch.Tensor):
        return value.nbytes
    if isinstance(value, dict):
        return sum(saved_bytes(part) for part in value.values())
    if isinstance(value, list | tuple):
        return sum(saved_bytes(part) for part in value)
    return 0


def load_latest_state(checkpoints: Path, device: torch.device) -> dict[str, Any] | None:
    """Return the state of the latest sound checkpoint; None if there is no checkpoint.

    Raises:
        CheckpointError: there are checkpoints, but every one is damaged.
    """
    damaged = []
    for folder in reversed(list_checkpoints(checkpoints)):
        try:
            verify(folder)
        except CheckpointError as error:
            damaged.append(str(error))
            continue
        state: dict[str, Any] = torch.load(
            folder / "state.pt", map_location=device, weights_only=True
        )
        return state
    if damaged:
        raise CheckpointError("no checkpoint can be used: " + "; ".join(damaged))
    return None


def verify(folder: Path) -> dict[str, Any]:
    """Compare a checkpoint's files with its meta.json, which is returned.

    Raises:
        CheckpointError: a file is missing, cut short or changed.
    """
    try:
        meta: dict[str, Any] = read_json(folder / "meta.json")
    except ValueError as error:
        raise CheckpointError(f"{folder / 'meta.json'} is damaged: {error}") from None
    for name, expected in meta["files"].items():
        path = folder / name
        if not path.exists():
            raise CheckpointError(f"{path} is missing")
        if _describe(path) != expected:
            raise CheckpointError(f"{path} is damaged: its size or sha256 is not the recorded one")
    return meta


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "bytes": path.stat().st_size}
