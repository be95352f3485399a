import stat
import subprocess
import sys

from service.auth.secret import digest, new_token, server_secret
from service.store.settings import Settings


def test_a_key_holds_256_random_bits():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(bytes.fromhex(token.removeprefix("paka_"))) == 32 for token in tokens)


def test_a_digest_depends_on_the_secret_and_on_all_of_the_key():
    token = new_token()
    known = {digest(b"a", token), digest(b"b", token), digest(b"a", token[:-1])}
    assert len(known) == 3
    assert digest(b"a", token) in known


def test_the_secret_is_made_once_for_its_owner_only(tmp_path):
    settings = Settings(home=tmp_path / "new" / "home")
    secret = server_secret(settings)
    assert len(secret) == 64
    assert server_secret(settings) == secret
    (file,) = settings.home_folder.iterdir()
    assert file.name == "secret.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path):
    code = (
        "import sys; from service.auth.secret import server_secret; "
        "from service.store.settings import Settings; sys.stdin.read(); "
        f"print(server_secret(Settings(home={str(tmp_path)!r})).decode())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in started}) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["secret.key"]


def test_a_secret_of_the_settings_comes_first(tmp_path):
    assert server_secret(Settings(home=tmp_path, secret_key="s" * 40)) == b"s" * 40
    assert list(tmp_path.iterdir()) == []
