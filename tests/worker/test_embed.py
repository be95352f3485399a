"""Answering embedding requests over a real Redis with a real encoder."""

import hashlib
import json
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.numpy import load

from paka.encoder import DenseEncoder
from paka.errors import EncoderError
from paka.features import extract
from paka.options import FeatureOptions
from paka.weights import save_weights
from service.store.bucket import Bucket
from service.store.contract import (
    CONTRACT_VERSION,
    EMBED_AWAKE_KEY,
    EMBED_PENDING_KEY,
    EmbedError,
    EmbedRequest,
    read_metadata,
    result_key,
)
from tests.worker.running import wait_for
from worker.batch_counts import BatchCounts
from worker.embed import Embedder, group_alike, run_batches
from worker.encoders import WarmEncoder, WarmEncoders
from worker.inputs import fetch_weights


def request(name, images=1, size=64, seconds=60, weights="random", **options):
    rng = np.random.default_rng(sum(name.encode()))
    chosen = FeatureOptions.model_validate({"size": size, "dtype": "float32", **options})
    return EmbedRequest(
        id=name,
        encoder="mine",
        architecture="test_vit",
        weights=weights,
        options=chosen.model_dump(mode="json"),
        expires_at=time.time() + seconds,
        pixels=rng.integers(0, 256, (images, size, size, 3), dtype=np.uint8),
        boxes=rng.random((images, 4), dtype=np.float32),
        original_sizes=rng.integers(1, 99, (images, 2), dtype=np.int32),
    )


@pytest.fixture
def embedder(redis):
    return Embedder(redis, WarmEncoders(limit=2), threading.Event())


@pytest.fixture
def ask(redis, embedder):
    """Puts requests in the queue, has them answered, returns the answers by id."""

    def run(*requests):
        for one in requests:
            redis.rpush(EMBED_PENDING_KEY, one.to_bytes())
        embedder.drain()
        return {one.id: redis.lpop(result_key(one.id)) for one in requests}

    return run


def test_what_comes_soon_afterwards_needs_no_message(redis, embedder, monkeypatch):
    monkeypatch.setattr("worker.embed.LINGER_SECONDS", 5.0)
    redis.rpush(EMBED_PENDING_KEY, request("a").to_bytes())
    with ThreadPoolExecutor(1) as pool:
        answered = pool.submit(embedder.drain)
        for name in ("a", "b"):
            assert redis.blpop([result_key(name)], timeout=10)
            wait_for(lambda: 0 < redis.pttl(EMBED_AWAKE_KEY) <= 10_000)  # or it could be killed
            if name == "a":
                redis.rpush(EMBED_PENDING_KEY, request("b").to_bytes())
        embedder.stopping.set()
        redis.rpush(EMBED_PENDING_KEY, b"garbage")  # ends the pause
        assert answered.result(timeout=10) == 2
    assert not redis.exists(EMBED_AWAKE_KEY)


def test_who_came_while_it_went_back_to_sleep_is_answered(redis, embedder, monkeypatch):
    """The client saw the key, and so sends no message."""

    def late(*_):
        redis.rpush(EMBED_PENDING_KEY, request("a").to_bytes())
        return delete(EMBED_AWAKE_KEY)

    delete = redis.delete
    monkeypatch.setattr(embedder.redis, "delete", late)
    monkeypatch.setattr(embedder, "_answer", lambda group: monkeypatch.undo())
    assert embedder.drain() == 1


def test_an_answer_is_what_the_encoder_gives(ask):
    one = request("a", images=3)
    answer = ask(one)["a"]
    tensors = load(answer)
    expected = extract(
        DenseEncoder("test_vit", "random").eval(), one.pixels, FeatureOptions(dtype="float32")
    )
    assert np.allclose(tensors["patch_tokens"], expected.patch_tokens, atol=1e-5)
    assert np.allclose(tensors["image_features"], expected.image_features, atol=1e-5)
    assert np.array_equal(tensors["boxes"], one.boxes)
    assert np.array_equal(tensors["original_sizes"], one.original_sizes)
    about = json.loads(read_metadata(answer)["paka"])
    assert about["encoder"] == "mine"
    assert about["grid"] == [4, 4]
    assert about["inference_seconds"] > 0


