import io

import pytest
from PIL import Image


@pytest.fixture
def worker(embed_worker):
    """A live embedding worker."""
    return embed_worker


@pytest.fixture
def jpeg(photos):
    """A photograph as the bytes of a JPEG file."""
    return (photos / "astronaut.jpg").read_bytes()


@pytest.fixture
def halves():
    """A PNG of 64 x 32 pixels, red on the left and blue on the right."""
    image = Image.new("RGB", (64, 32), (255, 0, 0))
    image.paste((0, 0, 255), (32, 0, 64, 32))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
