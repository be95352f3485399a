"""A server elsewhere: a real API, and certificates that `openssl` makes."""

import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from paka.doctor.finding import Level, Request
from service.doctor import remote

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def look(url, key=None):
    return {finding.check: finding for finding in remote.check(Request(url=str(url), key=key))}


@sqlite_only
def test_a_server_is_reached_lets_the_key_in_and_is_ready(ask, people, all_workers):
    url = ask(None, "GET", "/health").request.url.join("/")
    found = look(url, people["owner"])
    assert {name: finding.level for name, finding in found.items()} == {
        "server": Level.OK,
        "key": Level.OK,
        "ready": Level.OK,
    }
    assert look(url)["key"].level is Level.NOT_APPLICABLE
    refused = look(url, "paka_" + 64 * "0")["key"]
    assert refused.level is Level.PROBLEM
    assert "paka_0" not in str(refused)


@sqlite_only
def test_a_server_without_workers_is_not_ready(ask):
    found = look(ask(None, "GET", "/health").request.url.join("/"))["ready"]
    assert found.level is Level.PROBLEM
    assert "workers.jobs" in found.found


def test_a_server_that_is_away_is_a_problem():
    found = look("http://127.0.0.1:1")
    assert {name: finding.level for name, finding in found.items()} == {"server": Level.PROBLEM}


@pytest.mark.parametrize("url", ["ftp://x", "http://h:80a0", "h:99999", "https://", "http://[::1"])
def test_an_address_that_cannot_be_one_is_a_problem(url):
    found = look(url)
    assert {name: finding.level for name, finding in found.items()} == {"address": Level.PROBLEM}
    assert url in found["address"].found


@sqlite_only
def test_a_key_that_cannot_be_sent_is_a_problem_and_not_shown(ask, people, all_workers):
    url = ask(None, "GET", "/health").request.url.join("/")
    assert look(url, people["owner"] + "\r\n")["key"].level is Level.OK
    found = look(url, people["owner"] + "…")
    assert (found["key"].level, found["ready"].level) == (Level.PROBLEM, Level.OK)
    assert people["owner"] not in str(found)


def test_keys_in_plain_text_over_a_network_are_a_warning():
    (found,) = remote.certificate("lab.example", 80, "http")
    assert found.level is Level.WARNING
    assert list(remote.certificate("127.0.0.1", 80, "http")) == []


class Moved(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(308)
        self.send_header("Location", f"https://paka.lab.example{self.path}")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_server_that_sends_elsewhere_names_the_place(serve):
    found = look(serve(Moved))["server"]
    assert found.level is Level.PROBLEM
    assert found.found == "answers 308: it is at https://paka.lab.example"
    assert found.remedy.endswith("--url https://paka.lab.example")


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a page")

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """Starts a server of this machine, with TLS if a context is given; returns its address."""
    servers = []

    def start(handler, context=None):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # clients that do not trust it break off
        threading.Thread(target=server.serve_forever).start()
        servers.append(server)
        return f"{'https' if context else 'http'}://localhost:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def https(serve, tmp_path, monkeypatch):
    """Starts an HTTPS server whose certificate is valid for some days, and trusted or not."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")

    def start(days, trusted=True, name="localhost"):
        key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
        command += ["ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate]
        command += ["-days", str(days), "-subj", "/CN=x", "-addext", f"subjectAltName=DNS:{name}"]
        subprocess.run(command, check=True, capture_output=True)
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return serve(Page, context)

    return start


def test_a_certificate_that_is_trusted_and_fresh_is_well_and_a_page_is_no_service(https):
    found = look(https(365))
    assert (found["TLS"].level, found["TLS"].found) == (Level.OK, "valid for 365 more days")
    assert found["server"].level is Level.PROBLEM
    assert "no PaKA Service" in found["server"].found


def test_a_certificate_that_nobody_vouches_for_is_a_problem(https):
    found = look(https(365, trusted=False))
    assert found["TLS"].level is Level.PROBLEM
    assert "self-signed" in found["TLS"].found
    assert "SSL_CERT_FILE" in found["TLS"].remedy


def test_a_certificate_of_another_name_is_a_problem(https):
    assert "Hostname mismatch" in look(https(365, name="other.example"))["TLS"].found


def test_a_certificate_that_ends_soon_is_a_warning(https, monkeypatch):
    url = https(90)
    now = remote.time.time()
    monkeypatch.setattr(remote.time, "time", lambda: now + 80 * 86400)
    assert look(url)["TLS"].level is Level.WARNING
    monkeypatch.setattr(remote.time, "time", lambda: now + 30 * 86400)
    assert look(url)["TLS"].level is Level.OK
