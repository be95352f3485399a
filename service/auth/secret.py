"""The server's secret, and the keys that only it can recognise."""

import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from service.store.settings import Settings

_TOKEN_BYTES = 32


def new_token() -> str:
    """Return a new key: `paka_` and 256 random bits."""
    return f"paka_{secrets.token_hex(_TOKEN_BYTES)}"


def digest(secret: bytes, token: str) -> str:
    """What the database keeps of a key; it needs no slow hash, since a key cannot be guessed."""
    return hmac.new(secret, token.encode(), hashlib.sha256).hexdigest()


def server_secret(settings: Settings) -> bytes:
    """Return `secret_key`, else what `secret.key` in the home holds, which is made if need be."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    file = settings.home_folder / "secret.key"
    if not file.exists():
        _make(file)
    return file.read_bytes().strip()


def _make(file: Path) -> None:
    """Write it aside and link it into place: of several processes the first one wins."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".secret-")  # with mode 0600
    aside = Path(name)
    try:
        with os.fdopen(handle, "w") as target:
            target.write(secrets.token_hex(_TOKEN_BYTES) + "\n")
            target.flush()
            os.fsync(target.fileno())
        try:
            file.hardlink_to(aside)
        except FileExistsError:
            return  # another process was faster; its secret holds
    finally:
        aside.unlink()
