import pytest


@pytest.fixture
def service(make_service, database_url):
    """A home and a database, without limits."""
    return make_service("service", database_url)
