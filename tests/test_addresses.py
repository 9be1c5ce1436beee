"""The quick reading of the two addresses never differs from that of the settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.addresses import plain_addresses
from core.errors import ConfigurationError
from core.settings import Settings, env_names, load_settings
from daemons.cli.deck import DeckOptions, plain_options

NAMES = ["COMMAND_PORT", "QUERY_PORT", "PAYMENT_PORT", "COMMAND_URL", "QUERY_URL", "HOST", "HOME", "LOG_LEVEL", "HOTS"]
VALUES = (
    *("", " ", "0", "1", "08080", "8080", "65535", "65536", "99999", "8080 ", "-1", "DEBUG"),
    *("desk", "127.0.0.1", "::1", "/x", "http://desk.example:8080", "https://desk.example/", "http://", "HTTP://desk"),
    *("http://desk/a b", "http://desk/é"),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(given_values=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES), max_size=3))
def test_a_plain_environment_gives_the_addresses_of_the_settings(
    given_values: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.getbasetemp())
        for name in [n for n in os.environ if "ORDER" in n or "DECK" in n]:
            patch.delenv(name)
        for name, value in given_values.items():
            patch.setenv(f"ORDERDECK_{name}", value)
        quick = plain_addresses(os.environ)
        if quick is None:
            return
        try:
            whole = load_settings()
        except ConfigurationError as error:
            pytest.fail(f"taken for plain, and refused: {error}")
        assert quick == (whole.commands_at, whole.queries_at)


def test_what_is_not_plain_is_left_to_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = {"PATH": "/bin", "DATABASE_URL": "postgresql://x/y", "ORDERDECK_HOME": "/h", "ORDERDECK_QUERY_PORT": "9"}
    assert plain_addresses(plain) == ("http://127.0.0.1:8080", "http://127.0.0.1:9")
    assert plain_addresses({}) == (Settings.model_construct().commands_at, Settings.model_construct().queries_at)
    for name in ("ORDERDEK_HOME", "orderdeck_query_port", "ORDERDECK_QUERY_PROT", "ORDERDECK_HOST"):
        assert plain_addresses({name: "1"}) is None
    others = {name for field in Settings.model_fields for name in env_names(field) if name.startswith("ORDERDECK_")}
    assert sum(plain_addresses({name: "x"}) is None for name in others) == len(others), "what it does not know"
    (tmp_path / ".env").write_text("")
    assert plain_addresses(plain) is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], DeckOptions()),
        (["--command-url", "http://a"], DeckOptions(command_url="http://a")),
        (["--query-url=http://b?c=d", "--ascii"], DeckOptions(query_url="http://b?c=d", ascii=True)),
        (["--ascii=yes"], None),
        (["--help"], None),
        (["--asci"], None),
        (["extra"], None),
        (["--command-url"], None),
        (["--command-url", "--ascii"], None),
        (["--"], None),
    ],
)
def test_the_options_of_the_deck_are_read_or_left_to_the_full_command(
    words: list[str], expected: DeckOptions | None
) -> None:
    assert plain_options(words) == expected
