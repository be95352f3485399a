"""Every way to go wrong, and its exit code."""

import json
import stat

import pytest

from service.client.profile import login_file

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_settings_that_cannot_work_are_named(remote, folder, tmp_path, monkeypatch):
    _, err = remote("train", "photos", "--set", "optim.max_steps=0", code=2)
    assert err.splitlines()[0] == "error: the service cannot use this"
    assert err.splitlines()[1].split()[0] == "optim.max_steps"
    _, err = remote("train", "photos", "--set", "optim.maxsteps=3", code=2)
    assert "did you mean optim.max_steps" in err
    _, err = remote("jobs", "--status", "lost", code=2)
    assert "'queued'" in err
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    _, err = remote("train", "mine", code=2)
    assert "mine is a folder of this machine: first paka remote upload mine" in err


def test_what_is_not_there_is_exit_code_1(remote):
    assert "there is no job 'job_1'" in remote("job", "job_1", code=1)[1]
    assert "is not there" in remote("upload", "nowhere", code=1)[1]
    assert "nowhere.jpg" in remote("embed", "nowhere.jpg", "--encoder", "x", "-o", "y", code=1)[1]


def test_a_service_that_does_not_answer_or_is_not_ready_is_exit_code_4(remote, run, monkeypatch):
    _, err = remote("status", code=4)
    assert "worker" in err
    monkeypatch.setattr("service.remote.options._RETRIES", 0)
    _, err = run("--url", "http://127.0.0.1:1", "status", code=4)
    assert "no answer from http://127.0.0.1:1" in err and "--url" in err


def test_a_login_is_kept_for_its_service(run, locked, serving, people):
    from service.app import create_app

    with serving(create_app(locked)) as api:
        url = str(api.base_url)
        _, err = run("--url", url, "jobs", code=4)
        assert "paka remote login" in err
        _, err = run("login", url, input="paka_wrong\n", code=4)
        assert not login_file().exists()
        out, _ = run("login", url, input=f"{people['owner']}\n")
        assert "knows you as owner (member)" in out and people["owner"] not in out
        assert stat.S_IMODE(login_file().stat().st_mode) == 0o600
        assert json.loads(run("jobs", "--json")[0]) == []
        assert "removed" in run("logout")[0]
        run("--url", url, "jobs", code=4)


def test_embedding_takes_either_images_or_a_data_set(remote):
    for arguments in ((), ("cat.jpg",), ("cat.jpg", "--dataset", "photos")):
        _, err = remote("embed", *arguments, "--encoder", "test_vit@random", code=2)
        assert "--dataset" in err
