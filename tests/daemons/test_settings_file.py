"""The file .env: it is read as the environment is, and only if nobody else could have written it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.access_settings import key_in_file
from core.errors import ConfigurationError
from core.settings import Settings, env_names, load_settings


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for field in Settings.model_fields:
        for name in env_names(field):
            monkeypatch.delenv(name, raising=False)
    return tmp_path / ".env"


def test_the_file_is_read_and_the_environment_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(
        "export ORDERDECK_COMMAND_PORT=9080\nOTHER=x\norderdeck_query_port='9081'\nDATABASE_URI=sqlite://\n"
    )
    monkeypatch.setenv("ORDERDECK_QUERY_PORT", "9999")
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/d")
    settings = load_settings()
    assert (settings.command_port, settings.query_port) == (9080, 9999)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("ORDERDECK_HOTS=::1", "ORDERDECK_HOSTS"),
        ("export ORDERDECK_COMAND_PORT=1", "ORDERDECK_COMMAND_PORT"),
        ("orderdeck_hots=x", "ORDERDECK_HOSTS"),
        ("ORDERDECK_HOTS", "ORDERDECK_HOSTS"),
        ("ORDERDECK_HOTS=", "ORDERDECK_HOSTS"),
        ("ORDERDEK_HOST=::1", "ORDERDECK_HOST"),
        ("ORDER_DECK_OWNER_URL=x", "ORDERDECK_OWNER_URL"),
        ("DATABASE_ULR=postgresql://h/d", "DATABASE_URL"),
        ("DATABSE_URL=postgresql://h/d", "DATABASE_URL"),
        ("LOG_LEVELL=DEBUG", "LOG_LEVEL"),
    ],
)
def test_a_misspelt_setting_in_the_file_is_refused_and_the_right_one_named(file: Path, line: str, hint: str) -> None:
    file.write_text(f"A=1\n{line}\n")
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert str(refused.value).startswith("there is no setting ")
    assert f" in {file}; did you mean {hint}?" in str(refused.value)


def test_a_misspelt_prefix_is_refused_in_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERDEK_COMMAND_PORT", "1")
    monkeypatch.setenv("TEST_DATABASE_URL", "of another program")
    with pytest.raises(ConfigurationError, match="ORDERDEK_COMMAND_PORT; did you mean ORDERDECK_COMMAND_PORT"):
        load_settings()


def test_a_bad_value_in_the_file_is_refused_without_showing_a_secret(file: Path) -> None:
    file.write_text("DATABASE_URL=postgresql://u:sEcReT#x@h/d\n")
    with pytest.raises(ConfigurationError, match=r"^DATABASE_URL: cannot be read") as refused:
        load_settings()
    assert "sEcReT" not in str(refused.value)
    file.write_bytes(b"ORDERDECK_HOST=\xff\xfe\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings()


@pytest.mark.parametrize("name", ["ORDERDECK_HOME", "KAFKA_SSL_CAFILE"])
def test_a_path_in_the_folder_of_a_user_who_is_not_there_is_refused(file: Path, name: str) -> None:
    file.write_text(f"{name}=~nobody-of-ours/file\n")
    with pytest.raises(ConfigurationError, match="begins with ~nobody-of-ours, and there is no such user here"):
        load_settings()


def test_a_key_file_that_a_profile_names_wrongly_is_refused() -> None:
    for path in "~nobody-of-ours/file", "with\0nothing":
        with pytest.raises(ConfigurationError, match="cannot be read"):
            key_in_file(Path(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("linked", [False, True])
def test_a_file_of_another_user_is_not_read_and_that_is_said(
    file: Path, linked: object, capsys: pytest.CaptureFixture[str]
) -> None:
    real = file.with_name("real") if linked else file
    real.write_text("ORDERDECK_COMMAND_PORT=9080\n")
    if linked:
        file.symlink_to(real)
    os.chown(real, 65534, 65534)
    assert load_settings().command_port == 8080
    assert capsys.readouterr().err.startswith(f"orderdeck: {file} is not read, because it belongs to nobody")


def test_a_file_that_everybody_may_write_is_not_read_and_that_is_said(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("ORDERDECK_COMMAND_PORT=9080\n")
    file.chmod(0o666)
    assert load_settings().command_port == 8080
    assert "is not read, because everybody may write it: run chmod o-w on it" in capsys.readouterr().err
    file.chmod(0o664)
    assert load_settings().command_port == 9080


@pytest.mark.parametrize("kind", ["folder", "fifo", "nothing"])
def test_what_is_no_file_is_passed_over(file: Path, kind: str) -> None:
    {"folder": file.mkdir, "fifo": lambda: os.mkfifo(file), "nothing": lambda: None}[kind]()
    assert load_settings().command_port == 8080