def test_requests_that_wait_together_are_each_given_their_own(ask):
    requests = [
        request("two", images=2),
        request("three", images=3),
        request("small", size=32),
        request("unit", normalize=True),
    ]
    together = ask(*requests)
    for one in requests:
        alone, found = load(ask(one)[one.id]), load(together[one.id])
        assert np.allclose(alone["patch_tokens"], found["patch_tokens"], atol=1e-4)
        assert len(found["patch_tokens"]) == len(one.pixels)


def test_an_expired_request_is_passed_over(ask):
    answers = ask(request("late", seconds=-1), request("in time"))
    assert answers["late"] is None
    assert answers["in time"] is not None


def test_one_bad_request_does_not_take_its_neighbours_along(ask, redis):
    redis.rpush(EMBED_PENDING_KEY, b"garbage")
    answers = ask(request("bad", weights="/no/such.safetensors"), request("good"))
    error = EmbedError.from_bytes(answers["bad"])
    assert error.code == "encoder_unavailable"
    assert "/no/such.safetensors" in error.message
    assert EmbedError.from_bytes(answers["good"]) is None


def test_an_unexpected_error_is_answered_too(ask, embedder):
    def fail(*_):
        raise ZeroDivisionError("why")

    embedder.encoders.get = fail
    assert EmbedError.from_bytes(ask(request("a"))["a"]) == ("internal", "ZeroDivisionError: why")


def test_a_wake_up_that_finds_nothing_does_nothing(embedder):
    assert embedder.drain() == 0


@pytest.fixture
def waiting(redis, embedder, monkeypatch):
    """Five requests of three images at four a batch; how many were left as each batch began."""
    monkeypatch.setattr("worker.embed.BATCH_IMAGES", 4)
    for name in "abcde":
        redis.rpush(EMBED_PENDING_KEY, request(name, images=3, size=32).to_bytes())
    left, load_encoder = [], embedder.encoders.get

    def note(*encoder):
        left.append(redis.llen(EMBED_PENDING_KEY))
        return load_encoder(*encoder)

    monkeypatch.setattr(embedder.encoders, "get", note)
    return left


def test_about_a_batch_is_taken_at_once(embedder, waiting):
    assert embedder.drain() == 5
    assert waiting == [3, 1, 0]


def test_a_worker_that_should_leave_answers_what_it_has_taken_and_no_more(redis, embedder, waiting):
    load_encoder = embedder.encoders.get

    def leave(*encoder):
        embedder.stopping.set()
        return load_encoder(*encoder)

    embedder.encoders.get = leave
    assert embedder.drain() == 2
    assert waiting == [3]
    assert redis.exists(result_key("a"), result_key("b"), result_key("c")) == 2
    assert redis.llen(EMBED_PENDING_KEY) == 3


def test_answers_do_not_stay_for_ever(redis, embedder):
    redis.rpush(EMBED_PENDING_KEY, request("a").to_bytes())
    embedder.drain()
    assert 0 < redis.ttl(result_key("a")) <= 60


def test_only_what_is_alike_is_grouped():
    requests = [request("a"), request("b", size=32), request("c"), request("d", weights="/x")]
    groups = [[one.id for one in group] for group in group_alike(requests)]
    assert groups == [["a", "c"], ["b"], ["d"]]


class SmallMemory(torch.nn.Module):
    """An encoder for which more than two images at once are too many."""

    def __init__(self):
        super().__init__()
        self.inner = DenseEncoder("test_vit", "random").eval()
        self.mean, self.normalise, self.batches = self.inner.mean, self.inner.normalise, []
        self.failed = []

    def forward(self, images, *options):
        self.batches.append(len(images))
        assert not any(alive() is not None for alive in self.failed), "its memory is still held"
        if len(images) > 2:
            self.failed.append(weakref.ref(images))
            raise torch.OutOfMemoryError("too much")
        return self.inner(images, *options)


