"""Whatever is sent to `POST /embed`, the answer is below 500."""

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from PIL import Image

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    # Starlette leaves the file of a part without an end to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ENCODER = "test_vit@random"


def files():
    """A small image in each of the common formats."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8))
    made = []
    for name in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "AVIF"):
        buffer = io.BytesIO()
        image.save(buffer, name)
        made.append(buffer.getvalue())
    return made


FILES = files()
JSON_BODY = json.dumps(
    {
        "encoder": ENCODER,
        "images": [base64.b64encode(FILES[1]).decode()],
        "size": 32,
        "layers": [-1],
    }
).encode()
FORM_BODY = (
    b"--b\r\nContent-Disposition: form-data; name=encoder\r\n\r\ntest_vit@random\r\n"
    b"--b\r\nContent-Disposition: form-data; name=size\r\n\r\n32,48\r\n"
    b"--b\r\nContent-Disposition: form-data; name=images; filename=a\r\n\r\n"
    + FILES[0]
    + b"\r\n--b--\r\n"
)


def check(response):
    event(str(response.status_code))
    if response.status_code != 200:
        assert response.status_code in (400, 413, 415, 422), response.text
        assert response.json()["code"]


@given(data=st.data())
@settings(settings.get_profile("fuzz"))
def test_a_changed_image_is_embedded_or_refused(api, worker, mutated, data):
    images = data.draw(st.lists(mutated(FILES), min_size=1, max_size=3))
    names = data.draw(st.lists(st.text(max_size=10), min_size=3, max_size=3))
    form = [("images", (name, image)) for name, image in zip(names, images, strict=False)]
    check(api.post("/embed", files=form, data={"encoder": ENCODER, "size": "32"}))


@given(data=st.data())
@settings(settings.get_profile("fuzz"))
def test_a_changed_body_is_embedded_or_refused(api, worker, mutated, data):
    kind, body = data.draw(
        st.sampled_from(
            [("application/json", JSON_BODY), ("multipart/form-data; boundary=b", FORM_BODY)]
        )
    )
    content = data.draw(mutated([body]))
    check(api.post("/embed", content=content, headers={"Content-Type": kind}))
