"""A real Postgres for tests, with Debian's programs, its own folder and a free loopback port, never as root."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import free_port

USER = "platform"
_ACCOUNT = "postgres"  # Debian's package makes it; Postgres refuses to run as root


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server that accepts every connection; for tests on this machine only."""

    port: int
    folder: Path

    def address(self, database: str, driver: str = "postgresql+psycopg") -> str:
        return f"{driver}://{USER}@127.0.0.1:{self.port}/{database}"

    def run(self, program: str, *args: str, expect: int | None = 0) -> str:
        """Run a client program (psql, pg_dump, …) against it and return what it prints."""
        environment = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": USER}
        done = subprocess.run(
            [program_path(program), *args],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert expect is None or done.returncode == expect, (
            f"{program} {' '.join(args)} exited {done.returncode}:\n{done.stderr}"
        )
        return done.stdout

    def make_database(self, name: str) -> None:
        self.run("psql", "postgres", "-qc", f'create database "{name}"')


def program_path(program: str) -> str:
    """Path of a Postgres program; if it is missing, skips the test, or fails it under REQUIRE_ENGINES."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True
    )
    found = shutil.which(program, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]))
    if found is None:
        reason = f"{program} is not here: install Debian's postgresql package"
        if os.environ.get("REQUIRE_ENGINES"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start one and stop it at the end."""
    initdb, server = program_path("initdb"), program_path("postgres")
    account = _ACCOUNT if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(
        prefix="mlp-postgres-"
    ) as scratch:  # short: a socket's path has at most 107 characters
        folder = Path(scratch)
        if account:
            shutil.chown(folder, account, account)
        data, log, port = folder / "data", folder / "log.txt", free_port()
        subprocess.run(
            [initdb, "-D", str(data), "-U", USER, "--auth=trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            user=account,
            group=account,
        )
        # Nothing here has to outlive a power cut.
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "fsync": "off",
            "max_connections": 200,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with log.open("w") as output:
            process = subprocess.Popen(
                [server, "-D", str(data), *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                user=account,
                group=account,
            )
            try:
                _wait_until_ready(process, port, log)
                yield Postgres(port, folder)
            finally:
                process.send_signal(2)  # fast shutdown: open connections are cut
                process.wait(timeout=30)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    ready = [program_path("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
    for _ in range(600):
        assert process.poll() is None, f"Postgres ended with {process.returncode}:\n{log.read_text()}"
        if subprocess.run(ready, timeout=10).returncode == 0:
            return
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(f"Postgres did not answer:\n{log.read_text()}")