def test_batches_shrink_until_they_fit():
    encoder, pixels = SmallMemory(), request("a", images=5).pixels
    counts = BatchCounts()
    patches, _ = run_batches(WarmEncoder(encoder, ""), pixels, FeatureOptions(), 8, counts)
    assert len(patches) == 5
    assert encoder.batches == [5, 4, 2, 2, 1]
    assert (counts.passes, counts.images) == ([1, 2, 0, 0, 0, 0, 0], 5)


def test_encoders_leave_in_the_order_of_their_last_use(monkeypatch):
    built = []
    real = DenseEncoder.__init__

    def count(self, architecture, weights):
        built.append(architecture)
        real(self, architecture, weights)

    monkeypatch.setattr(DenseEncoder, "__init__", count)
    encoders = WarmEncoders(limit=2)
    names = ("test_vit", "test_vit2", "test_vit", "test_vit3", "test_vit", "test_vit2")
    for name in names:
        encoders.get(name, "random")
    assert built == ["test_vit", "test_vit2", "test_vit3", "test_vit2"]


def test_a_weights_file_that_has_changed_is_read_anew(tmp_path):
    path, encoders = tmp_path / "encoder.safetensors", WarmEncoders(limit=2)
    vit = DenseEncoder("test_vit", "random").vit
    save_weights(vit, path)
    before = encoders.get("test_vit", str(path))
    assert encoders.get("test_vit", str(path)) is before
    with torch.no_grad():
        vit.norm.bias.add_(1)
    save_weights(vit, path)
    assert encoders.get("test_vit", str(path)).sha256 != before.sha256
    path.unlink()
    with pytest.raises(EncoderError):
        encoders.get("test_vit", str(path))


def test_a_request_of_another_version_is_answered_at_once(ask, monkeypatch):
    monkeypatch.setattr("service.store.contract.CONTRACT_VERSION", CONTRACT_VERSION + 1)
    newer = request("newer").to_bytes()
    monkeypatch.undo()
    answers = ask(Sent("newer", newer), request("mine"))
    error = EmbedError.from_bytes(answers["newer"])
    assert error.code == "worker_outdated"
    assert "update the older of the two" in error.message
    assert EmbedError.from_bytes(answers["mine"]) is None


class Sent(NamedTuple):
    id: str
    data: bytes

    def to_bytes(self):
        return self.data


def test_weights_in_a_bucket_are_fetched_once(redis, bucket_url, away, tmp_path):
    path = "jobs/job_01/final/encoder.safetensors"
    there, here = Bucket(bucket_url, tmp_path / "there"), Bucket(bucket_url, tmp_path / "here")
    (there.folder / path).parent.mkdir(parents=True)
    save_weights(DenseEncoder("test_vit", "random").vit, there.folder / path)
    there.push(there.folder / path)
    sha256 = hashlib.sha256((there.folder / path).read_bytes()).hexdigest()
    find = partial(fetch_weights, here)
    embedder = Embedder(redis, WarmEncoders(1, find), threading.Event())

    def ask(name, reference):
        redis.rpush(EMBED_PENDING_KEY, request(name, weights=reference).to_bytes())
        embedder.drain()
        return redis.lpop(result_key(name))

    reference = f"artifact:{path}#{sha256}"
    assert EmbedError.from_bytes(ask("a", reference)) is None
    assert (here.folder / path).read_bytes() == (there.folder / path).read_bytes()
    gone = EmbedError.from_bytes(ask("b", reference.replace("final", "gone")))
    assert gone.code == "encoder_unavailable"
    away()
    assert EmbedError.from_bytes(ask("c", reference)) is None  # it is in memory
    problem = EmbedError.from_bytes(ask("d", reference.replace("final", "other")))
    assert problem.code == "artifacts_unavailable"
    assert "Could not connect" in problem.message
