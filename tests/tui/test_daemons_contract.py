"""What the deck relies on when it steers daemons: of the ones in memory, and of a real supervisord alike."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from core.processes import die_with_parent
from daemons.host.deck_daemons import SupervisedDaemons
from tests.support.fake_daemons import FakeDaemons
from tui.daemons import Daemons, DaemonsError, DaemonState, LogPart

CONF = """\
[unix_http_server]
file={folder}/supervisor.sock
[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:projector]
command=/bin/sh -c "echo 'é begins'; exec sleep 600"
stdout_logfile={folder}/projector.log
redirect_stderr=true
[program:saga-runner]
command=/bin/sh -c "echo broken >&2; exit 3"
autostart=false
startretries=0
[program:payment-sandbox]
command=/bin/sh -c "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.05; done"
startsecs=0
[program:postgres]
command=/bin/sh -c "exit 0"
autostart=false
autorestart=unexpected
startsecs=0
[program:somebody-elses]
command=sleep 600
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The folder of a real supervisord, which runs sleeping programs under the names of ours, and one of somebody."""
    with tempfile.TemporaryDirectory(prefix="od-sv-") as name:
        folder = Path(name)
        (folder / "conf").write_text(CONF.format(folder=folder))
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(folder / "conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
        )
        try:
            yield folder
        finally:
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()  # it would stop its programs one after the other
            process.wait()
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()


@pytest.fixture(params=["fake", "real"])
async def daemons(request: pytest.FixtureRequest) -> AsyncIterator[Daemons]:
    if request.param == "fake":
        fake = FakeDaemons()
        fake.logs["projector"] = "é begins\n"
        fake.breaks = {"saga-runner"}
        await fake.stop("saga-runner")
        yield fake
        return
    folder: Path = request.getfixturevalue("folder")
    real = SupervisedDaemons(folder / "supervisor.sock")
    async with asyncio.timeout(30):
        while True:
            try:
                if (await state(real, "projector")).state == "RUNNING":
                    break
            except DaemonsError:
                pass
            await asyncio.sleep(0.05)
    yield real


async def state(daemons: Daemons, name: str) -> DaemonState:
    return next(state for state in await daemons.states() if state.name == name)


async def refusal(asked: object) -> str:
    with pytest.raises(DaemonsError) as caught:
        await asked  # type: ignore[misc]
    return str(caught.value)


async def test_a_daemon_is_stopped_started_and_restarted_and_each_refusal_is_a_sentence(daemons: Daemons) -> None:
    first = await state(daemons, "projector")
    assert (first.state, first.exit_code) == ("RUNNING", None)
    assert first.pid is not None
    assert first.uptime is not None
    assert await refusal(daemons.start("projector")) == "projector runs already"
    stopped = await daemons.stop("projector")
    assert (stopped.state, stopped.pid, stopped.uptime) == ("STOPPED", None, None)
    assert stopped == await state(daemons, "projector") or stopped.state == "STOPPED"
    assert await refusal(daemons.stop("projector")) == "projector does not run"
    started = await daemons.start("projector")
    assert started.state == "RUNNING"
    assert started.pid not in {first.pid, None}
    again = await daemons.restart("payment-sandbox")  # which takes its time to stop
    assert again.state == "RUNNING"


async def test_a_daemon_that_does_not_come_up_is_told_with_the_reason(daemons: Daemons) -> None:
    for ask in (daemons.start, daemons.restart):
        said = await refusal(ask("saga-runner"))
        assert said.startswith("saga-runner ended at its start (")
        assert said.endswith("; its log says why")
    assert (await state(daemons, "saga-runner")).stopped


async def test_nothing_but_the_programs_of_orderdeck_is_seen_or_touched(daemons: Daemons) -> None:
    states = await daemons.states()
    assert "somebody-elses" not in {state.name for state in states}
    for name in ("somebody-elses", "projector:*", "*", "", "../projector", "somebody-elses:somebody-elses", "\x1b[2J"):
        for asked in (daemons.start(name), daemons.stop(name), daemons.restart(name), daemons.tail(name, after=None)):
            assert "of orderdeck" in await refusal(asked)
    assert [state.pid for state in await daemons.states()] == [state.pid for state in states]


async def test_a_log_is_followed_through_new_lines_and_through_its_rotation(
    daemons: Daemons, request: pytest.FixtureRequest
) -> None:
    def log(text: str) -> None:
        if isinstance(daemons, FakeDaemons):
            daemons.logs["projector"] = text
        else:
            (request.getfixturevalue("folder") / "projector.log").write_text(text)

    log("one é\n")
    first = await daemons.tail("projector", after=None)
    assert (first.text, first.end, first.skipped, first.anew) == ("one é\n", 7, 0, False)
    assert await daemons.tail("projector", after=first.end) == LogPart("", 7)
    log("one é\ntwo\n")
    assert await daemons.tail("projector", after=first.end) == LogPart("two\n", 11)
    log("new\n")
    assert await daemons.tail("projector", after=11) == LogPart("new\n", 4, anew=True)
    log("")
    assert await daemons.tail("projector", after=4) == LogPart("", 0, anew=True)


async def test_a_long_log_is_read_from_its_end_and_what_cannot_be_sent_is_skipped(folder: Path) -> None:
    daemons, log = SupervisedDaemons(folder / "supervisor.sock"), folder / "projector.log"
    log.write_text("é" * 100_000 + "\n")
    end = await daemons.tail("projector", after=None)
    assert end.end == 200_001
    assert end.text == "é" * ((64 * 1024 - 1) // 2) + "\n"
    log.write_text("é" * 100_000 + "\n" + "x" * 300_000)
    more = await daemons.tail("projector", after=end.end)
    assert (len(more.text), more.end, more.skipped) == (256 * 1024, 500_001, 300_000 - 256 * 1024)
    log.write_bytes(b"a\x1b[2J\x00b\xef\xbf\xbf\n")
    strange = await daemons.tail("projector", after=None)
    assert (strange.text, strange.end) == ("a?[2J?b?\n", 11)
    log.write_bytes(b"\xff\xfe\xfd\xfc\xfb is no text\n")
    assert await daemons.tail("projector", after=None) == LogPart("", 17, 17)


async def test_two_logs_are_read_apart_and_a_program_that_is_done_counts_as_started(folder: Path) -> None:
    daemons = SupervisedDaemons(folder / "supervisor.sock")
    assert (await state(daemons, "saga-runner")).separate_errors
    assert not (await state(daemons, "projector")).separate_errors
    await refusal(daemons.start("saga-runner"))
    assert "broken\n" in (await daemons.tail("saga-runner", after=None, errors=True)).text
    assert (await daemons.tail("saga-runner", after=None)).text == ""
    assert (await daemons.start("postgres")).state in {"RUNNING", "EXITED"}
    assert await daemons.readiness() is None, "the ports of another home are not asked"


async def test_a_change_is_seen_at_once(folder: Path) -> None:
    daemons = SupervisedDaemons(folder / "supervisor.sock")
    before = await state(daemons, "payment-sandbox")
    assert before.pid is not None
    psutil.Process(before.pid).kill()
    began = time.monotonic()
    async with asyncio.timeout(10):
        while (await state(daemons, "payment-sandbox")).pid in {before.pid, None}:
            await asyncio.sleep(0.05)
    assert time.monotonic() - began < 5
