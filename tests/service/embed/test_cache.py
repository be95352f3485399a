"""`POST /embed` where features are kept."""

import json
import sqlite3
from contextlib import ExitStack

import numpy as np
import pytest
from safetensors.numpy import load

from paka.options import FeatureOptions
from service.app import create_app
from service.embed import cache, pending
from service.store.contract import EMBED_PENDING_KEY, read_metadata
from tests.service.embed.asking import ENCODER, ask

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

OTHERS = {
    "size": "48",
    "resize": "crop",
    "layers": "-2,-1",
    "dtype": "float32",
    "normalize": "true",
    "pooling": "mean",
}
"""Of every option another value than `ask` sends."""
assert OTHERS.keys() == FeatureOptions.model_fields.keys()


@pytest.fixture
def keeping(settings):
    return settings.model_copy(update={"embed_cache_bytes": 2**20})


@pytest.fixture
def api(keeping, serving):
    with serving(create_app(keeping)) as client:
        yield client


@pytest.fixture
def known(api, worker, halves):
    """An image whose features are kept."""
    ask(api, halves)
    worker.requests.clear()
    return halves


def counts(api):
    """The cache's metrics by name and label."""
    lines = api.get("/metrics").text.splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("paka_embed_cache_"))
    return {name.removeprefix("paka_embed_cache_"): float(value) for name, value in found.items()}


def test_an_image_is_computed_once_and_its_answer_stays_the_same(api, worker, halves, redis):
    first, second = ask(api, halves), ask(api, halves)
    assert len(worker.requests) == 1
    mine, kept = load(first.content), load(second.content)
    assert mine.keys() == kept.keys()
    for name in mine:
        assert mine[name].dtype == kept[name].dtype
        assert np.array_equal(mine[name], kept[name])
    assert read_metadata(second.content)["contract"] == read_metadata(first.content)["contract"]
    assert float(second.headers["x-inference-time"]) == 0
    assert redis.llen(EMBED_PENDING_KEY) == 0


@pytest.mark.parametrize("accept", ["application/json", "application/x-npy"])
def test_what_is_kept_is_answered_in_every_format(api, known, accept):
    response = ask(api, known, accept)
    assert (response.status_code, response.headers["content-type"]) == (200, accept)


def test_no_worker_is_needed_for_what_is_kept(
    keeping, serving, embed_worker, halves, jpeg, assert_problem, monkeypatch
):
    monkeypatch.setattr(pending, "LOOK_SECONDS", 0.01)  # that there was one is soon forgotten
    with serving(create_app(keeping)) as api:
        ask(api, halves)
        embed_worker.redis.flushdb()
        assert ask(api, halves).status_code == 200
        assert_problem(ask(api, jpeg), 503, "no_embed_worker")


def test_only_the_others_of_a_request_are_computed(api, worker, known, jpeg):
    files = [("images", (name, data)) for name, data in (("a", jpeg), ("b", known), ("c", jpeg))]
    data = {"encoder": ENCODER, "size": "32", "resize": "stretch"}
    found = load(api.post("/embed", files=files, data=data).content)
    [request] = worker.requests
    assert len(request.pixels) == 2
    assert found["original_sizes"].tolist() == [[320, 320], [64, 32], [320, 320]]
    alone = load(ask(api, known).content)["patch_tokens"][0]
    assert np.array_equal(found["patch_tokens"][1], alone)
    assert np.array_equal(found["patch_tokens"][0], found["patch_tokens"][2])


@pytest.mark.parametrize(("option", "value"), OTHERS.items())
def test_another_option_is_another_result(api, worker, known, option, value):
    assert ask(api, known, **{option: value}).status_code == 200
    assert len(worker.requests) == 1


def test_another_architecture_and_another_version_are_other_results(
    api, worker, known, monkeypatch
):
    ask(api, known, encoder="test_vit2@random")
    monkeypatch.setattr(cache, "_VERSION", "another")
    ask(api, known)
    assert [one.architecture for one in worker.requests] == ["test_vit2", "test_vit"]


def test_changed_weights_are_other_weights(api, worker, halves, settings):
    weights = settings.roots[0] / "encoder.safetensors"
    encoder = f"test_vit@{weights}"
    for content, computed in ((b"1", 1), (b"1", 1), (b"22", 2), (b"22", 2)):
        if not weights.exists() or weights.read_bytes() != content:
            weights.write_bytes(content)
        assert ask(api, halves, encoder=encoder).status_code == 200
        assert len(worker.requests) == computed


def test_the_same_weights_under_another_name_are_the_same(api, worker, halves, jpeg, settings):
    for name in "ab":
        (settings.roots[0] / f"{name}.safetensors").write_bytes(b"1")
    encoders = [f"test_vit@{settings.roots[0] / name}.safetensors" for name in "ab"]
    ask(api, halves, encoder=encoders[0])
    ask(api, jpeg, encoder=encoders[1])  # from here on its sha256 is known
    response = ask(api, halves, encoder=encoders[1])
    assert len(worker.requests) == 2
    assert json.loads(read_metadata(response.content)["paka"])["encoder"] == encoders[1]


def test_weights_that_are_replaced_meanwhile_give_no_mixture(
    api, worker, known, jpeg, monkeypatch, assert_problem
):
    monkeypatch.setattr(worker, "sha256", lambda _: "of others")
    files = [("images", ("a", known)), ("images", ("b", jpeg))]
    data = {"encoder": ENCODER, "size": "32", "resize": "stretch"}
    response = api.post("/embed", files=files, data=data)
    assert_problem(response, 503, "encoder_changed")
    assert api.post("/embed", files=files, data=data).status_code == 200


def test_api_processes_share_what_is_kept(keeping, serving, worker, halves, jpeg):
    with ExitStack() as stack:
        one, two = (stack.enter_context(serving(create_app(keeping))) for _ in range(2))
        ask(one, halves)
        ask(two, jpeg)  # from here on it knows the weights
        assert ask(two, halves).status_code == 200
        assert len(worker.requests) == 2


def test_what_is_kept_is_counted(api, worker, halves, jpeg):
    for image in (halves, halves, jpeg):
        ask(api, image)
    found = counts(api)
    assert found['images_total{result="hit"}'] == 1
    assert found['images_total{result="miss"}'] == 2
    assert found["evictions_total"] == 0
    assert 0 < found["bytes"] <= 2**20


def test_without_room_for_it_nothing_is_kept(settings, serving, worker, halves):
    with serving(create_app(settings)) as api:
        ask(api, halves)
        ask(api, halves)
    assert len(worker.requests) == 2
    assert not (settings.home_folder / "features-cache").exists()


def test_a_cache_that_fails_costs_no_answer(api, worker, known, monkeypatch, caplog):
    def fail(*_):
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(cache.LruFile, "get", fail)
    monkeypatch.setattr(cache.LruFile, "put", fail)
    assert ask(api, known).status_code == 200
    assert "disk full" in caplog.text


def test_a_cache_that_cannot_be_opened_costs_no_start(keeping, serving, worker, halves, caplog):
    (keeping.home_folder / "features-cache").write_text("no folder")
    with serving(create_app(keeping)) as api:
        assert ask(api, halves).status_code == 200
    assert "no features are kept until the next start" in caplog.text


def test_features_that_are_damaged_are_computed_again(keeping, api, worker, known):
    with sqlite3.connect(keeping.home_folder / "features-cache" / "features.db") as connection:
        connection.execute("UPDATE entries SET value = zeroblob(size)")
    connection.close()
    for _ in range(2):
        assert ask(api, known).status_code == 200
    assert len(worker.requests) == 1
