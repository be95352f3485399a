"""What the API and the workers agree on: queues, task names, Redis keys, embedding messages.

A job's message carries only its id; the database says the rest. An embedding request carries its
pixels: the API decodes and crops, the worker only runs the encoder, so bytes cross processes once.
Requests wait in a Redis list. The Celery message is a wake-up: the worker takes all that waits,
runs what fits together as one batch, and answers each request in a list of its own.

`CONTRACT_VERSION` goes up with every change that a worker of the version before could not follow:
in the embedding messages, or in what a job's config means. A worker leaves alone what is newer than
itself: it answers such an embedding request with an error, and does not claim such a job.
"""

import json
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

CONTRACT_VERSION = 2

JOBS_QUEUE = "paka.jobs"
EMBED_QUEUE = "paka.embed"
RUN_JOB_TASK = "paka.run_job"
EMBED_TASK = "paka.embed_pending"

EMBED_PENDING_KEY = "paka:embed:pending"
EMBED_AWAKE_KEY = "paka:embed:awake"
"""Is there while a worker looks for requests by itself, which then need no message to wake it."""
RESULT_SECONDS = 60
WORKER_KEY_PREFIX = "paka:worker:"
WORKER_ALIVE_SECONDS = 15


def result_key(request_id: str) -> str:
    """The Redis list on which the answer to one embedding request arrives."""
    return f"paka:embed:result:{request_id}"


def worker_key(kind: str, name: str) -> str:
    """The Redis key that a live worker of `kind` (`jobs` or `embed`) keeps from expiring."""
    return f"{WORKER_KEY_PREFIX}{kind}:{name}"


class EmbedRequest(NamedTuple):
    """One embedding request, decoded and cropped.

    `pixels` uint8 (B, H, W, 3); `boxes` float32 (B, 4) and `original_sizes` int32 (B, 2) as
    (width, height) only travel through; `options` are `paka.options.FeatureOptions` as a dict;
    `expires_at` in Unix seconds; `encoder` the reference the user gave; `source` where it came
    from, for logs and traces: `request_id`, and `traceparent` if there is a trace.
    """

    id: str
    encoder: str
    architecture: str
    weights: str
    options: dict[str, Any]
    expires_at: float
    pixels: np.ndarray
    boxes: np.ndarray
    original_sizes: np.ndarray
    source: dict[str, str] | None = None

    def to_bytes(self) -> bytes:
        """Serialise as safetensors; id, contract and source stand apart, for workers of every
        version: they do not read what they do not know there.
        """
        fields = self._asdict()
        source = fields.pop("source")
        head = {k: v for k, v in fields.items() if not isinstance(v, np.ndarray)}
        # Of an array that is a view, safetensors would write the bytes in the wrong order.
        tensors = {
            k: np.ascontiguousarray(v) for k, v in fields.items() if isinstance(v, np.ndarray)
        }
        envelope = {"id": self.id, "contract": str(CONTRACT_VERSION), "source": json.dumps(source)}
        return bytes(save_tensors(tensors, {**envelope, "request": json.dumps(head)}))

    @classmethod
    def from_bytes(cls, data: bytes) -> "EmbedRequest":
        """Read what `to_bytes` wrote.

        Raises:
            OutdatedError: it is of another version of the contract.
        """
        metadata = read_metadata(data)
        if (theirs := metadata.get("contract")) != str(CONTRACT_VERSION):
            raise OutdatedError(metadata.get("id"), theirs)
        fields: dict[str, Any] = json.loads(metadata["request"])
        fields.update(load_tensors(data), source=json.loads(metadata.get("source", "null")))
        return cls(**fields)


class OutdatedError(Exception):
    """API and worker are of different versions; `request_id` names the request, if it says so."""

    def __init__(self, request_id: str | None, theirs: str | None) -> None:
        self.request_id = request_id
        super().__init__(
            f"API and embedding worker are of different versions (contract {CONTRACT_VERSION} "
            f"here, {theirs or 'an early one'} there): update the older of the two"
        )


def check_answer(data: bytes) -> None:
    """Raise OutdatedError if an answer, which is no error, is of another version."""
    if (theirs := read_metadata(data).get("contract")) != str(CONTRACT_VERSION):
        raise OutdatedError(None, theirs)


class EmbedError(NamedTuple):
    """Why an embedding request could not be answered; `code` as in the API's problems."""

    code: str
    message: str

    def to_bytes(self) -> bytes:
        """Serialise as a JSON object (an answer that is no error is safetensors)."""
        return json.dumps(self._asdict()).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "EmbedError | None":
        """Read an answer; None if it is no error."""
        return cls(**json.loads(data)) if data[:1] == b"{" else None


def read_metadata(data: bytes) -> dict[str, str]:
    """Return the metadata of a safetensors file held in memory."""
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return metadata
