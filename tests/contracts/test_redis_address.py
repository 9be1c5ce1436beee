"""The address of a Redis: every way to write one is read or refused, and no error shows a byte of a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.adapters.redis.opening import OrderCache
from core.errors import ConfigurationError
from core.ports.order_cache import CacheReport
from core.redis_address import read_redis_address
from core.settings import load_settings

SECRET = "sEcReT"  # noqa: S105 - of nobody
AWKWARD = ["a#b", "a/b", "a?b", "a@b", "a%b", "a[b", "a]b", "a b", "a\nb", "#", "/", "?", "@", "%", "a%zzb", "%ff"]

ADDRESSES = {
    "redis://h": ("h:6379", 0, None, None),
    "redis://h:7000/3": ("h:7000", 3, None, None),
    "redis://h/": ("h:6379", 0, None, None),
    "redis://": ("localhost:6379", 0, None, None),
    "redis://:p%40%23%2F%3F%25%3A@h/1": ("h:6379", 1, None, "p@#/?%:"),
    "redis://u:a:b+c&d=e!$'()*,;~@h": ("h:6379", 0, "u", "a:b+c&d=e!$'()*,;~"),
    "redis://u:%C3%BC@[::1]:7000": ("[::1]:7000", 0, "u", "ü"),
    "rediss://h:7000/0?ssl_ca_certs=/a%20b.pem": ("h:7000", 0, None, None),
    "unix:///run/redis.sock": ("/run/redis.sock", 0, None, None),
    "unix://u:p@/run/a%20b.sock?db=4": ("/run/a b.sock", 4, "u", "p"),
}

REFUSED = [
    "localhost:6379", "http://h", "postgresql://h/d", "redis:h", "redis:///x", "redis://h/-1", "redis://h/x",
    "redis://h/999999", "redis://h:0", "redis://h:99999", "redis://h:port", "redis://h?db=1", "redis://h/0?x=1",
    "redis://a,b", "redis://h/0/", "rediss://h?ssl_cert_reqs=none", "unix://run/redis.sock", "unix:///s?db=x",
    "unix:///s?db=1&db=2", "rediss://h?ssl_keyfile=a&ssl_keyfile=b", " redis://h", "redis://h h", "redis://\x00",
]  # fmt: skip


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_is_read(url: str) -> None:
    address = read_redis_address(url)
    assert (address.place, address.db, address.user, address.password) == ADDRESSES[url]
    assert address.tls == url.startswith("rediss:")
    assert "password" not in repr(address)


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_no_address_stops_a_daemon_at_its_start_with_a_sentence(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "\x00" in url:
        with pytest.raises(ValueError, match="cannot be read"):
            read_redis_address(url)
        return
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(ConfigurationError, match=r"^REDIS_URL: (cannot|has|names) "):
        load_settings()


@pytest.mark.parametrize("rest", ["@h/0", "@h:6379", "@h", "@[::1]/0", "@/run/redis.sock"])
def test_an_address_with_an_unescaped_letter_is_refused_without_showing_a_part_of_it(
    rest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = "unix" if "sock" in rest else "rediss"
    for awkward in AWKWARD:
        for password in (awkward + SECRET, SECRET + awkward + SECRET):
            monkeypatch.setenv("REDIS_URL", f"{scheme}://u:{password}{rest}")
            with pytest.raises(ConfigurationError) as refused:
                load_settings()
            assert SECRET not in str(refused.value)
            assert "percent-encoded" in str(refused.value)
            assert refused.value.__cause__ is None, "the cause would be logged with it"


def test_a_file_that_is_not_there_stops_a_daemon_at_its_start(tmp_path: Path) -> None:
    cache = OrderCache(f"rediss://h?ssl_ca_certs={tmp_path}/ca.pem", "1", 300, "test", CacheReport())
    with pytest.raises(ConfigurationError, match=r"ca\.pem cannot be read: correct ssl_ca_certs in REDIS_URL$"):
        cache.link(limit=1)


@pytest.mark.parametrize("seconds", ["0", "0.5", "86401", "nan", "soon", "-1"])
def test_a_time_that_is_none_is_refused(seconds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_TTL_SECONDS", seconds)
    with pytest.raises(ConfigurationError, match=r"^CACHE_TTL_SECONDS="):
        load_settings()
