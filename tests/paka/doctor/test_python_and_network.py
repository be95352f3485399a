import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from paka.doctor import network, python
from paka.doctor.finding import Level, Request


def test_an_old_python_is_a_problem():
    found = python.version((3, 10))
    assert found.level is Level.PROBLEM
    assert "3.11 is needed" in found.found
    assert python.version((3, 13)).level is Level.OK


def test_an_encoding_that_cannot_read_all_names_is_a_warning():
    found = python.encoding("ascii", "ANSI_X3.4-1968")
    assert found.level is Level.WARNING
    assert "LC_ALL=C.UTF-8" in found.remedy
    assert python.encoding("utf-8", "UTF-8").level is Level.OK


def test_the_hub_is_asked_only_on_request(monkeypatch):
    monkeypatch.setattr(network, "hub", lambda url: 1 / 0)
    (found,) = network.check(Request())
    assert (found.level, found.found) == (Level.NOT_APPLICABLE, "not asked")


def test_a_hub_answers_or_does_not(monkeypatch):
    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(403)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("HF_ENDPOINT", url)
        (found,) = network.check(Request(online=True))
        server.shutdown()
    assert (found.level, found.found) == (Level.OK, f"{url} answers (403)")
    found = network.hub(url)  # which is gone now
    assert found.level is Level.PROBLEM
    assert "Connection refused" in found.found
    assert network.hub("no address").level is Level.PROBLEM
