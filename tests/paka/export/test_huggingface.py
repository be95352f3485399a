import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import timm
import torch
from huggingface_hub import constants

from paka.encoder import DenseEncoder
from paka.errors import ExportError
from paka.export import huggingface as target
from paka.export.checks import require
from tests.paka.export.conftest import draw


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a push asks; what is committed is kept in `server.files`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        hub = f"http://127.0.0.1:{self.server.server_port}"
        path = self.path.split("?")[0]
        self.server.keys.add(self.headers["Authorization"])
        if path == "/api/repos/create":
            self.server.created = json.loads(body)
            self.answer({"url": f"{hub}/lab/encoder"})
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular"} for file in files]
            self.answer({"files": [{**mode, "shouldIgnore": False} for mode in modes]})
        else:
            assert path == "/api/models/lab/encoder/commit/main"
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.server.files[line["value"]["path"]] = content
            self.answer(
                {"success": True, "commitOid": "0" * 40, "commitUrl": f"{hub}/lab/encoder/commit/0"}
            )

    def answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.files, server.keys, server.created = {}, set(), None
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_timm_loads_the_folder_and_gives_the_encoders_features(small, tmp_path):
    target.write(small, tmp_path)
    require(target.check(small, tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architecture"] == "test_vit"
    assert config["num_classes"] == 0
    assert "license" not in config["pretrained_cfg"]
    assert str(tmp_path) not in json.dumps(config)
    vit = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    images = torch.rand(1, 3, 48, 80)
    with torch.inference_mode():
        tokens = vit.forward_features(images)
        expected = small(images).patch_tokens
    assert torch.equal(tokens[:, 1:], expected.flatten(1, 2))


def test_the_starter_is_exported_in_the_words_of_a_timm_that_does_not_know_it(tmp_path):
    encoder = draw(DenseEncoder("vit_starter_patch16_224", "random"))
    target.write(encoder, tmp_path)
    assert "starter" not in (tmp_path / "config.json").read_text()
    require(target.check(encoder, tmp_path))


def test_a_push_makes_the_repository_and_uploads_every_file(hub, tmp_path):
    (tmp_path / "onnx").mkdir()
    files = {"README.md": b"# A card", "model.safetensors": b"weights", "onnx/encoder.onnx": b"o"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    address = target.push(tmp_path, "lab/encoder")
    assert address == f"{constants.ENDPOINT}/lab/encoder"
    assert hub.files == files
    assert hub.created["name"] == "encoder"
    assert hub.created["organization"] == "lab"
    # The hub's client says either of them.
    assert hub.created.get("private") or hub.created.get("visibility") == "private"
    assert hub.keys == {"Bearer hf_secret"}


def test_a_hub_that_cannot_be_reached_says_how_to_push_later(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ExportError, match=r"complete, but could not.*hf upload lab/encoder "):
        target.push(tmp_path, "lab/encoder")
