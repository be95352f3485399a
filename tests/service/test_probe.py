import json
import os
import socket
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from service import probe
from service.store.contract import worker_key
from service.store.settings import Settings


@contextmanager
def http_server(status):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/ready" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        yield Settings(port=server.server_port)
        server.shutdown()


@pytest.mark.parametrize(("status", "answers"), [(200, True), (503, False), (404, False)])
def test_the_api_answers_if_its_status_is_a_success(status, answers):
    with http_server(status) as settings:
        assert probe.api_answers(settings, "/ready") is answers


def test_an_api_that_is_not_there_does_not_answer(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        assert not probe.api_answers(Settings(port=unused.getsockname()[1]), "/ready")


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:1")
    with http_server(200) as settings:
        assert probe.api_answers(settings, "/ready")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("lab.example", "http://lab.example:8000"),
    ],
)
def test_the_address_is_one_that_a_client_can_use(host, address):
    assert probe.address(Settings(host=host)) == address


def announce(redis, kind, host, pid=None):
    redis.set(worker_key(kind, "name"), json.dumps({"host": host, "pid": pid or os.getpid()}))


def test_a_worker_of_this_host_is_found(redis, redis_url):
    settings = Settings(redis_url=redis_url)
    announce(redis, "embed", socket.gethostname())
    assert probe.worker_is_here(settings, "embed")
    assert not probe.worker_is_here(settings, "jobs")


def test_a_worker_of_another_host_does_not_count(redis, redis_url):
    announce(redis, "jobs", "another-host")
    assert not probe.worker_is_here(Settings(redis_url=redis_url), "jobs")


def test_a_worker_that_was_killed_does_not_count_though_its_announcement_stays(redis, redis_url):
    ended = subprocess.Popen(["true"])
    ended.wait()
    announce(redis, "jobs", socket.gethostname(), ended.pid)
    assert not probe.worker_is_here(Settings(redis_url=redis_url), "jobs")


def test_without_redis_there_is_no_worker(tmp_path):
    assert not probe.worker_is_here(Settings(home=tmp_path), "jobs")


def test_a_machine_without_nvidia_smi_has_no_gpus_to_lose(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert probe.gpus_answer()


@pytest.mark.parametrize(("status", "answer"), [(0, True), (255, False)])
def test_gpus_answer_if_nvidia_smi_can_list_them(tmp_path, monkeypatch, status, answer):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f'#!/bin/sh\n[ "$1" = -L ] && exit {status}\nexit 9\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert probe.gpus_answer() is answer
