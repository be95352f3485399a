"""The whole service as its admin starts it: `paka-server up`, all of it real."""

import pytest

from tests.fixtures.up import service_up


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def service(request, photos, labelled_photos, tmp_path_factory):
    """A client of a running service; jobs may read `photos` and `labelled_photos`."""
    folder = tmp_path_factory.mktemp("service")
    environment = {}
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        server.psql("CREATE DATABASE end_to_end")
        environment["PAKA_DATABASE_URL"] = server.get_uri("end_to_end")
    data = (photos, labelled_photos)
    with service_up(folder / "home", folder / "server.log", data, **environment) as (_, client):
        yield client
