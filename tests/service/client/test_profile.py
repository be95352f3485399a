import stat

from service.client.profile import DEFAULT_URL, Profile, choose, login, login_file, logout

LAB = Profile("https://paka.lab.example", "paka_lab")


def test_what_is_given_comes_before_the_environment_and_that_before_the_login(monkeypatch):
    assert choose() == (DEFAULT_URL, None)
    login(LAB)
    assert choose() == LAB
    monkeypatch.setenv("PAKA_URL", "http://other:8000/")
    monkeypatch.setenv("PAKA_KEY", "paka_other")
    assert choose() == ("http://other:8000", "paka_other")
    assert choose("http://third", "paka_third") == ("http://third", "paka_third")


def test_a_kept_key_goes_to_no_other_service(monkeypatch):
    login(LAB)
    assert choose("http://other").key is None
    monkeypatch.setenv("PAKA_URL", "http://other")
    assert choose().key is None
    assert choose("https://paka.lab.example/").key == "paka_lab"


def test_nobody_else_can_read_the_login():
    assert stat.S_IMODE(login(LAB).stat().st_mode) == 0o600
    login_file().write_text("[]")
    assert choose() == (DEFAULT_URL, None)
    assert logout() and not logout()
