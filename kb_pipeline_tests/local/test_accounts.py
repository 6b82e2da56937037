"""Root, an ordinary user, and folders that PostgreSQL's own account cannot enter."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from kb_pipeline.core.errors import KbError, SettingsError
from kb_pipeline.local import installation, stack
from kb_pipeline.local.processes import Account
from kb_pipeline.settings import Settings
from kb_pipeline_tests.local.conftest import database_only

NOBODY = Account(65534, 65534, "nobody")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become other users")


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as /root is, and a place outside it for what another account must reach."""
    tmp_path.chmod(0o700)
    outside = Path(tempfile.mkdtemp(prefix="kb-outside-"))
    monkeypatch.setattr(installation, "OUTSIDE", outside)
    yield tmp_path
    stack.down(Settings(home=tmp_path / "home"))
    shutil.rmtree(outside)


def read_one(settings: Settings) -> object:
    with psycopg.connect(stack.database_dsn(settings)) as connection:
        return connection.execute("SELECT 1").fetchone()


@as_root
def test_for_root_postgresql_runs_as_another_user(database: Settings) -> None:
    pid = stack.status(database)[0].pid
    assert pid is not None
    assert 0 not in psutil.Process(pid).uids()
    assert 0 not in psutil.Process(pid).gids()
    assert Path(f"/proc/{pid}/status").read_text().split("Groups:")[1].splitlines()[0].strip() == ""


@as_root
def test_a_home_below_a_closed_folder_keeps_its_data_outside(closed: Path) -> None:
    settings, events = database_only(closed / "home"), []
    stack.up(settings, events.append)
    place = (settings.home / "postgres").resolve()
    assert place.parent == installation.OUTSIDE
    assert [event for event in events if "cannot enter" in event and str(place) in event]
    assert read_one(settings) == (1,)
    stack.down(settings)
    stack.up(settings)
    assert (settings.home / "postgres").resolve() == place


@as_root
def test_a_home_that_was_deleted_and_made_anew_does_not_inherit_old_data(closed: Path) -> None:
    settings, events = database_only(closed / "home"), []
    stack.up(settings)
    pid = stack.status(settings)[0].pid
    shutil.rmtree(settings.home)  # while its server still runs
    stack.up(settings, events.append)
    assert any("earlier" in event for event in events)
    assert not psutil.pid_exists(pid or 0) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert read_one(settings) == (1,)


@as_root
def test_an_environment_below_a_closed_folder_has_its_programs_copied(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = installation.package_folder()
    there = closed / "site-packages" / package.name
    shutil.copytree(package, there, ignore=shutil.ignore_patterns("pginstall", "include"))
    shutil.copytree(package.with_name(f"{package.name}.libs"), there.with_name(f"{package.name}.libs"))
    monkeypatch.setattr(installation, "package_folder", lambda: there)
    settings = database_only(closed / "home")
    stack.up(settings)
    assert read_one(settings) == (1,)


@as_root
def test_where_nothing_can_be_used_it_says_so_at_once(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (closed / "file").write_text("not a folder")
    monkeypatch.setattr(installation, "OUTSIDE", closed / "file" / "kb_pipeline")
    with pytest.raises(SettingsError, match="Set KB_HOME"):
        stack.up(database_only(closed / "home"))


@as_root
def test_an_ordinary_user_needs_no_root(new_home: Callable[[], Path], database: Settings) -> None:
    if blocked := installation.closed_folder(installation.package_folder(), NOBODY):
        pytest.skip(f"the environment lies below {blocked}, which ordinary users cannot enter")
    settings = database_only(new_home())
    settings.home.mkdir()
    os.chown(settings.home, NOBODY.uid, NOBODY.gid)
    read_one(database)  # loads what the child may be unable to read: the interpreter can lie below /root
    assert become_and_run(NOBODY, lambda: [stack.up(settings), stack.up(settings), read_one(settings)]) == 0
    pid = stack.status(settings)[0].pid
    assert psutil.Process(pid).uids().real == NOBODY.uid
    assert become_and_run(NOBODY, lambda: stack.down(settings)) == 0
    assert not stack.status(settings)[0].running


@as_root
def test_what_root_made_an_ordinary_user_is_told_about(database: Settings) -> None:
    assert become_and_run(NOBODY, lambda: stack.database_dsn(database)) == SettingsError.exit_code


def become_and_run(account: Account, action: Callable[[], object]) -> int:
    """Run `action` in a child that has given up root for good; its exit code, as the command line would return it."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setgroups([])
            os.setresgid(account.gid, account.gid, account.gid)
            os.setresuid(account.uid, account.uid, account.uid)
            action()
            code = 0
        except KbError as error:
            code = error.exit_code
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@as_root
def test_a_full_disk_is_named_and_mended_by_making_space(new_home: Callable[[], Path]) -> None:
    home = new_home()
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", home], check=False).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        with pytest.raises(KbError) as caught:
            stack.up(database_only(home))
        assert type(caught.value).__name__ == "DiskFull"
        assert "KB_HOME" in caught.value.remedy
        subprocess.run(["mount", "-o", "remount,size=300m", home], check=True)
        stack.up(database_only(home))
        assert read_one(database_only(home)) == (1,)
        stack.down(database_only(home))
    finally:
        subprocess.run(["umount", home], check=True)
