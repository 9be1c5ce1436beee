"""The folders of a home: only we may enter them, and what somebody else has put in their place is refused."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from core import home as home_module
from core.errors import ConfigurationError
from core.folders import give, make_folder
from core.home import LEDGER, Home, unprivileged_user
from daemons.process.drop_root import keep_code_open
from tests.support.stack import ROOT

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")
NOBODY = 65_534


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder in which everybody may put files, as in /tmp."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def folder_of_runs(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a home with a long path has its sockets; it is in the shared folder here."""
    monkeypatch.setattr(home_module, "SYSTEM_RUN", shared / "run")
    monkeypatch.setattr(home_module, "_short_folder_of", lambda _: shared / "run" / "abc")
    return shared / "run"


@pytest.fixture
def sockets_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of tests have long paths; here no socket is made, so none can be too long."""
    monkeypatch.setattr(home_module, "LONGEST_SOCKET_PATH", 500)


def long_home(tmp_path: Path) -> Home:
    return Home(tmp_path / ("d" * 60) / ("e" * 60))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def theirs(path: Path) -> None:
    path.mkdir(mode=0o777)
    os.chown(path, NOBODY, NOBODY)


IN_ITS_PLACE: dict[str, Callable[[Path], object]] = {
    "a link to a folder of ours": lambda path: path.symlink_to(path.parent.parent),
    "a link to nothing": lambda path: path.symlink_to("/nonexistent"),
    "a file": Path.touch,
    "a pipe": os.mkfifo,
}


@pytest.mark.parametrize("put", IN_ITS_PLACE.values(), ids=IN_ITS_PLACE)
def test_what_is_no_folder_in_a_shared_place_is_refused_in_a_sentence(
    shared: Path, put: Callable[[Path], object]
) -> None:
    put(shared / "run")
    before = mode(shared.parent)
    with pytest.raises(
        ConfigurationError, match=r"shared/run is a link or a file, and not a folder of ours: remove it"
    ):
        make_folder(shared / "run", 0o700)
    assert mode(shared.parent) == before


@ROOT_ONLY
def test_a_folder_that_another_user_has_made_in_a_shared_place_is_refused(tmp_path: Path, folder_of_runs: Path) -> None:
    theirs(folder_of_runs)
    with pytest.raises(ConfigurationError, match=r"shared/run belongs to someone else: remove it, or set another"):
        long_home(tmp_path).create()
    folder_of_runs.rmdir()
    folder_of_runs.mkdir()
    theirs(folder_of_runs / "abc")
    folder_of_runs.chmod(0o777)  # `create` closes it first, so this one is root's to take over
    long_home(tmp_path).create()
    assert (folder_of_runs / "abc").stat().st_uid == 0
    assert mode(folder_of_runs) == 0o755


@ROOT_ONLY
@pytest.mark.usefixtures("sockets_in_the_home")
def test_root_takes_over_a_home_in_a_checkout_of_another_user_without_the_links_in_it(tmp_path: Path) -> None:
    path = tmp_path / "checkout" / ".orderdeck"
    for folder in (path.parent, path, path / "logs", path / "run"):
        theirs(folder)
    path.parent.chmod(0o755)
    precious = tmp_path / "precious"
    precious.touch(mode=0o600)
    for link in (path / "logs" / "projector.log", path / "run" / "supervisord.conf"):
        link.symlink_to(precious)
    Home(path).create()
    for folder in (path, path / "logs", path / "run"):
        assert folder.stat().st_uid == 0
        assert mode(folder) & 0o027 == 0, folder
    assert [*(path / "logs").iterdir(), *(path / "run").iterdir()] == []


@pytest.mark.usefixtures("sockets_in_the_home")
def test_an_older_home_that_others_could_read_is_closed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    for folder in (home.path, home.logs, home.path / "run"):
        folder.mkdir(mode=0o755)
    (home.path / LEDGER).touch(mode=0o644)
    home.create()
    assert [mode(folder) & 0o007 for folder in (home.path, home.logs)] == [0, 0]
    assert mode(home.path / LEDGER) == 0o600
    home.create()


@pytest.mark.usefixtures("sockets_in_the_home")
def test_a_home_whose_path_is_a_link_of_ours_works(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    Home(tmp_path / "home").create()
    assert (tmp_path / "disk" / "logs").is_dir()


@pytest.fixture
def opened() -> Iterator[Path]:
    """A folder that the daemons' user can enter."""
    folder = Path("/var/tmp") / f"orderdeck-test-{os.getpid()}"  # noqa: S108 - root makes it, and removes it
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@ROOT_ONLY
def test_root_gives_the_daemons_a_ledger_that_an_older_release_kept_in_the_home(opened: Path) -> None:
    user = unprivileged_user()
    assert user is not None
    home = Home(opened / "home")
    home.create()
    for end in ("", "-wal"):
        (home.path / (LEDGER + end)).write_text(f"kept{end}")
    assert home.ledger == home.path / LEDGER
    for _ in range(2):
        home.hand_over(user)
        assert home.ledger.parent == home.path / "sandbox"
        assert home.ledger.read_text() == "kept"
        assert home.ledger.with_name(f"{LEDGER}-wal").read_text() == "kept-wal"
        assert (home.ledger.stat().st_uid, mode(home.ledger)) == (user.pw_uid, 0o600)
        assert (home.path.stat().st_uid, mode(home.path)) == (0, 0o710)
    for end in ("", "-wal"):
        (home.path / (LEDGER + end)).write_text("another one, that somebody put there later")
    with pytest.raises(ConfigurationError, match="both the payment sandbox's ledger: remove the wrong one"):
        home.hand_over(user)
    assert home.ledger.read_text() == "kept"
    assert home.ledger.with_name(f"{LEDGER}-wal").read_text() == "kept-wal"


