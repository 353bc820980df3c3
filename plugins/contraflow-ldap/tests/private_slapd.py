"""A slapd of one's own: on loopback, with its own configuration, from a database that is made once and copied.

``python private_slapd.py FOLDER PORT`` runs one in the foreground until it is stopped.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

BASE = "ou=people,dc=example,dc=org"
BIND_DN = "cn=sync,dc=example,dc=org"
PASSWORD = "Dolce far niente"
START_SECONDS = 20.0
STOP_SECONDS = 10.0

_CONFIGURATION = """\
include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
moduleload unique
pidfile {folder}/slapd.pid
{tls}
database mdb
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw admin
directory {folder}/data
maxsize 33554432
dbnosync
index objectClass,uid,mail,employeeNumber,entryUUID eq
limits dn.exact="{bind_dn}" size.soft=500 size.hard=500 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=protected,{base}" by * read
access to dn.subtree="{base}" by dn.exact="{bind_dn}" write by * read
access to * by * read
overlay unique
unique_uri ldap:///{base}?mail?sub
{extra}
"""

_ENTRIES = f"""\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: {BIND_DN}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: sync
userPassword: {PASSWORD}

dn: {BASE}
objectClass: organizationalUnit
ou: people

dn: ou=leavers,{BASE}
objectClass: organizationalUnit
ou: leavers

dn: ou=protected,{BASE}
objectClass: organizationalUnit
ou: protected
"""


class SlapdError(Exception):
    """slapd is not installed, or did not start. The message is for people."""


@attrs.define(kw_only=True)
class Slapd:
    """A slapd that can be stopped and started again on the same port."""

    folder: Path
    port: int
    tls_port: int | None = None
    extra: str = ""
    tls: str = ""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens without TLS."""
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            SlapdError: It ended, or kept silent.
        """
        schema, modules = _installed()
        text = _CONFIGURATION.format(
            schema=schema,
            modules=modules,
            folder=self.folder,
            base=BASE,
            bind_dn=BIND_DN,
            extra=self.extra,
            tls=self.tls,
        )
        configuration = self.folder / "slapd.conf"
        configuration.write_text(text, encoding="utf-8")
        urls = f"{self.url}/" + (f" ldaps://127.0.0.1:{self.tls_port}/" if self.tls_port else "")
        log = self.folder / "slapd.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [_slapd(), "-f", str(configuration), "-h", urls, "-d", "0"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SlapdError(f"slapd did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)

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


def make_template(folder: Path) -> Path:
    """Make the database that is copied for each server.

    Raises:
        SlapdError: slapd is not installed.
    """
    schema, modules = _installed()
    (folder / "data").mkdir(parents=True)
    text = _CONFIGURATION.format(
        schema=schema, modules=modules, folder=folder, base=BASE, bind_dn=BIND_DN, extra="", tls=""
    )
    (folder / "slapd.conf").write_text(text, encoding="utf-8")
    slapadd = Path(_slapd()).with_name("slapadd")
    command: Sequence[str] = [str(slapadd), "-q", "-f", str(folder / "slapd.conf")]
    done = subprocess.run(command, input=_ENTRIES, text=True, capture_output=True)
    if done.returncode != 0:
        raise SlapdError(f"slapadd failed: {done.stderr[-2000:]}")
    return folder


@contextlib.contextmanager
def running(
    template: Path,
    folder: Path,
    *,
    port: int | None = None,
    extra: str = "",
    certificates: Mapping[str, Path] | None = None,
) -> Iterator[Slapd]:
    """Run a slapd on a copy of the template for the length of a ``with`` block.

    Args:
        template: What ``make_template`` made.
        folder: A folder of its own, which may exist.
        port: The port on 127.0.0.1, or ``None`` for any that is free.
        extra: More lines of its configuration, for the database.
        certificates: Files ``ca``, ``certificate`` and ``key`` for TLS, which then has a port of its own as well.
    """
    shutil.copytree(template, folder, dirs_exist_ok=True)
    tls = "".join(
        f"TLS{directive} {certificates[name]}\n"
        for directive, name in (
            ("CACertificateFile", "ca"),
            ("CertificateFile", "certificate"),
            ("CertificateKeyFile", "key"),
        )
        if certificates
    )
    tls_port = free_port() if certificates else None
    slapd = Slapd(folder=folder, port=port or free_port(), tls_port=tls_port, extra=extra, tls=tls)
    slapd.start()
    try:
        yield slapd
    finally:
        slapd.stop()


def version() -> str:
    """What the installed slapd says of itself: ``2.5.13``."""
    told = subprocess.run([_slapd(), "-VV"], capture_output=True, text=True, check=False).stderr
    return re.findall(r"slapd (\d[\d.]*)", told)[0]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _slapd() -> str:
    found = shutil.which("slapd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/usr/lib/openldap")
    if found is None:
        raise SlapdError("slapd is not installed (Debian: apt-get install slapd)")
    return found


def _installed() -> tuple[Path, Path]:
    """The folders of slapd's schemas and modules."""
    _slapd()
    schemas = [Path("/etc/ldap/schema"), Path("/etc/openldap/schema")]
    modules = [Path("/usr/lib/ldap"), Path("/usr/lib/openldap"), Path("/usr/lib64/openldap")]
    try:
        return next(filter(Path.is_dir, schemas)), next(filter(Path.is_dir, modules))
    except StopIteration:
        raise SlapdError("slapd is installed without its schemas or modules") from None


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def main(folder: Path, port: int) -> None:
    """Run one until somebody stops it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with running(make_template(folder / "template"), folder / "server", port=port) as slapd:
        os.waitpid(slapd.pid, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
