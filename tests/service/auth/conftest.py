from datetime import timedelta

import pytest

from service.auth.secret import digest, new_token, server_secret
from service.store import jobs, users
from service.store.base import utc_now
from service.store.models import Encoder

PEOPLE = {"viewer": "viewer", "other": "member", "owner": "member", "admin": "admin"}


@pytest.fixture
def locked(settings):
    """Settings of a server that asks for keys."""
    return settings.model_copy(update={"auth": "on", "rate_limit": 1_000_000})


@pytest.fixture
def make_key(database, settings):
    """Adds a user, unless there is one of this name, and a key of theirs; returns the key."""
    secret = server_secret(settings)

    def make(name, role="member", expires_in=None):
        token = new_token()
        expires_at = utc_now() + timedelta(seconds=expires_in) if expires_in is not None else None
        with database.write() as session:
            user = users.user_by_name(session, name) or users.add_user(session, name, role)
            users.add_key(session, user, digest(secret, token), expires_at)
        return token

    return make


@pytest.fixture
def people(make_key):
    """Keys that work, by who has them."""
    return {name: make_key(name, role) for name, role in PEOPLE.items()}


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
            jobs.add_encoder(session, encoder)
            return job.id, encoder.id

    return add


def bearer(token):
    return {"Authorization": f"Bearer {token}"} if token else {}
