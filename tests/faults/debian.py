"""Patroni and etcd: those of this machine, or Debian's packages, downloaded and unpacked without being installed.

Installing them would start an etcd on this machine, and need root.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from platformdirs import user_cache_path

POSTGRES_BIN = Path(os.environ.get("POSTGRES_BIN", "/usr/lib/postgresql/15/bin"))
#: Patroni with what it needs to use etcd 3 and PostgreSQL, and etcd.
_PACKAGES = (
    *("patroni", "etcd-server", "python3-cdiff", "python3-click", "python3-colorama", "python3-dateutil"),
    *("python3-six", "python3-pkg-resources", "python3-prettytable", "python3-wcwidth", "python3-psutil"),
    *("python3-urllib3", "python3-yaml", "libyaml-0-2", "python3-psycopg2", "python3-etcd", "python3-dnspython"),
)
_NETWORK_SECONDS = 120


@dataclass(frozen=True)
class Programs:
    """How Patroni and etcd are started: the commands, and further variables for Patroni's environment."""

    patroni: tuple[str, ...]
    etcd: str
    environ: dict[str, str]


def find_programs() -> Programs:
    """Find them, or download them; skip the test with the reason where that is impossible."""
    if not (POSTGRES_BIN / "pg_rewind").exists():
        pytest.skip(
            f"NOT TESTED: failovers, since there is no PostgreSQL in {POSTGRES_BIN}; on Debian: apt-get install"
            " postgresql-15, or set POSTGRES_BIN"
        )
    patroni, etcd = shutil.which("patroni"), shutil.which("etcd")
    if patroni and etcd:
        return Programs((patroni,), etcd, {})
    # As root, another user runs them, who cannot read what is root's own.
    cache = Path("/var/cache/tallymark-tests") if os.geteuid() == 0 else user_cache_path("tallymark-tests")
    root = cache / "patroni"
    if not root.exists() and not _download(root):
        pytest.skip(
            "NOT TESTED: failovers, since Patroni and etcd are neither installed nor can apt-get download them;"
            " on Debian: apt-get install patroni etcd-server"
        )
    libraries = [str(path) for path in (root / "usr/lib").glob("*-linux-*")]
    environ = {"PYTHONPATH": str(root / "usr/lib/python3/dist-packages"), "LD_LIBRARY_PATH": ":".join(libraries)}
    return Programs(("/usr/bin/python3", str(root / "usr/bin/patroni")), str(root / "usr/bin/etcd"), environ)


def _download(root: Path) -> bool:
    """Download the packages and unpack them into a directory; return whether all of them were there."""
    new = root.with_name(f"{root.name}.{os.getpid()}")
    debs = new / "debs"
    debs.mkdir(parents=True)
    # As root, apt-get downloads as a user of its own, who must be able to write here.
    debs.chmod(0o777)
    try:
        subprocess.run(
            ["/usr/bin/apt-get", "download", "-qq", *_PACKAGES],
            cwd=debs, check=True, capture_output=True, timeout=_NETWORK_SECONDS,
        )  # fmt: skip
        for deb in debs.glob("*.deb"):
            subprocess.run(["/usr/bin/dpkg", "-x", str(deb), str(new)], check=True, capture_output=True, timeout=60)
        shutil.rmtree(debs)
        new.rename(root)
    except (OSError, subprocess.SubprocessError):
        return root.exists()  # another run may have been faster
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return True