@ROOT_ONLY
def test_root_gives_nobody_a_file_that_a_link_or_a_second_name_leads_to(opened: Path) -> None:
    user = unprivileged_user()
    assert user is not None
    outside, inside = opened / "precious", opened / "theirs"
    outside.touch()
    (inside / "deep").mkdir(parents=True)
    (inside / "deep" / "file").touch()
    (inside / "second name").hardlink_to(outside)
    (inside / "link").symlink_to(outside)
    give(inside, user)
    assert outside.stat().st_uid == 0
    assert [path.stat().st_uid for path in (inside, inside / "deep", inside / "deep" / "file")] == [user.pw_uid] * 3
    give(inside / "second name", user)
    with pytest.raises(OSError, match="symbolic links"):
        give(inside / "link", user)
    assert outside.stat().st_uid == 0


@ROOT_ONLY
def test_a_daemon_of_root_looks_for_certificates_in_the_home_of_the_user_that_it_becomes(opened: Path) -> None:
    """The folder of root is closed to it, and with `HOME` there no connection over TCP could be made."""
    look = "print(Path.home(), (Path.home() / '.postgresql/root.crt').exists())"
    become = (
        "from daemons.process.drop_root import drop_root, Home, Path; import sys; drop_root(Home(Path(sys.argv[1])))"
    )
    (opened / "closed").mkdir(mode=0o700)
    done = subprocess.run(
        [sys.executable, "-c", f"{become}; {look}", opened / "home"],
        cwd=ROOT,
        env=os.environ | {"HOME": str(opened / "closed"), "SUPERVISOR_ENABLED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    user = unprivileged_user()
    assert user is not None
    assert done.stdout.startswith(f"{user.pw_dir} "), done.stderr


def test_a_new_folder_is_there_only_with_its_mode_so_that_no_daemon_finds_it_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, int]] = []
    rename = Path.rename

    def look(self: Path, target: Path) -> Path:
        seen.append((target.exists(), self.stat().st_mode & 0o777))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", look)
    make_folder(tmp_path / "run", 0o710)
    make_folder(tmp_path / "run", 0o710)
    assert seen == [(False, 0o710)]
    assert [(each.name, each.stat().st_mode & 0o777) for each in tmp_path.iterdir()] == [("run", 0o710)]


@ROOT_ONLY
def test_code_that_is_closed_to_the_user_of_the_daemons_is_named_with_what_opens_it(
    opened: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = opened / "closed code"
    closed.mkdir(mode=0o700)
    module = ModuleType("closed_code")
    module.__path__ = [str(closed)]
    monkeypatch.setitem(sys.modules, "closed_code", module)
    user = unprivileged_user()
    assert user is not None
    opens = f"{closed}, made under a strict umask: let everybody read it with `chmod -R a+rX {shlex.quote(sys.prefix)} "
    with pytest.raises(ConfigurationError, match=re.escape(opens)):
        keep_code_open(user)
