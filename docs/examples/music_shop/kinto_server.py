"""The remote's life: install Kinto into its own virtual environment, start it on loopback, stop it again.

Kinto (https://kinto.readthedocs.io) is a real REST store of JSON records with accounts, ETags and a batch endpoint. It
stands for the CRM or shop front that your application has to keep up to date. Here it keeps its records in memory.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import httpx

VERSION = "26.5.0"
# Not "contraflow": what comes from the environment is masked wherever it is written.
USER = "music-shop"
START_SECONDS = 60.0
STOP_SECONDS = 10.0

_START = "import sys; from kinto.__main__ import main; sys.exit(main())"
"""The ``kinto`` command without its script, whose first line fails in a folder with a long path."""

_INI = """\
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = %(http_port)s

[app:main]
use = egg:kinto
kinto.project_name = {name}
kinto.includes = kinto.plugins.accounts
kinto.storage_backend = kinto.core.storage.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.userid_hmac_secret = {secret}
multiauth.policies = account
multiauth.policy.account.use = kinto.plugins.accounts.AccountsPolicy
kinto.account_create_principals = system.Everyone
kinto.account_cache_ttl_seconds = 600
kinto.bucket_create_principals = account:{user}
# Records take their bucket's permissions: with a list for each, Kinto in memory becomes slow with their number.
kinto.explicit_permissions = false
kinto.batch_max_requests = 100
kinto.paginate_by = 1000

[loggers]
keys = root

[handlers]
keys = console

[formatters]
keys = plain

[logger_root]
level = WARNING
handlers = console

[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain

[formatter_plain]
format = %(asctime)s %(levelname)s %(name)s %(message)s
"""


class KintoError(Exception):
    """Kinto cannot be installed or started. The message is for the person at the screen."""


@attrs.frozen(kw_only=True)
class Kinto:
    """A running Kinto: where it is, and the account that may write to it."""

    url: str
    """Root of its API, without a slash at the end: ``http://127.0.0.1:43210/v1``."""
    user: str
    password: str = attrs.field(repr=False)
    pid: int
    log: Path


def is_installed(environment: Path) -> bool:
    """Whether ``install`` once finished for this folder and this version."""
    return _stamp(environment).is_file() and _python(environment).exists()


def install(environment: Path) -> None:
    """Create the virtual environment and install Kinto into it, from nothing: a half-made one is thrown away.

    Args:
        environment: The folder of the virtual environment.

    Raises:
        KintoError: pip cannot install it; the message has pip's last word and the place of its log.
    """
    shutil.rmtree(environment, ignore_errors=True)
    environment.parent.mkdir(parents=True, exist_ok=True)
    log = environment.with_name(f"{environment.name}-pip.log")
    pip = [sys.executable, "-m", "pip", "--python", str(_python(environment)), "--disable-pip-version-check"]
    try:
        venv.create(environment, symlinks=os.name != "nt")  # our own pip serves it: quicker than giving it another
        with log.open("w", encoding="utf-8") as output:
            command = [*pip, "install", f"kinto=={VERSION}"]
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT).returncode
    except (OSError, subprocess.SubprocessError) as error:
        raise KintoError(f"no virtual environment for Kinto in {environment}: {error}") from error
    if code != 0:
        errors = (
            [line for line in _tail(log, 200) if line.startswith("ERROR:")] or _tail(log, 1) or [f"exit code {code}"]
        )
        raise KintoError(f"pip cannot install kinto=={VERSION}: {errors[-1]} (all of it: {log})")
    _stamp(environment).touch()


@contextlib.contextmanager
def running(environment: Path, folder: Path, *, port: int | None = None) -> Iterator[Kinto]:
    """Run Kinto with empty memory for the length of a ``with`` block.

    Args:
        environment: The virtual environment in which ``install`` put it.
        folder: An existing folder for its configuration and its log.
        port: The port on 127.0.0.1, or ``None`` for any that is free.

    Yields:
        The server: it answers, and the account exists.

    Raises:
        KintoError: The port is taken, or Kinto ended or kept silent instead of answering; with the end of its log.
    """
    port = _free_port(port)
    name = f"contraflow-demo-{secrets.token_hex(8)}"
    ini = folder / "kinto.ini"
    ini.touch(mode=0o600)
    ini.write_text(_INI.format(name=name, secret=secrets.token_hex(32), user=USER), encoding="utf-8")
    log = folder / "kinto.log"
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [str(_python(environment)), "-c", _START, "start", "--ini", str(ini), "--port", str(port)],
            cwd=folder,
            env=_server_environment(ini),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C is for us; we stop Kinto when we are done with it
        )
    try:
        url = f"http://127.0.0.1:{port}/v1"
        _wait_until_it_answers(process, url, name, log)
        yield Kinto(url=url, user=USER, password=_create_account(url), pid=process.pid, log=log)
    finally:
        _stop(process)


def _free_port(wanted: int | None) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if wanted is not None:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself does
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except (OSError, OverflowError) as error:
            raise KintoError(
                f"port {wanted} of 127.0.0.1 cannot be used ({error}); leave --port away for a free one"
            ) from error
        return int(probe.getsockname()[1])


def _server_environment(ini: Path) -> Mapping[str, str]:
    """Ours without ``KINTO_*``, which Kinto would take for its own settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KINTO_")}
    return inherited | {"KINTO_INI": str(ini), "PYTHONUNBUFFERED": "1"}


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, name: str, log: Path) -> None:
    """Return once *this* Kinto answers; its random name tells it from another server on the same port."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise KintoError(_with_log(f"Kinto ended at once, with exit code {process.returncode}.", log))
        with contextlib.suppress(httpx.HTTPError, ValueError, AttributeError):
            if httpx.get(f"{url}/", timeout=2.0, trust_env=False).json().get("project_name") == name:
                return
        time.sleep(0.1)
    raise KintoError(_with_log(f"Kinto did not answer at {url} within {START_SECONDS:.0f} seconds.", log))


def _create_account(url: str) -> str:
    password = secrets.token_urlsafe(24)
    answer = httpx.put(f"{url}/accounts/{USER}", json={"data": {"password": password}}, timeout=30.0, trust_env=False)
    if answer.status_code != httpx.codes.CREATED:
        raise KintoError(f"Kinto refused to create the account {USER!r}: HTTP {answer.status_code}")
    return password


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _with_log(message: str, log: Path) -> str:
    return "\n".join([message, f"The end of its log, {log}:", *(f"    {line}" for line in _tail(log, 12))])


def _tail(path: Path, count: int) -> list[str]:
    """The last lines of a text file that are not blank."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return [line for line in lines if line.strip()][-count:]


def _python(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _stamp(environment: Path) -> Path:
    return environment / f".kinto-{VERSION}"
