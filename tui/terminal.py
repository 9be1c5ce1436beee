"""Terminal: what can be told of a terminal before anything is drawn on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_UTF8 = ("utf-8", "utf8")


def why_no_deck(environ: Mapping[str, str] = os.environ) -> str | None:
    """The sentence that says why the deck cannot be drawn here; None when it can."""
    if is_in_browser(environ):
        return None
    streams = {"input": sys.stdin, "output": sys.stdout, "error output": sys.stderr}
    for name, stream in streams.items():
        if not stream.isatty():
            return f"the deck needs a terminal, which its {name} is not; `orderdeck demo` and the HTTP API need none"
    term = environ.get("TERM", "")
    if term in {"", "dumb", "unknown"}:
        named = f"TERM={term}" if term else "a terminal of no known kind (TERM is not set)"
        return (
            f"the deck cannot be drawn on {named}; if yours can do more, set TERM to its kind, such as xterm-256color"
        )
    return None


def is_in_browser(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `orderdeck web` has started us: then Textual writes to a browser, through the pipe that is our output."""
    return "WebDriver" in environ.get("TEXTUAL_DRIVER", "")


def knows_ascii_only(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the locale says that the terminal shows no letters beyond ASCII.

    Where no locale is set at all, as in many containers, nobody has said anything, and terminals of today know UTF-8.
    """
    environ = environ_at_start() if environ is None else environ
    if is_in_browser(environ):
        return False
    locale = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "")
    language, _, charset = locale.partition("@")[0].partition(".")
    if charset:
        return charset.lower() not in _UTF8
    return language in {"C", "POSIX"}


def environ_at_start() -> Mapping[str, str]:
    """The environment as this process got it: Python sets LC_CTYPE to C.UTF-8 when the locale is C."""
    try:
        raw = Path("/proc/self/environ").read_bytes()
    except OSError:
        return os.environ
    pairs = (part.partition(b"=") for part in raw.split(b"\0"))
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, _, value in pairs}
