"""Reads the JSON that a bench has written, also one of an older release. Whoever hands it in may have changed it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from bench.figures import Row

MOST_BYTES = 64_000_000
COMMIT = re.compile(r"[0-9a-f]{7,40}")


class RecordedPart(msgspec.Struct):
    part: str
    rows: list[Row]
    length: float | None = None
    seconds: float | None = None


class Record(msgspec.Struct):
    """`rows`: all rows of a release that did not tell its parts apart."""

    at: str = ""
    commit: str | None = None
    changed: bool = False
    machine: dict[str, Any] | str = {}
    parts: list[RecordedPart] = []
    rows: list[Row] = []


class UnreadableRecord(ValueError):
    """The file is none that a bench has written; the message is one line that says why."""


def read_record(path: Path) -> Record:
    """Raises UnreadableRecord."""
    try:
        if not path.is_file():
            raise UnreadableRecord(f"{path}: there is no such file")
        if path.stat().st_size > MOST_BYTES:
            raise UnreadableRecord(f"{path}: larger than {MOST_BYTES:,} bytes")
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except OSError as error:
        raise UnreadableRecord(f"{path}: {error.strerror}") from None
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise UnreadableRecord(f"{path}: not the JSON of a bench: {error}") from None
    if not record.parts and not record.rows:
        raise UnreadableRecord(f"{path}: not the JSON of a bench: it has neither parts nor rows")
    if record.commit is not None and not COMMIT.fullmatch(record.commit):
        raise UnreadableRecord(f"{path}: commit: not 7 to 40 hexadecimal digits")
    return record
