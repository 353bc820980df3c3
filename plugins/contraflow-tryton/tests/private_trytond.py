"""A trytond of one's own: in its own virtual environment, on loopback, on a copy of a database that is made once.

``python private_trytond.py --install`` makes environment and database; ``python private_trytond.py FOLDER PORT`` runs one in
the foreground until it is stopped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

VERSION = "8.0"
"""Tryton's series with long-term support."""
PACKAGES = (f"trytond~={VERSION}.0", f"trytond-party~={VERSION}.0")
ENVIRONMENT = Path(__file__).resolve().parents[3] / ".demo" / f"tryton-{VERSION}"
DATABASE = "erp"
USER = "admin"
PASSWORD = "Dolce far niente"
START_SECONDS = 60.0
STOP_SECONDS = 10.0

_CONFIGURATION = """\
[database]
uri = sqlite://
path = {folder}
[web]
listen = 127.0.0.1:{port}
[session]
authentications = password
{extra}
"""

_COUNTRIES = (("AT", "Austria"), ("CZ", "Czechia"), ("DE", "Germany"))


class TrytondError(Exception):
    """trytond cannot be installed or started. The message is for people."""


@attrs.define(kw_only=True)
class Trytond:
    """A trytond that can be stopped and started again on the same port."""

    environment: Path
    folder: Path
    port: int
    scheme: str = "http"
    extra: str = ""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            TrytondError: It ended, or kept silent.
        """
        configuration = _write_configuration(self.folder, self.port, self.extra)
        log = self.folder / "trytond.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(_program(self.environment, "trytond")), "-c", str(configuration), "-d", DATABASE],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise TrytondError(f"trytond did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it; what was written stays in its folder."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def version(self) -> str:
        """The installed server's: ``8.0.12``."""
        command = "import importlib.metadata; print(importlib.metadata.version('trytond'))"
        python = [str(_program(self.environment, "python")), "-c", command]
        return subprocess.run(python, capture_output=True, text=True, check=True).stdout.strip()

    def execute(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Run a statement in the database, as its administrator might."""
        file = self.folder / f"{DATABASE}.sqlite"
        with contextlib.closing(sqlite3.connect(file, timeout=10)) as connection, connection:
            return connection.execute(statement, values).fetchall()


def is_installed(environment: Path = ENVIRONMENT) -> bool:
    """Whether ``install`` once finished for this folder."""
    return _template(environment).is_file()


def install(environment: Path = ENVIRONMENT) -> None:
    """Make the virtual environment, install Tryton into it, and make the database that is copied for each server.

    Raises:
        TrytondError: It cannot be done; with the last words of what failed.
    """
    shutil.rmtree(environment, ignore_errors=True)
    venv.create(environment, symlinks=os.name != "nt")  # our own pip serves it: quicker than giving it another
    pip = [sys.executable, "-m", "pip", "--python", str(_program(environment, "python")), "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", *PACKAGES])
    folder = environment / "template"
    folder.mkdir()
    database = folder / f"{DATABASE}.sqlite"
    database.touch()
    configuration = _write_configuration(folder, 0, "")
    secret = folder / "password"
    secret.write_text(f"{PASSWORD}\n", encoding="utf-8")
    command = [str(_program(environment, "trytond-admin")), "-c", str(configuration), "-d", DATABASE]
    options = ["-u", "party", "--activate-dependencies", "--email", "admin@example.org", "-l", "en"]
    _run([*command, *options], TRYTONPASSFILE=str(secret))
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany("INSERT INTO country_country (code, name, active) VALUES (?, ?, 1)", _COUNTRIES)
    database.rename(_template(environment))


@contextlib.contextmanager
def running(
    folder: Path,
    *,
    environment: Path = ENVIRONMENT,
    port: int | None = None,
    extra: str = "",
    certificates: Mapping[str, Path] | None = None,
) -> Iterator[Trytond]:
    """Run a trytond on a copy of the database for the length of a ``with`` block.

    Args:
        folder: A folder of its own, which need not exist.
        environment: Where it is installed.
        port: The port on 127.0.0.1, or ``None`` for any that is free.
        extra: More sections of its configuration.
        certificates: Files ``certificate`` and ``key`` for TLS.
    """
    if not is_installed(environment):
        raise TrytondError(f"Tryton is not installed in {environment}; `make test` does it")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_template(environment), folder / f"{DATABASE}.sqlite")
    scheme = "http"
    if certificates:
        scheme = "https"
        extra += f"\n[ssl]\ncertificate = {certificates['certificate']}\nprivatekey = {certificates['key']}\n"
    trytond = Trytond(environment=environment, folder=folder, port=port or free_port(), scheme=scheme, extra=extra)
    trytond.start()
    try:
        yield trytond
    finally:
        trytond.stop()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_configuration(folder: Path, port: int, extra: str) -> Path:
    configuration = folder / "trytond.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, extra=extra), encoding="utf-8")
    return configuration


def _run(command: Sequence[str], **variables: str) -> None:
    done = subprocess.run(
        command, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-2000:]
        raise TrytondError(f"{' '.join(command[:4])} ... failed:\n{words}")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _template(environment: Path) -> Path:
    return environment / "template.sqlite"


def _program(environment: Path, name: str) -> Path:
    folder, end = ("Scripts", ".exe") if sys.platform == "win32" else ("bin", "")
    return environment / folder / f"{name}{end}"


def main(arguments: list[str]) -> int:
    """Install, or run one until somebody stops it."""
    try:
        if arguments == ["--install"]:
            if not is_installed():
                print(f"Installing Tryton {VERSION} into .demo/{ENVIRONMENT.name}, once ...", flush=True)
                install()
            return 0
        with running(Path(arguments[0]), port=int(arguments[1])) as trytond:
            os.waitpid(trytond.pid, 0)
    except TrytondError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
