"""`orderdeck keys`: makes and revokes the keys of callers, in this home's database itself.

So the first key can be made, and a key can be revoked while no service runs.
"""

# ruff: noqa: PLC0415 - `orderdeck --help` stays quick
from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from core.api_keys import Role
from daemons.cli.output import print_or_say_why, say, say_json, tell
from daemons.cli.services import actor
from daemons.cli.tables import TableField, say_rows

if TYPE_CHECKING:
    from core.ports.api_keys import ApiKey, ApiKeys
    from core.ports.audit import AuditNote
    from core.services.api_keys import ShownOnce

keys = typer.Typer(no_args_is_help=True, help="Make, list, rotate and revoke the keys of callers.")

T = TypeVar("T")
KeyId = Annotated[str, typer.Argument(help="The key's id, as `keys list` shows it.")]
PublicKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--public-key", help="An Ed25519 public key (PEM), or - for stdin, not a secret: the caller signs requests."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
FIELDS = [
    TableField("KEY", 10),
    TableField("CALLER", 24),
    TableField("ROLE", 8),
    TableField("STATE", 7),
    TableField("EXPIRES", 16),
    TableField("LAST USED", 16),
    TableField("MAY"),
]


@keys.command()
def create(
    caller: Annotated[str, typer.Argument(help="Who gets it: events name the caller.")],
    role: Annotated[Role, typer.Option(help="viewer: look; operator: give commands; admin: everything.")],
    *,
    expires: Annotated[str, typer.Option(help="After how long it expires, such as 90d; default: never.")] = "",
    route: Annotated[
        list[str] | None, typer.Option(help="All that it may ask for, such as 'GET /api/v1/orders*'; may be repeated.")
    ] = None,
    speaks_for_others: Annotated[
        bool, typer.Option("--speaks-for-others", help="Events name the Orderdeck-Actor that it sends.")
    ] = False,
    public_key: PublicKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a key for a caller, and show it once: on stdout, alone, so that `> FILE` keeps it."""
    from core.ports.api_keys import KeyTerms
    from core.services import api_keys

    terms = KeyTerms(
        caller=caller,
        role=role,
        speaks_for_others=speaks_for_others,
        routes=tuple(route or ()),
        public_key=_text_in(public_key),
    )
    lasts = api_keys.span_of("--expires", expires) if expires else None

    async def make(opened: ApiKeys, note: AuditNote) -> None:
        made = await api_keys.create_key(opened, terms, note, lasts=lasts, by=actor())
        await _show_or_revoke(opened, note, made, as_json=as_json)

    _with_keys("create", make)


@keys.command("list")
def list_keys(*, as_json: AsJson = False) -> None:
    """List all keys that there ever were, the newest first, without their secrets."""
    found = _with_keys("list", lambda opened, _: opened.all())
    if as_json:
        say_json(json.dumps({"keys": [_document(key) for key in found]}, indent=2))
        return
    rows = [
        (
            *(key.id, key.caller, key.role.value, key.state),
            *(f"{at:%Y-%m-%d %H:%M}" if at else "never" for at in (key.expires_at, key.last_used_at)),
            "; ".join(
                [
                    ", ".join(key.routes) or "all of its role",
                    *(["speaks for others"] if key.speaks_for_others else []),
                    *(["signs its requests"] if key.public_key else []),
                ]
            ),
        )
        for key in found
    ]
    say_rows(FIELDS, rows, rows)
    if not found:
        tell("there are no keys; orderdeck keys create makes one")


@keys.command()
def rotate(
    key_id: KeyId,
    *,
    overlap: Annotated[str, typer.Option(help="For how long the old key stays valid beside the new one.")] = "24h",
    public_key: PublicKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a new key in the place of this one, with the same caller, role and routes, and show it once."""
    from core.services import api_keys

    lasts = api_keys.span_of("--overlap", overlap)
    text = _text_in(public_key)

    async def replace(opened: ApiKeys, note: AuditNote) -> None:
        await api_keys.rotate_key(
            opened,
            key_id,
            note,
            overlap=lasts,
            by=actor(),
            public_key=text,
            hand_over=lambda made: _show_or_revoke(opened, note, made, as_json=as_json),
        )

    _with_keys("rotate", replace)
    tell(f"{key_id} expires after {overlap}")


@keys.command()
def revoke(key_id: KeyId, *, as_json: AsJson = False) -> None:
    """Revoke a key for good: every service refuses it within a second, and ends the live streams opened with it."""
    from core.services import api_keys

    key = _with_keys("revoke", lambda opened, note: api_keys.revoke_key(opened, key_id, note, by=actor()))
    if as_json:
        say_json(json.dumps(_document(key), indent=2))
    else:
        say(f"{key.id} of {key.caller} is revoked")


def _with_keys(verb: str, work: Callable[[ApiKeys, AuditNote], Awaitable[T]]) -> T:
    from core.bootstrap_callers import open_api_keys
    from core.settings import load_settings
    from daemons.host.own_audit import recorded

    async def run() -> T:
        settings = load_settings()
        async with open_api_keys(settings, name="keys") as opened, recorded(settings, f"orderdeck keys {verb}") as note:
            note.kept = verb == "list"  # to look is not recorded
            return await work(opened, note)

    return asyncio.run(run())


def _text_in(file: Path | None) -> str | None:
    """The text of a small file. Raises ConfigurationError."""
    from core.errors import ConfigurationError
    from core.folders import open_file
    from core.services.api_keys import LONGEST_PEM

    if file is None:
        return None
    try:
        with _handed_over(file) or open_file(file) as opened:
            return opened.read(LONGEST_PEM + 1).decode("latin-1")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}; - reads from stdin") from None


def _handed_over(file: Path) -> io.BufferedReader | None:
    """What the caller has opened for us, as by `<(…)` or a pipe into stdin; None for a name. Raises OSError.

    It may be a pipe, unlike a name: whoever has opened it writes to it.
    """
    name = {"-": "/dev/fd/0", "/dev/stdin": "/dev/fd/0"}.get(str(file), str(file))
    number = name.removeprefix("/dev/fd/")
    return os.fdopen(os.dup(int(number)), "rb") if number != name and number.isdecimal() else None


async def _show_or_revoke(opened: ApiKeys, note: AuditNote, made: ShownOnce, *, as_json: bool) -> None:
    """Show a new key. If that is not possible, revoke it, and raise ConfigurationError."""
    from core.errors import ConfigurationError
    from core.services import api_keys

    if (why := print_or_say_why(lambda: _show(made, as_json=as_json))) is not None:
        note.action, note.detail = "orderdeck keys revoke", why
        await api_keys.revoke_key(opened, made.key.id, note, by=actor())
        raise ConfigurationError(f"{why}: nobody has seen the new key {made.key.id}, so it is revoked")


def _show(made: ShownOnce, *, as_json: bool) -> None:
    if as_json:
        say_json(json.dumps({**_document(made.key), "key": made.text}, indent=2))
        return
    if made.key.public_key is None:
        tell(f"the key of {made.key.caller}, {made.key.role}, which is shown only now:")
    else:
        tell(f"the key of {made.key.caller}, {made.key.role}, who signs each request with this as keyid:")
    say(made.text)


def _document(key: ApiKey) -> dict[str, Any]:
    from msgspec import to_builtins

    return to_builtins(key)
