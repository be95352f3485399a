"""What the package promises: its names, its size, and that both clients can do the same."""

import inspect
import subprocess
import sys

import pytest

import service.client
from service.client import AsyncPakaClient, PakaClient

SERVER_SIDE = ("torch", "timm", "fastapi", "sqlalchemy", "celery", "redis", "starlette", "alembic")


def public(thing):
    return {name for name in vars(thing) if not name.startswith("_")}


def test_all_names_what_there_is():
    exported = {
        name
        for name, value in vars(service.client).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert sorted(exported) == service.client.__all__


def test_it_works_where_only_its_own_packages_are():
    """Also the commands; pandas is not needed until somebody wants a frame."""
    code = f"""
import sys
for name in {(*SERVER_SIDE, "pandas", "pydantic_settings")!r}:
    sys.modules[name] = None
from service.client import MissingPackage, PakaClient
from service.client.frames import metrics_frame
import service.remote
PakaClient().close()
for use in (lambda: metrics_frame([]), lambda: PakaClient().load_encoder("enc_x")):
    try:
        use()
    except MissingPackage as error:
        print(str(error).split("pip install ")[1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["'paka-service[client]'", "'paka-service[train]'"], done


def test_both_clients_have_the_same_methods_with_the_same_arguments():
    assert public(PakaClient) == public(AsyncPakaClient)
    for name in public(PakaClient):
        ours, theirs = getattr(PakaClient, name), getattr(AsyncPakaClient, name)
        if callable(ours):
            assert ours.__doc__ and theirs.__doc__, name
            parameters = [inspect.signature(method).parameters for method in (ours, theirs)]
            assert parameters[0] == parameters[1], name


def test_methods_have_their_operations_words():
    signature = inspect.signature(PakaClient(retries=0).update)
    assert list(signature.parameters) == ["job", "name", "visibility", "priority", "pinned"]
    assert signature.return_annotation is service.client.Job
    assert PakaClient.update.__doc__.startswith("Change what is said of a job")


@pytest.mark.parametrize("name", ["wait", "events", "upload"])
def test_the_async_methods_point_to_the_words(name):
    assert f"`PakaClient.{name}`" in getattr(AsyncPakaClient, name).__doc__
