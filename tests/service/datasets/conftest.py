import pytest

from service.store.models import Dataset


@pytest.fixture
def entries(photos):
    """Three photographs in a folder, and a text."""
    found = sorted(photos.iterdir())[:3]
    return {f"some/{photo.name}": photo.read_bytes() for photo in found} | {"notes.md": b"#"}


@pytest.fixture
def uploads(settings):
    return settings.uploads_folder


@pytest.fixture
def left(uploads, database):
    """Returns what there is: files among the uploads, and names in the database."""
    from sqlalchemy import select

    def look():
        with database.read() as session:
            names = sorted(session.scalars(select(Dataset.name)))
        files = [str(p.relative_to(uploads)) for p in uploads.rglob("*") if not p.is_dir()]
        return sorted(files), names

    return look
