"""Rate limits as the settings name them: how many requests of each class a caller may send in how many seconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

OFF = "off"
MOST = 1_000_000  # requests, and seconds
_ENTRY = re.compile(r"(?P<name>[a-z]+)\s*=\s*(?:(?P<off>off)|(?P<count>[0-9]{1,7})\s*/\s*(?P<seconds>[0-9]{0,7})s)")


class Quota(NamedTuple):
    """So many requests at once, and so many in each of these periods from then on."""

    requests: int
    seconds: int


DEFAULT_QUOTAS: Mapping[str, Quota] = {
    "commands": Quota(2_000, 10),  # POST and PUT; a busy shop sends some ten a second
    "reads": Quota(5_000, 10),  # a deck sends up to ten a second while somebody pages through a list
    "admin": Quota(200, 10),  # keys, rebuilds, dead letters: people and scripts
    "feeds": Quota(60, 60),  # live streams that are opened; one that is open may stay
    "failures": Quota(100, 60),  # keys that are not valid, from one address
}
"""The classes of requests, and what a caller may send where keys are needed and the settings say nothing else."""


def read_quotas(text: str, *, defaults: bool) -> dict[str, Quota]:
    """The limits that a setting names; a class without a quota has no limit.

    With `defaults`, a class that is not named has its usual quota. Raises ValueError with a sentence.
    """
    quotas = dict(DEFAULT_QUOTAS) if defaults else {}
    if text.strip() == OFF:
        return {}
    for entry in filter(None, (each.strip() for each in text.split(","))):
        found = _ENTRY.fullmatch(entry)
        if found is None or found["name"] not in DEFAULT_QUOTAS:
            raise ValueError(
                f"{entry!r} must be a class of requests and its limit, as in commands=2000/10s or reads=off; the "
                f"classes are {', '.join(DEFAULT_QUOTAS)}; `off` alone switches all limits off"
            )
        if found["off"]:
            quotas.pop(found["name"], None)
            continue
        quota = Quota(int(found["count"]), int(found["seconds"] or 1))
        if not (1 <= quota.requests <= MOST and 1 <= quota.seconds <= MOST):
            raise ValueError(f"{entry!r} must allow 1 to {MOST} requests, in 1 to {MOST} seconds")
        quotas[found["name"]] = quota
    return quotas
