"""The address of a database: every way to write one is read or refused, and no error shows a byte of a password."""

from __future__ import annotations

import pytest

from core.database_address import read_address
from core.errors import ConfigurationError
from core.settings import load_settings

SECRET = "sEcReT"  # noqa: S105 - of nobody
AWKWARD = ["a#b", "a/b", "a?b", "a@b", "a%b", "a[b", "a]b", "a b", "a\nb", "a\u00a0b", "#", "/", "?", "@", "%"]
CUT = ["12/b", "12#b", "12?b", "12@b", "12?c=d", "1?host=x", "a%zzb", "%ff", "%00", "12?sslmode=require&x"]


@pytest.mark.parametrize("rest", ["@h/db", "@h:5432/db?sslmode=require", "@h", "@/db?host=/tmp", "@[::1]/db"])
def test_an_address_with_an_unescaped_letter_is_refused_without_showing_a_part_of_it(rest: str) -> None:
    for awkward in AWKWARD + CUT:
        for password in (awkward + SECRET, SECRET + awkward + SECRET, "1" + awkward + SECRET, awkward):
            for user_and_password in (f"u:{password}", f"{password}:x"):
                with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is checked below
                    read_address(f"postgresql://{user_and_password}{rest}")
                text = str(refused.value)
                assert SECRET not in text
                assert "percent-encoded" in text


@pytest.mark.parametrize("setting", ["DATABASE_URL", "ORDERDECK_OWNER_URL"])
def test_the_settings_refuse_such_an_address_and_name_only_the_setting(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, f"postgresql://u:{SECRET}#{SECRET}@h/db")
    with pytest.raises(ConfigurationError, match=f"^{setting}: cannot be read") as refused:
        load_settings()
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None, "the cause would be logged with it"


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("p%40%23%2F%3F%25%3A%5B%5D%20", "p@#/?%:[] "),
        ("%C3%BC%E2%82%AC", "ü€"),
        ("ü€", "ü€"),
        ("a:b+c&d=e!$'()*,;~", "a:b+c&d=e!$'()*,;~"),
    ],
)
def test_a_percent_encoded_password_is_read_as_it_is(written: str, password: str) -> None:
    assert read_address(f"postgresql://u:{written}@h/d").password == password


ADDRESSES = {
    "postgres://u@h:1234/db": ("u", (("h", 1234),), "db"),
    "postgresql+asyncpg://u@h/db": ("u", (("h", 5432),), "db"),
    "postgresql://h": (None, (("h", 5432),), None),
    "postgresql://": (None, (), None),
    "postgresql:///db": (None, (), "db"),
    "postgresql://u@[::1]:6543/db": ("u", (("::1", 6543),), "db"),
    "postgresql://u@a:1,b,[::1]:3/db": ("u", (("a", 1), ("b", 5432), ("::1", 3)), "db"),
    "postgresql://u@a,b/db?port=1,2": ("u", (("a", 1), ("b", 2)), "db"),
    "postgresql://u@/db?host=/run/pg&port=6543": ("u", (("/run/pg", 6543),), "db"),
    "postgresql://u@%2Frun%2Fpg/db": ("u", (("/run/pg", 5432),), "db"),
    "postgresql:///?user=u&dbname=d%20b&host=h": ("u", (("h", 5432),), "d b"),
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_each_form_of_an_address_is_read(url: str) -> None:
    address = read_address(url)
    assert (address.user, address.hosts, address.database) == ADDRESSES[url]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://h/d", "must begin with"),
        ("jdbc:postgresql://h/d", "must begin with"),
        ("postgresql://u@::1/d", "IPv6 address in brackets"),
        ("postgresql://u@h:0/d", "ports go from 1"),
        ("postgresql://u@h:65536/d", "ports go from 1"),
        ("postgresql://u@h/d?sslmode=on", "sslmode that does not exist: it is one of disable, allow"),
        ("postgresql://u@h/d?sslmod=require", "does not know: sslmode is one"),
        ("postgresql://u@h/d?target_session_attrs=rw", "target_session_attrs that does not exist"),
        ("postgresql://u@h/d?options=x", "options=-c"),
        ("postgresql://u@h/d?sslmode", "cannot be read"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_in_a_sentence(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_address(url)


def test_parameters_of_other_drivers_are_named_and_not_passed_on() -> None:
    names = ["application_name", "channel_binding", "connect_timeout", "keepalives_idle", "pgbouncer", "pool_timeout"]
    address = read_address("postgresql://u@h/d?sslmode=require&" + "&".join(f"{name}=1" for name in names))
    assert list(address.not_used) == names
    assert address.driver == {"sslmode": "require"}
    assert read_address("postgresql://u@h/d?ssl=true").driver == {"sslmode": "require"}


def test_a_schema_is_taken_from_the_parameters_of_several_drivers() -> None:
    for parameter in ("schema=my%20shop", "currentSchema=my%20shop", "search_path=my%20shop"):
        assert read_address(f"postgresql://u@h/d?{parameter}").schema == '"my shop"'
    options = read_address("postgresql://u@h/d?options=-c%20search_path%3Dshop,public%20--work_mem%3D8MB")
    assert (options.schema, options.options["work_mem"]) == ("shop", "8MB")
    assert read_address("postgresql://u@h/d").schema == "public"


def test_an_address_does_not_show_its_password_when_it_is_printed() -> None:
    assert SECRET not in repr(read_address(f"postgresql://u:{SECRET}@h/d?sslpassword={SECRET}"))
