"""What the command prints reaches any stdout: one that knows few letters, one that is full, and one nobody reads."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Generator, Iterable
from typing import NoReturn, cast

from core.errors import ConfigurationError, OrderdeckError
from core.printable import clean, clean_json, clean_lines
from core.settings import load_settings
from daemons.cli.interrupted import CODE, end_interrupted, say_interrupted

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
CLOSED = "its standard output is closed"
NOBODY_READS = 141  # the exit code of a command that SIGPIPE ended, which is what a shell expects here


_closed: set[str] = set()  # of stdin, stdout and stderr, which the caller has closed


def say(text: str = "", *, dim: bool = False) -> None:
    """Print lines of any origin: what a terminal would obey in them is replaced. Every command prints with this."""
    begin, end = ("\x1b[2m", "\x1b[0m") if dim and sys.stdout.isatty() else ("", "")
    _print(f"{begin}{clean_lines(text)}{end}")


def say_fields(fields: Iterable[str]) -> None:
    """Print one row for programs: its fields whole, with tabs between."""
    _print("\t".join(map(clean, fields)))


def say_json(document: str) -> None:
    """Print a JSON document for programs, which a terminal can show as well."""
    _print(clean_json(document))


def print_or_say_why(print_it: Callable[[], None]) -> str | None:
    """Print what nobody can ask for again. Returns why it could not be printed, if so: then it has to be taken back."""
    if "stdout" in _closed:
        return CLOSED
    try:
        print_it()
    except ConfigurationError as error:
        return str(error)
    except SystemExit:
        return "nobody reads the output"
    return None


def tell(sentence: str) -> None:
    """Say something about the data to the person at the terminal, on stderr, so that stdout has nothing but data.

    The data is whole without it, so it may get lost, as on a full disk.
    """
    with contextlib.suppress(OSError):
        print(clean_lines(sentence), file=sys.stderr, flush=True)  # noqa: T201 - as above


def fail(sentence: object) -> NoReturn:
    """End the command with exit code 1 and this sentence on stderr."""
    sys.exit(clean_lines(f"orderdeck: {sentence}"))


def end_with(code: int, sentence: object) -> NoReturn:
    """End the command with this exit code and this sentence on stderr."""
    tell(f"orderdeck: {sentence}")
    sys.exit(code)


@contextlib.contextmanager
def one_sentence() -> Generator[None]:
    """Run a command within this block: an expected error ends it with one sentence on stderr, and exit code 1."""
    try:
        with any_stdout():
            yield
    except OrderdeckError as error:
        fail(error)
    except UnicodeEncodeError as error:  # an argument or a variable with bytes that are no UTF-8
        end_with(2, f"{_arguments_that_are_no_text() or clean(str(error.object))[:100]} is no text in UTF-8")
    except OSError as error:  # of this machine: no more files, a folder that is no folder
        fail(_of_a_file(error))
    except MemoryError as error:
        fail(str(error) or "there is not enough memory")
    except KeyboardInterrupt:
        end_interrupted()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer has met it, while it printed a help text
            _write_no_more()
            sys.exit(NOBODY_READS)
        if end.code == CODE:  # typer has met a KeyboardInterrupt
            say_interrupted()
        raise


@contextlib.contextmanager
def any_stdout() -> Generator[None]:
    r"""Print within this block. Letters that stdout has no code for are printed as escapes such as \u2026.

    Raises ConfigurationError when stdout takes no more, for example on a full disk; ends the process when its reader
    has gone, as after `| head -1`.
    """
    _open_what_is_closed()
    if isinstance(sys.stdout.buffer, io.FileIO):  # PYTHONUNBUFFERED: it would forget what it could not write
        buffered = io.BufferedWriter(sys.stdout.buffer)
        sys.stdout = io.TextIOWrapper(buffered, sys.stdout.encoding, line_buffering=True)
    for stream in (sys.stdout, sys.stderr):
        cast("io.TextIOWrapper", stream).reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            _flush()  # here, because at the end of the interpreter nobody could catch the error
    except BrokenPipeError:
        _write_no_more()
        sys.exit(NOBODY_READS)


def _flush() -> None:
    """Write what waits for stdout. After a print that failed it waits still, so this tells whose fault the error is."""
    with _stdout_takes_it():
        sys.stdout.flush()


@contextlib.contextmanager
def _stdout_takes_it() -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        _write_no_more()
        raise ConfigurationError(f"the output cannot be written: {error.strerror}") from None


def _print(text: str) -> None:
    """Print on stdout. When its reader has gone the process ends here, because typer would end it with exit code 1."""
    try:
        with _stdout_takes_it():
            print(text, flush=True)  # noqa: T201 - the one place that prints on stdout
    except BrokenPipeError:
        _write_no_more()
        sys.exit(NOBODY_READS)


def _arguments_that_are_no_text() -> str:
    """The arguments with bytes that are no UTF-8, each with the word before it, such as the name of its option."""
    found: list[str] = []
    for before, argument in zip(["orderdeck", *sys.argv[1:]], sys.argv[1:], strict=False):
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = clean(argument.encode(errors="replace").decode())  # each such byte as ?
            after = clean(before.encode(errors="replace").decode())
            found.append(f"{shown[:100]} (after {after[:100]})")
    return " and ".join(found[:3])


def _of_a_file(error: OSError) -> str:
    """What to say of an error of a file; a write does not know the name of its file."""
    if error.errno in NO_ROOM and error.filename is None:
        return f"a file cannot be written, probably in the home{_named()}: {error.strerror}"
    return str(error)


def _named() -> str:
    """The folder of the home; nothing where the settings are wrong, since some commands do without them."""
    try:
        return f" {load_settings().home}"
    except OrderdeckError:
        return ""


def _open_what_is_closed() -> None:
    """Open the null device as stdin, stdout and stderr where the caller has closed them (`>&-`).

    Otherwise the next file or socket that we open gets that number, and what is printed goes into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(opened, True)  # noqa: FBT003 - the signature of the standard library
            setattr(sys, name, os.fdopen(opened, mode))
            _closed.add(name)


def _write_no_more() -> None:
    """Send what is left in the buffer to the null device, so that the end of the interpreter finds nothing to say."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
