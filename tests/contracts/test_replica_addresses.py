"""Several addresses in one setting: told apart without doubt, or refused with a sentence that shows no password."""

from __future__ import annotations

import pytest

from core.database_address import MOST_ADDRESSES, read_addresses
from core.errors import ConfigurationError
from core.settings import load_settings

SECRET = "sEcReT"  # noqa: S105 - of nobody
ONE, TWO = f"postgresql://u:{SECRET}@a/db", f"postgres://u:{SECRET},x@b:1,c:2/db?sslmode=require"
ASYNC = "postgresql+asyncpg://h/db"


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("", ()),
        ("  \n ", ()),
        (ONE, (ONE,)),
        (TWO, (TWO,)),
        (f"{ONE} {TWO}", (ONE, TWO)),
        (f" {ONE}\n\t{TWO}  {ASYNC}\n", (ONE, TWO, ASYNC)),
        (f"{ONE},{TWO},{ASYNC}", (ONE, TWO, ASYNC)),
        (f"{TWO} , {ONE}", (TWO, ONE)),
        ("postgresql://h1,h2,h3/db", ("postgresql://h1,h2,h3/db",)),
    ],
)
def test_addresses_stand_with_blanks_or_commas_between_them(text: str, urls: tuple[str, ...]) -> None:
    assert read_addresses(text) == urls


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("postgresql://h1, h2/db", "address 1 of 2 is not told apart"),
        (f"{ONE},", "address 1 of 1 is not told apart"),
        (f",{ONE}", "address 1 of 2 cannot be read|address 1 of 2 must begin|address 1 of 1 is not told apart"),
        (f"{ONE};{TWO}", "address 1 of 1 is not told apart"),
        (f"{ONE}{TWO}", "address 1 of 1 is not told apart"),
        (f"{ONE} db2", "address 2 of 2 must begin with postgresql://"),
        (f"{ONE} mysql://h/db", "address 2 of 2 must begin with postgresql://"),
        (f"{ONE} postgresql://u:{SECRET}#@h/db", "address 2 of 2 cannot be read"),
        (f"{ONE} {TWO} {ONE}", "address 3 of 3 is the same as address 1"),
        (f"{ONE}?target_session_attrs=read-write", "wants a server that takes writes"),
        (" ".join(f"postgresql://h{n}/db" for n in range(MOST_ADDRESSES + 1)), "has 17 addresses"),
    ],
)
def test_what_is_ambiguous_is_refused(text: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERDECK_REPLICA_URLS", text)
    with pytest.raises(ConfigurationError, match=why) as refused:
        load_settings()
    assert str(refused.value).startswith("ORDERDECK_REPLICA_URLS: ")
    assert SECRET not in str(refused.value)
    assert "x@b" not in str(refused.value)
