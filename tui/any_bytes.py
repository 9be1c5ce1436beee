"""The terminal may send any bytes: what is no UTF-8 becomes U+FFFD, where Textual would stop to read keys for ever."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from functools import partial

from textual.drivers import linux_driver


def read_any_bytes() -> None:
    """Textual has no setting for it: its driver decodes strictly, and one paste in Latin-1 ended the deck.

    A driver that begins to read again after the error would take the rest of a paste for keys.
    """
    linux_driver.getincrementaldecoder = _decoder  # pyright: ignore[reportPrivateImportUsage] - there is no other way


def _decoder(encoding: str) -> Callable[[], codecs.IncrementalDecoder]:
    return partial(codecs.getincrementaldecoder(encoding), "replace")
