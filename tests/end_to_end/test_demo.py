"""`make demo`, with the service of these tests and a training of two steps."""

from contextlib import contextmanager
from functools import partialmethod

import pytest
from PIL import Image

from service import demo
from service.client import PakaClient


@pytest.mark.parametrize("service", ["sqlite"], indirect=True)
def test_it_leaves_what_it_says(service, labelled_photos, tmp_path, monkeypatch, capsys):
    @contextmanager
    def server(_home, _photos):
        with PakaClient(str(service.base_url)) as client:
            yield client

    short = partialmethod(PakaClient.train, optim={"max_steps": 2}, runtime={"workers": 0})
    monkeypatch.setattr(PakaClient, "train", short)
    monkeypatch.setattr(demo, "server", server)
    monkeypatch.setattr(demo, "drawn_scenes", lambda _: labelled_photos)
    monkeypatch.chdir(tmp_path)
    demo.main(output=tmp_path / "out")
    told = capsys.readouterr().out.split()
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {
        "report.html", "features.png", "loss.png", "before.safetensors", "after.safetensors",
    }  # fmt: skip
    assert {str(tmp_path / "out" / name) for name in left} <= set(told)
    for picture in ("features.png", "loss.png"):
        with Image.open(tmp_path / "out" / picture) as image:
            image.verify()
    assert "miou:" in told
