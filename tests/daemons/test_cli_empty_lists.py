"""A list that has nothing in it says so on stderr, so that a pipe gets no line, and a program an empty JSON list."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forked_command import run_forked
from tests.support.hostile_service import HostileService, answer, hostile_service
from tests.support.logins import of_daemons
from tests.support.stack import ROOT

EMPTY = {
    "webhooks": [], "deliveries": [], "streams": [], "snapshots": [], "next_after": None, "next_before": None,
    "orders": [], "total": 0, "total_estimated": False, "next_cursor": None, "sagas": [], "events": [], "head": 0,
    "rows": [], "cut": 0, "hash": "",
}  # fmt: skip
LISTS = {
    "webhooks list": ("there are no webhooks; orderdeck webhooks add makes one", 0),
    "webhooks deliveries wh_1": ("there are no messages", 0),
    "webhooks deliveries wh_1 --state failed": ("there are no messages that are failed", 0),
    "orders": ("orderdeck: no order matches", 3),
    "sagas": ("orderdeck: no saga matches", 3),
    "events": ("orderdeck: no event matches", 3),
    "streams list": ("orderdeck: no stream matches", 3),
    "snapshots list": ("orderdeck: no stream is so long that its state is kept", 3),
    "audit": ("orderdeck: no row of the audit matches", 3),
}


@pytest.fixture(scope="module")
def service() -> Iterator[HostileService]:
    with hostile_service() as running:
        running.will(answer(EMPTY, Connection="close"))
        yield running


def run(home: Path, words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run_forked(words.split(), os.environ | {"ORDERDECK_HOME": str(home)} | env, ROOT, limit=60)


@pytest.mark.parametrize("words", LISTS)
def test_a_list_with_nothing_in_it_says_so(service: HostileService, tmp_path: Path, words: str) -> None:
    urls = {"ORDERDECK_QUERY_URL": service.url, "ORDERDECK_COMMAND_URL": service.url}
    done = run(tmp_path, words, **urls)
    assert (done.stdout, done.stderr.strip(), done.returncode) == ("", *LISTS[words])
    assert [] in json.loads(run(tmp_path, f"{words} --json", **urls).stdout).values()


def test_a_home_without_keys_says_so(dsn: str, tmp_path: Path) -> None:
    done = run(tmp_path, "keys list", DATABASE_URL=of_daemons(dsn))
    assert (done.stdout, done.stderr) == ("", "there are no keys; orderdeck keys create makes one\n")
    assert json.loads(run(tmp_path, "keys list --json", DATABASE_URL=of_daemons(dsn)).stdout) == {"keys": []}
