"""Features that were computed before: of the same image, by the same weights, in the same way."""

import hashlib
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from paka.options import geometry
from service.embed.answers import read_geometry
from service.embed.bodies import Image
from service.embed.lru_file import LruFile
from service.embed.schemas import EmbedFields
from service.encoders.service import ResolvedEncoder
from service.errors import unavailable
from service.store.contract import CONTRACT_VERSION
from service.store.settings import Settings

log = logging.getLogger(__name__)
T = TypeVar("T")
_VERSION = version("paka-service")

Row = dict[str, np.ndarray]
"""One image's part of an answer."""


class Lookup(NamedTuple):
    """What is known of a request's images: the sha256 of each file, and its features, None if they
    are to be computed. `weights` names what a worker will read, `sha256` is theirs, None if it is
    not known yet.
    """

    weights: tuple[Any, ...]
    sha256: str | None
    digests: list[bytes]
    rows: list[Row | None]

    def missing(self, images: Sequence[Image]) -> list[Image]:
        """Those of the request's images that are to be computed."""
        return [image for image, row in zip(images, self.rows, strict=True) if row is None]


class FeatureCache:
    """Keeps answers, image by image, if the settings give it room.

    An image's key is the sha256 of its file, of the weights, and of all that changes the result.
    The weights' own sha256 is known once a worker has answered with them, for as long as their file
    stays the same.

    Attributes:
        hits, misses: images that were found, and that were not.
        evictions: those that had to leave for others.
    """

    def __init__(self, settings: Settings) -> None:
        self.hits = self.misses = self.evictions = 0
        self._lock = threading.Lock()
        self._known: dict[tuple[Any, ...], str] = {}
        self._file = _open(settings) if settings.embed_cache_bytes else None

    @property
    def enabled(self) -> bool:
        """Whether anything is kept."""
        return self._file is not None

    def size(self) -> int:
        """Bytes of all that is kept."""
        return self._try(LruFile.size) or 0

    def close(self) -> None:
        """Close its file."""
        if self._file:
            self._file.close()

    def find(
        self, fields: EmbedFields, encoder: ResolvedEncoder, images: Sequence[Image]
    ) -> Lookup:
        """Look for the features of a request's images."""
        weights = (encoder.architecture.name, encoder.weights, _state(encoder.weights))
        sha256 = self._known.get(weights)
        digests = [hashlib.sha256(image.content).digest() for image in images]
        rows: list[Row | None] = [None] * len(images)
        if sha256 is not None:
            keys = _keys(fields, encoder, sha256, digests)
            found = self._try(lambda file: file.get(keys)) or {}
            rows = [_load(found[key]) if key in found else None for key in keys]
        self._count(rows)
        return Lookup(weights, sha256, digests, rows)

    def complete(
        self, fields: EmbedFields, encoder: ResolvedEncoder, lookup: Lookup, answer: bytes | None
    ) -> bytes:
        """Return an answer for all images of a request, and keep what is new in it.

        Args:
            answer: a worker's, with the images that were missing; None if none was.

        Raises:
            ApiError: 503; the weights have changed since the others were computed.
        """
        if answer is None:
            about = geometry(
                encoder.architecture, fields.options, fields.encoder, str(lookup.sha256)
            )
            return _join(lookup.rows, {**about, "inference_seconds": 0.0})
        about, tensors = read_geometry(answer), load_tensors(answer)
        sha256 = about["encoder_sha256"]
        self._known[lookup.weights] = sha256
        computed = [
            dict(zip(tensors, row, strict=True)) for row in zip(*tensors.values(), strict=True)
        ]
        missing = [number for number, row in enumerate(lookup.rows) if row is None]
        digests = [lookup.digests[number] for number in missing]
        self._keep(_keys(fields, encoder, sha256, digests), computed)
        if len(missing) == len(lookup.rows):
            return answer
        if sha256 != lookup.sha256:
            detail = "the encoder's weights were replaced meanwhile; ask again"
            raise unavailable("encoder_changed", detail, 1)
        rows = [*lookup.rows]
        for number, row in zip(missing, computed, strict=True):
            rows[number] = row
        return _join(rows, about)

    def _count(self, rows: Sequence[Row | None]) -> None:
        missing = sum(row is None for row in rows)
        with self._lock:
            self.misses += missing
            self.hits += len(rows) - missing

    def _keep(self, keys: Sequence[bytes], rows: Sequence[Row]) -> None:
        values = {key: save_tensors(row) for key, row in zip(keys, rows, strict=True)}
        gone = self._try(lambda file: file.put(values)) or 0
        with self._lock:
            self.evictions += gone

    def _try(self, use: Callable[[LruFile], T]) -> T | None:
        """What comes of using the file; None without one, or if it cannot be used just now."""
        try:
            return use(self._file) if self._file else None
        except (OSError, sqlite3.Error) as error:
            log.warning("the cache of features cannot be used: %s", error)
            return None


def _open(settings: Settings) -> LruFile | None:
    """The file; None if it cannot be used, since the service does without."""
    path = settings.home_folder / "features-cache" / "features.db"
    try:
        return LruFile(path, settings.embed_cache_bytes)
    except (OSError, sqlite3.Error) as error:
        log.warning("no features are kept until the next start: %s cannot be used: %s", path, error)
        return None


def _load(value: bytes) -> Row | None:
    """What was kept; None if it is damaged: it is computed again, and then kept instead."""
    try:
        return load_tensors(value)
    except SafetensorError as error:
        log.warning("features in the cache are damaged: %s", error)
        return None


def _state(weights: str) -> tuple[int, ...]:
    """What changes when a weights file does; nothing of weights that are no file."""
    try:
        found = Path(weights).stat()
    except OSError:  # what is wrong with it, the worker says
        return ()
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _keys(
    fields: EmbedFields, encoder: ResolvedEncoder, sha256: str, digests: Sequence[bytes]
) -> list[bytes]:
    how = geometry(encoder.architecture, fields.options, "", sha256)
    made_by = [_VERSION, CONTRACT_VERSION, how]
    prefix = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode())
    keys = []
    for digest in digests:
        key = prefix.copy()
        key.update(digest)
        keys.append(key.digest())
    return keys


def _join(rows: Sequence[Row | None], about: dict[str, Any]) -> bytes:
    """An answer as a worker gives it."""
    whole = [row for row in rows if row is not None]
    tensors = {name: np.stack([row[name] for row in whole]) for name in whole[0]}
    metadata = {"contract": str(CONTRACT_VERSION), "paka": json.dumps(about)}
    return bytes(save_tensors(tensors, metadata))
