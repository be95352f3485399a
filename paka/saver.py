"""Saving a run's checkpoints and its result, also where the disk is full."""

import logging
import shutil
import time
from pathlib import Path
from typing import Any

from torch import nn

from paka.checkpoint import prune, save_checkpoint, saved_bytes
from paka.errors import TrainingError
from paka.files import is_disk_full
from paka.run_folder import RunFolder, list_checkpoints, step_folder

log = logging.getLogger(__name__)

# How long a result waits for space, and how often it looks for some.
RESULT_SECONDS, RETRY_SECONDS = 60.0, 5.0


class Saver:
    """Writes what the run keeps, in the process that writes.

    Args:
        keep: how many of the latest checkpoints.
        about: what each meta.json says beside the step.
    """

    def __init__(self, run: RunFolder, keep: int, about: dict[str, Any]) -> None:
        self.run, self.keep, self.about = run, keep, about

    def save(self, step: int, vit: nn.Module, state: dict[str, Any]) -> None:
        """Write a checkpoint; a full disk is a warning, since the run can go on without it."""
        folder = step_folder(self.run.checkpoints, step)
        try:
            with self.run.phase("checkpoint", step):
                save_checkpoint(folder, vit, {"step": step, **self.about}, state)
        except Exception as error:
            if not is_disk_full(error):
                raise
            needed = saved_bytes(vit) + saved_bytes(state)
            message = f"no checkpoint of step {step}: {shortage(folder, needed, error)}"
            self.run.warn(step, f"{message}; the run goes on, and the next one is tried")
            return
        prune(self.run.checkpoints, self.keep)

    def save_result(self, step: int, vit: nn.Module) -> None:
        """Write the result; on a full disk, wait a while for space.

        Raises:
            TrainingError: there was not enough; the checkpoints are as they were.
        """
        deadline = time.monotonic() + RESULT_SECONDS
        while not self._save_result(step, vit, last=time.monotonic() >= deadline):
            time.sleep(RETRY_SECONDS)

    def _save_result(self, step: int, vit: nn.Module, last: bool) -> bool:
        try:
            with self.run.phase("result", step):
                save_checkpoint(self.run.final, vit, {"step": step, **self.about}, None)
        except Exception as error:
            if not is_disk_full(error):
                raise
            message = f"no result: {shortage(self.run.final, saved_bytes(vit), error)}"
            if last:
                raise TrainingError(
                    f"{message}; make space and resume the run; {self.last_good()}"
                ) from error
            log.warning("%s; trying again", message)
            return False
        return True

    def last_good(self, up_to: int | None = None) -> str:
        """Say which checkpoint is the last, of all or of those up to a step."""
        folders = {int(f.name[5:]): f for f in list_checkpoints(self.run.checkpoints)}
        good = [step for step in folders if up_to is None or step <= up_to]
        if good:
            return f"the last good checkpoint is that of step {max(good)}, {folders[max(good)]}"
        return "there is no good checkpoint left" if folders else "there is no checkpoint yet"


def shortage(path: Path, needed: int, error: Exception) -> str:
    """What is needed and what is there, for an error that means a full disk."""
    free = shutil.disk_usage(path.parent).free
    return (
        f"{path.parent} cannot take the {needed:,} bytes needed, {free:,} are free on its disk "
        f"({error})"
    )
