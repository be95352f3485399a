"""Features of many images through the client: split, in flight at once, in order."""

import httpx
import numpy as np
import pytest
from PIL import Image

from service.client import InvalidRequest, read_features

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ENCODER = "test_vit@random"
WHITE = np.full((32, 32, 3), 255, np.uint8)


def colours(count):
    """Images of one colour each, all different."""
    return [np.full((32, 32, 3), 2 * number, np.uint8) for number in range(count)]


def embed(client, images, **options):
    return client.embed(images, ENCODER, size=32, dtype="float32", **options)


def test_images_in_every_form_give_the_same_features(client, embed_worker, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    picture, path = Image.fromarray(pixels), tmp_path / "picture.png"
    picture.save(path)
    found = embed(client, [pixels, picture, path, str(path), path.read_bytes()])
    assert found.patch_tokens.shape == (5, 2, 2, 3) and len(found) == 5
    assert (found.patch_tokens == found.patch_tokens[0]).all()
    assert found.original_sizes.tolist() == [[48, 40]] * 5
    assert found.boxes[0].tolist() == [4, 0, 44, 40]
    assert found.geometry["grid"] == [2, 2] and "inference_seconds" not in found.geometry
    assert (embed(client, path).patch_tokens == found.patch_tokens[:1]).all()
    assert np.asarray(found).shape == found.patch_tokens.shape
    assert np.asarray(found, np.float64).dtype == np.float64
    saved = read_features(found.save(tmp_path / "features.safetensors").read_bytes())
    assert saved.geometry == found.geometry
    assert (saved.image_features == found.image_features).all()


def test_a_rotated_photograph_is_the_same_as_its_file(client, embed_worker, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    path = tmp_path / "turned.png"
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8)[:, None, None], (1, 32, 3))).save(
        path, exif=exif
    )
    with Image.open(path) as picture:
        found = embed(client, [picture, path])
    assert found.original_sizes.tolist() == [[64, 32]] * 2
    assert (found.patch_tokens[0] == found.patch_tokens[1]).all()


def test_many_images_are_split_and_keep_their_order(client, embed_worker):
    images = colours(21)
    found = embed(client, iter(images), batch=4, concurrency=3)
    assert found.patch_tokens[:, 0, 0, 0].tolist() == [2.0 * number for number in range(21)]
    assert sorted(len(request.pixels) for request in embed_worker.requests) == [1, 4, 4, 4, 4, 4]


def test_what_the_server_finds_too_much_is_split_again(client, embed_worker, api, monkeypatch):
    monkeypatch.setattr("service.client.operations.embedding.MAX_BYTES", 10**6)
    found = embed(client, colours(70), batch=70)
    assert found.patch_tokens[:, 0, 0, 0].tolist() == [2.0 * number for number in range(70)]
    assert [len(request.pixels) for request in embed_worker.requests] == [35, 35]


def test_what_a_proxy_finds_too_large_is_split_too(make_client, embed_worker, api):
    def proxy(request):
        if request.content.count(b'name="images"') > 2:
            return httpx.Response(413, html="<h1>413 Request Entity Too Large</h1>")
        answer = api.post("/embed", content=request.content, headers=request.headers)
        return httpx.Response(answer.status_code, content=answer.content)

    found = embed(make_client(transport=httpx.MockTransport(proxy)), colours(4))
    assert found.patch_tokens[:, 0, 0, 0].tolist() == [0, 2, 4, 6]
    assert [len(request.pixels) for request in embed_worker.requests] == [2, 2]


def test_large_images_go_in_requests_of_few_bytes(client, embed_worker, monkeypatch):
    monkeypatch.setattr("service.client.operations.embedding.MAX_BYTES", 150)
    found = embed(client, colours(4))
    assert [len(request.pixels) for request in embed_worker.requests] == [1, 1, 1, 1]
    assert found.patch_tokens[:, 0, 0, 0].tolist() == [0, 2, 4, 6]


def test_an_unreadable_image_is_named_by_its_place_among_all(client, embed_worker):
    with pytest.raises(InvalidRequest) as caught:
        embed(client, [WHITE] * 5 + [b"no image"], batch=4)
    assert caught.value.code == "image_unreadable"
    [(field, message)] = caught.value.errors
    assert field == "images.5" and message.startswith("images[5] is not an image")
