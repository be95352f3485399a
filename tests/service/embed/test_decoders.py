"""Images that harm or hold up the processes that decode them."""

import importlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.app import create_app
from tests.service.embed.asking import ask

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def evil(monkeypatch):
    """The module `decode_or_die`, whose function the API has called in its decoding processes."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])  # children find it by this too
    module = importlib.import_module("decode_or_die")
    monkeypatch.setattr("service.embed.service.prepare_image", module.prepare_or_die)
    return module


def test_an_image_that_ends_its_decoder_is_refused_and_no_other_request_notices(
    settings, serving, worker, halves, evil, assert_problem
):
    settings = settings.model_copy(update={"decode_processes": 2, "decode_seconds": 1})
    with serving(create_app(settings)) as api, ThreadPoolExecutor(7) as clients:
        contents = (evil.CRASH, evil.HANG, evil.EAT)
        refused = [clients.submit(ask, api, content) for content in contents]
        served = [clients.submit(ask, api, halves) for _ in range(4)]
        for response in refused:
            assert_problem(response.result(), 422, "image_unreadable", "images.0")
        assert [response.result().status_code for response in served] == [200] * 4


def ask_until_admitted(api, image):
    while (response := ask(api, image)).status_code == 429:
        pass
    return response


def test_while_too_many_images_wait_to_be_decoded_more_are_refused(
    settings, serving, worker, halves, evil, assert_problem
):
    update = {"decode_processes": 1, "decode_seconds": 2, "decode_queue_limit": 1}
    with (
        serving(create_app(settings.model_copy(update=update))) as api,
        ThreadPoolExecutor(1) as clients,
    ):
        hanging = clients.submit(ask_until_admitted, api, evil.HANG)
        until = time.monotonic() + 10
        while (response := ask(api, halves)).status_code == 200 and time.monotonic() < until:
            pass
        assert_problem(response, 429, "decoders_busy")
        assert response.headers["retry-after"] == "1"
        assert_problem(hanging.result(), 422, "image_unreadable")
