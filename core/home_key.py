"""The home's own key: whoever may read the files of a home may ask its services, as the caller `home`, without API key.

So the daemons of a home can ask each other, and its operator can use the command and the deck, whatever keys there are.
Nobody sends the key itself: a request shows a token that is made with it, for one port and one minute. So a stranger
who has opened a port of a daemon that does not run learns nothing that helps elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from pathlib import Path

from core.errors import ConfigurationError

CALLER = "home"
LASTS = 60  # seconds
TOKEN = re.compile(rb"odh_([0-9]{1,12})_([0-9a-f]{64})")
_SECRET = re.compile(rb"[0-9a-f]{64}")


class HomeKey:
    """Makes tokens, and knows those that were made with it."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def token(self, port: int) -> str:
        """What shows to the service at this port that its caller has the key."""
        until = int(time.time()) + LASTS
        return f"odh_{until}_{self._mac(port, until)}"

    def made(self, token: bytes, port: int) -> bool:
        """Whether this is a token for this port whose time is not over."""
        found = TOKEN.fullmatch(token)
        if found is None:
            return False
        until, now = int(found[1]), time.time()
        right = hmac.compare_digest(found[2], self._mac(port, until).encode())
        return right and now <= until <= now + 2 * LASTS

    def _mac(self, port: int, until: int) -> str:
        return hmac.new(self._secret, b"%d %d" % (port, until), hashlib.sha256).hexdigest()


_found: dict[Path, HomeKey] = {}


def find_home_key(home: Path) -> HomeKey | None:
    """The key of this home; None when it has none, or when it is not for us to read. Raises ConfigurationError.

    It is read once: a daemon that gives up the rights of root cannot read it later.
    """
    if home in _found:
        return _found[home]
    try:
        secret = read_private(f"{home}/home.key", longest=100)
    except OSError:
        return None
    if not _SECRET.fullmatch(secret):
        raise ConfigurationError(f"{home / 'home.key'} is no key: remove it, and the daemons make another")
    return _found.setdefault(home, HomeKey(secret))


def make_home_key(home: Path) -> HomeKey | None:
    """The key of this home, made if there is none; None where no file can be written, as in a read-only container."""
    with contextlib.suppress(OSError):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = home / f".home.key-{os.getpid()}"
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, secrets.token_hex(32).encode())
            os.link(fresh, home / "home.key")  # of processes that start at the same time, one makes it
        finally:
            os.close(file)
            fresh.unlink()
    return find_home_key(home)


def read_private(file: Path | str, *, longest: int) -> bytes:
    """The bytes of a file with a secret, without the blanks around them.

    Raises OSError, and ConfigurationError when others could read it.
    """
    opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not let us wait
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"{file} is no file")
        if status.st_uid not in {os.geteuid(), 0}:
            raise ConfigurationError(f"{file} belongs to another user, who may read the secret in it: chown it")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise ConfigurationError(f"others may use {file}, which holds a secret: run chmod 600 on it")
        data = os.read(opened, longest + 1)
        if len(data) > longest:
            raise ConfigurationError(f"{file} is longer than a secret is")
        return data.strip()
    finally:
        os.close(opened)
