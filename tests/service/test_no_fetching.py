"""No request can make the server fetch something from an address that the user gives."""

import pytest

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

ADDRESSES = [
    "http://127.0.0.1:1/a.safetensors",
    "https://evil.org/model.safetensors",
    "hf-hub:evil/model",
    "hf_hub:evil/model",
    "local-dir:/etc",
    "file:///etc/passwd",
    "ftp://evil.org/a.pth",
    "s3://bucket/a.safetensors",
    "//evil.org/share/a.pth",
    "\\\\evil.org\\share\\a.pth",
    "git+https://evil.org/a",
    "timm/vit_small_patch16_224",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "http://169.254.169.254/latest/meta-data/a.pth",
]


@pytest.fixture
def no_network(monkeypatch):
    """Fails whatever opens a connection to another machine or port than the tests' own servers."""
    import socket

    connected = []
    connect = socket.socket.connect

    def watch(self, address):
        connected.append(address)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watch)
    monkeypatch.setattr(socket, "getaddrinfo", _no_names(connected, socket.getaddrinfo))
    return connected


def _no_names(asked, resolve):
    def watch(host, *arguments, **options):
        asked.append(host)
        return resolve(host, *arguments, **options)

    return watch


def test_an_address_is_refused_wherever_it_is_given(api, folder, labelled, snapshot, no_network):
    before = snapshot()
    for path, body in (request for address in ADDRESSES for request in requests(address)):
        response = api.post(path, json=body)
        assert response.status_code == 422, (path, body, response.text)
    own = {"127.0.0.1", api.base_url.host}
    places = {place[0] if isinstance(place, tuple) else place for place in no_network}
    assert {p for p in places if isinstance(p, str) and not p.startswith("/")} <= own, places
    assert snapshot() == before


def requests(address):
    """Every place of a request in which somebody may write an address."""
    return [
        ("/train", {"dataset": address}),
        ("/train", {"dataset": "photos", "encoder": address}),
        ("/train", {"dataset": "photos", "encoder": f"test_vit@{address}"}),
        ("/train", {"dataset": "photos", "encoder": {"architecture": address}}),
        (
            "/train",
            {"dataset": "photos", "encoder": {"architecture": "test_vit", "weights": address}},
        ),
        ("/train", {"dataset": "photos", "evaluate": {"dataset": address}}),
        ("/train", {"dataset": "photos", "preset": address}),
        ("/train", {"dataset": "photos", "logging": {"mlflow": address}}),
        ("/train", {"dataset": "photos", "logging": {"mlflow_experiment": address}}),
        ("/train", {"dataset": "photos", "logging": {"mlflow_uri": address}}),
        ("/evaluate", {"dataset": address, "encoders": ["test_vit@random"]}),
        ("/evaluate", {"dataset": "labelled", "encoders": [address]}),
        ("/evaluate", {"dataset": "labelled", "encoders": [f"test_vit@{address}"]}),
        ("/embed", {"dataset": address, "encoder": "test_vit@random"}),
        ("/embed", {"dataset": "photos", "encoder": address}),
        ("/embed", {"images": ["aGk="], "encoder": f"test_vit@{address}"}),
        ("/embed", {"images": [address]}),
    ]
