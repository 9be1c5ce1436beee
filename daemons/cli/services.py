"""Asks the two APIs for the commands that show and steer orders, and ends the command where an answer says why not."""

from __future__ import annotations

import http.client
import json
import re
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec

from core.errors import ConfigurationError, Unavailable
from core.settings import load_settings
from daemons.cli.output import end_with, say_json, tell
from daemons.host.actor import actor
from daemons.host.bounded_http import BROKEN, AnswerUnreadable, ServiceAnswer, ask, ask_or_say_why, readable, shown

WITHIN = 15.0  # seconds for an answer
LONGEST_MAKING = 600.0  # seconds for which a command waits until lists of an earlier moment are made
LOOK_EVERY = 1.0  # seconds between two looks whether they are
TRIES = 4  # of one command, all under its key
PAUSE = 0.25  # seconds between them
ASK_AGAIN = 0.5  # seconds until a service that is away, or refuses our key, is asked again by a command that goes on
KEY_IS_WRITTEN = 5.0  # seconds for which a key that was good may be refused: its file has half of the new one

# --- exit codes; 0 is done or found, 1 is an error that is not the caller's -----------------------------------------
USAGE = 2
NOTHING = 3
REFUSED = 4

_numbers = msgspec.json.Encoder(decimal_format="number")


def read(path: str, parameters: Mapping[str, str | Sequence[str]] | None = None, *, again: bool = False) -> Any:
    """The query API's answer. Ends the command when there is no such thing, or the parameters are wrong.

    `again` says that our key was good a moment ago: while it is refused now, it is looked for in its file anew.
    """
    from daemons.host.status import must_answer  # noqa: PLC0415 - `orderdeck --help` stays quick

    must_be_text(parameters)
    settings = load_settings()
    must_answer(settings.queries_at, "ORDERDECK_QUERY_URL")
    url = settings.queries_at + path
    show = settings.shows

    def ask_once() -> ServiceAnswer:
        return ask_or_say_why(url, within=WITHIN, parameters=parameters, headers=shown(show(url)))

    answer = _unless_key_is_written(ask_once) if again else ask_once()
    until = time.monotonic() + LONGEST_MAKING
    while answer.status == 202:  # lists of an earlier moment are being made
        with readable(url):
            how_far = answer.json()["detail"]
        if time.monotonic() > until:
            raise Unavailable(f"{how_far}; ask again later")
        if sys.stderr.isatty():
            tell(f"… {how_far}")
        time.sleep(LOOK_EVERY)
        answer = _unless_key_is_written(ask_once)
    with readable(url):
        if answer.status == 429 or answer.status >= 500:
            raise Unavailable(why(answer))
        if answer.status >= 400:
            end_with({404: NOTHING, 400: USAGE}.get(answer.status, 1), why(answer))
        return _decoded(answer)


def go_on_reading(path: str, parameters: Mapping[str, str | Sequence[str]] | None = None) -> Any:
    """As `read`, for a command that has read this before and goes on: it waits while nothing answers, and says so."""
    away = False
    while True:
        try:
            said = read(path, parameters, again=True)
        except AnswerUnreadable:
            raise
        except (Unavailable, ConfigurationError) as error:  # a new key may be about to be written into its file
            if not away:
                tell(f"orderdeck: {error}; it goes on when there is an answer")
            away = True
            time.sleep(ASK_AGAIN)
        else:
            if away:
                tell("… going on")
            return said


def _unless_key_is_written(ask_once: Callable[[], ServiceAnswer]) -> ServiceAnswer:
    """Ask anew for a while when the key is refused."""
    until = time.monotonic() + KEY_IS_WRITTEN
    while (answer := ask_once()).status == 401 and time.monotonic() < until:
        time.sleep(ASK_AGAIN)
    return answer


def send(method: str, path: str, body: Mapping[str, Any] | None, *, key: str, dry_run: bool) -> Any:
    """The command API's answer. The command is sent again under its key while it is not known whether it was recorded.

    Ends the command when it is refused, or when it stays unknown.
    """
    from daemons.host.status import must_answer  # noqa: PLC0415 - as above

    must_be_text(body)
    settings = load_settings()
    must_answer(settings.commands_at, "ORDERDECK_COMMAND_URL")
    url = settings.commands_at + path
    headers = {"Orderdeck-Actor": actor()}
    headers |= {} if dry_run else {"Idempotency-Key": key}
    show = settings.shows
    answer: ServiceAnswer | None = None
    for last in (False,) * (TRIES - 1) + (True,):
        try:
            answer = ask(
                url,
                within=WITHIN,
                method=method,
                headers={**headers, **shown(show(url))},
                body=body,
                parameters={"dry_run": "true"} if dry_run else None,
            )
        except (OSError, http.client.HTTPException, ValueError) as error:
            if last:
                raise Unavailable(_unknown(url, error, key, dry_run=dry_run)) from None
        else:
            if last or answer.status not in (429, 503):
                break
        time.sleep(PAUSE)
    with readable(url):
        assert answer is not None  # noqa: S101 - the last try answers or raises
        if answer.status >= 500:
            raise Unavailable(why(answer))
        if answer.status >= 400:
            end_with(NOTHING if answer.status == 404 else REFUSED, why(answer))
        return _decoded(answer)


def key_of(given: str | None) -> str:
    """The idempotency key that was given, or else a fresh one. Ends the command when a header cannot have it.

    An empty one is no wish for a fresh one: a script whose variable is empty would order twice.
    """
    if given is None:
        return str(uuid.uuid4())
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", given):
        end_with(USAGE, "--key must be 1 to 255 visible ASCII characters")
    return given


def order_id_of(order: str) -> str:
    """The id of an order that is named by its id or its number. Ends the command when it is neither."""
    if not order.upper().startswith("ORD-"):
        try:
            return str(uuid.UUID(order))
        except ValueError:
            end_with(USAGE, f"{order or 'an empty text'} is neither an order's number, such as ORD-…, nor its id")
    return str(read(f"/api/v1/orders/number/{quote(order, safe='')}")["order_id"])


def say_document(document: Any) -> None:
    """Print an answer as JSON for programs, with every amount as it came."""
    say_json(msgspec.json.format(_numbers.encode(document), indent=2).decode())


def must_be_text(given: object) -> None:
    """Raises UnicodeEncodeError, with which the command ends, for bytes on the command line that are no UTF-8."""
    json.dumps(given, ensure_ascii=False).encode()


def _decoded(answer: ServiceAnswer) -> Any:
    """The answer's data. A fraction stays exact, since it may be an amount."""
    try:
        said = json.loads(answer.body, parse_float=Decimal)
        if b"\\ud" in answer.body.lower():  # half of a pair of these is no text, and could not be sent back as a cursor
            json.dumps(said, ensure_ascii=False, default=str).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it has what is no text") from None
    return said


def why(answer: ServiceAnswer) -> str:
    """What a refusal says; also one that is no problem of ours, as of a proxy that stands before the service."""
    try:
        problem = answer.json()
        said = problem.get("error") or problem.get("detail")
    except BROKEN:
        said = None
    return str(said or f"the service answered {answer.status}")


def _unknown(url: str, error: Exception, key: str, *, dry_run: bool) -> str:
    sentence = f"{url} has not answered as it should: {error or type(error).__name__}"
    return sentence if dry_run else f"{sentence}; it may have been recorded: to repeat it safely add --key {key}"
