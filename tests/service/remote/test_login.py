"""What `login` and `logout` take, beside the services of `test_errors`."""

import pytest

from service.client.profile import login_file

KEY = "paka_" + 64 * "0"


@pytest.mark.parametrize("key", [f"{KEY}…", f"{KEY} {KEY}"])
def test_a_key_that_cannot_be_one_is_refused_and_not_shown(run, key):
    for given in (("--key", key, "login"), ("login",)):
        out, err = run(*given, input=f"{key}\n", code=2)
        assert "as it was shown" in err
        assert KEY not in out + err
    assert not login_file().exists()


def test_an_address_that_cannot_be_one_is_refused_before_the_key_is_asked_for(run):
    _, err = run("login", "http://h:80a0", input=f"{KEY}\n", code=2)
    assert err.startswith("error: 'http://h:80a0' is no address")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_key_is_kept_without_the_line_end_that_came_with_it(run, locked, serving, people):
    from service.app import create_app

    with serving(create_app(locked)) as api:
        url = str(api.base_url)
        run("--key", f"{people['owner']}\r", "login", url)
        assert "\\r" not in login_file().read_text()
        run("jobs")
