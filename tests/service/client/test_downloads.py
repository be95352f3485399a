"""Downloads that break off, from a real server."""

import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from service.client import Checkpoint, ConnectionFailed, DownloadError
from service.client.schemas import CheckpointFile

CONTENT = bytes(range(256)) * 2000
HALF = len(CONTENT) // 2


class Handler(BaseHTTPRequestHandler):
    """Sends the weights; the first times it closes the connection halfway."""

    def do_GET(self):
        self.server.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        breaks = self.server.asked <= self.server.broken
        self.wfile.write(CONTENT[:HALF] if breaks else CONTENT)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.broken = 0, 0
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def checkpoint():
    """One whose weights the server sends."""
    file = CheckpointFile(sha256=hashlib.sha256(CONTENT).hexdigest(), bytes=len(CONTENT))
    files = {"encoder.safetensors": file}
    return Checkpoint.model_construct(step=1, encoder="/weights", files=files)


def url_of(server):
    return f"http://127.0.0.1:{server.server_port}"


def test_a_download_that_breaks_off_begins_again(make_client, server, tmp_path):
    server.broken = 2
    path = make_client(url_of(server)).download_weights(checkpoint(), tmp_path / "weights")
    assert path.read_bytes() == CONTENT and list(tmp_path.iterdir()) == [path]
    assert server.asked == 3


def test_one_that_always_breaks_off_says_how_far_it_came(make_client, server, tmp_path):
    server.broken = 9
    with pytest.raises(DownloadError, match=f"/weights broke off after {HALF} bytes .*; try again"):
        make_client(url_of(server)).download_weights(checkpoint(), tmp_path / "weights")
    assert server.asked == 4 and not list(tmp_path.iterdir())


def test_a_download_that_does_not_begin_says_that_nothing_answers(make_client, tmp_path):
    with pytest.raises(ConnectionFailed, match="paka-server up"):
        make_client(retries=0).download_weights(checkpoint(), tmp_path / "weights")
    assert not list(tmp_path.iterdir())
