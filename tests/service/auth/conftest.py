import pytest

from service.store import attempts, jobs, users
from service.store.models import Encoder


@pytest.fixture
def add_job(database, people):
    """Adds a job of `owner` with an encoder; returns both ids."""

    def add(visibility="lab", number=1):
        with database.write() as session:
            owner = users.user_by_name(session, "owner")
            job = jobs.create(
                session,
                "train",
                {},
                request_sha256="0" * 64,
                user_id=owner.id,
                visibility=visibility,
            )
            encoder = Encoder(
                id=f"enc_{number:026d}",
                job_id=job.id,
                architecture="test_vit",
                base="test_vit@random",
                path="none",
                sha256="0" * 64,
                bytes=1,
                steps=60,
            )
            attempts.add_encoder(session, encoder)
            return job.id, encoder.id

    return add
