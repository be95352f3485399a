"""Weights that a job or an embedding request names, and another job made: brought to this host."""

import errno
import json
import os
import shutil
import threading
import uuid
from pathlib import Path
from typing import Any

from paka.errors import EncoderError
from paka.files import write_json
from service.store.bucket import MARK, REFERENCE, Bucket, DamagedError

_fetching = threading.Lock()
"""Jobs of one worker may need the same weights."""


def needs_no_bucket(config: dict[str, Any]) -> dict[str, Any]:
    """Return a job's config, for a worker that has no bucket.

    Raises:
        EncoderError: it names weights that are in one.
    """
    if f'"weights": "{REFERENCE}' in json.dumps(config):
        raise EncoderError(
            "the job needs weights that are in object storage: set PAKA_ARTIFACTS_URL for this "
            "worker too, to what it is for the API"
        )
    return config


def fetch_inputs(bucket: Bucket, config: Any) -> Any:
    """A job's config, with all weights of other jobs on this host and named by their paths here.

    Raises:
        EncoderError: some are not in the bucket any more, or are others now.
        BucketError: the bucket is away.
    """
    if isinstance(config, list):
        return [fetch_inputs(bucket, each) for each in config]
    if not isinstance(config, dict):
        return config
    return {
        key: fetch_weights(bucket, value)
        if key == "weights" and isinstance(value, str)
        else fetch_inputs(bucket, value)
        for key, value in config.items()
    }


def fetch_weights(bucket: Bucket, weights: str) -> str:
    """The path on this host of weights that a job made, named by reference or by path; any others
    as they are named.

    Raises:
        EncoderError: they are not in the bucket any more, or are others now.
        BucketError: the bucket is away.
    """
    path, sha256 = Path(weights), None
    if weights.startswith(REFERENCE):
        name, _, sha256 = weights.removeprefix(REFERENCE).partition("#")
        path = (bucket.folder / name).resolve()
    if not path.is_relative_to(bucket.folder / "jobs"):
        return weights
    use_folder(bucket.folder / "jobs" / path.relative_to(bucket.folder).parts[1])
    try:
        with _fetching:
            return str(bucket.fetch(path, sha256))
    except FileNotFoundError as error:
        raise EncoderError(f"there are no weights {weights} in the object storage") from error
    except DamagedError as error:
        raise EncoderError(f"the weights {weights} are others by now: {error}") from error


def use_folder(folder: Path) -> None:
    """Make the folder of a job that does not work in it, and note when it was used."""
    while True:
        try:
            return os.utime(folder)
        except FileNotFoundError:
            _make(folder)


def _make(folder: Path) -> None:
    """Make a folder with its mark in one piece, unless it is there: another job's may be at it, or
    the job itself, whose mark stays.
    """
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    aside.mkdir(parents=True)
    write_json(aside / MARK, 0)
    try:
        aside.rename(folder)
    except OSError as error:
        shutil.rmtree(aside)
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
