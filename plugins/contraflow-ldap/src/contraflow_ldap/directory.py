"""The connection to a directory: opened, lost, opened again; and the five requests that this connector makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import attrs

from contraflow_hookspecs import SystemicError, TransientError
from contraflow_ldap.driver import VerifiedTls, exceptions, ldap3, post_read_control
from contraflow_ldap.faults import NO_SUCH_OBJECT, Answer, Reach
from contraflow_ldap.settings import LdapSettings
from contraflow_ldap.values import moment_of

ENTRY_UUID = "entryUUID"
"""What stays the same of an entry through renames and moves (RFC 4530)."""
MODIFIED = "modifyTimestamp"

_POST_READ = "1.3.6.1.1.13.2"
_PAGED_RESULTS = "1.2.840.113556.1.4.319"
_PAGE = 500


class LostError(Exception):
    """The connection broke after a request was sent: it may have been carried out."""


@attrs.frozen(kw_only=True)
class Entry:
    """An entry as it was read: its name, and octets by the attributes' names in small letters."""

    dn: str
    attributes: Mapping[str, frozenset[bytes]]

    def values(self, name: str) -> frozenset[bytes]:
        """The values of an attribute."""
        return self.attributes.get(name.lower(), frozenset())

    @property
    def uuid(self) -> str | None:
        """Its ``entryUUID``, where the directory tells it."""
        return next((octets.decode(errors="replace") for octets in self.values(ENTRY_UUID)), None)

    @property
    def modified(self) -> datetime | None:
        """When it was changed last, where the directory tells it."""
        told = next((octets.decode(errors="replace") for octets in self.values(MODIFIED)), "")
        return moment_of(told)


class Directory:
    """One connection to a directory, logged in, opened again when it was lost.

    Args:
        settings: Where it is, and as whom to log in.
    """

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings
        self.label = urlsplit(settings.url).netloc
        self._tls = VerifiedTls(settings.ca_file)
        self._connection: Any = None

    def connect(self) -> None:
        """Open the connection and log in, unless that is done.

        Raises:
            TransientError: The directory cannot be reached, or is busy.
            SystemicError: It refuses us, or shows a certificate that we do not trust.
        """
        if self._connection is not None and not self._connection.closed:
            return
        settings = self._settings
        parts = urlsplit(settings.url)
        secure = parts.scheme == "ldaps"
        server = ldap3.Server(
            parts.hostname or "",
            port=parts.port or (636 if secure else 389),
            use_ssl=secure,
            tls=self._tls,
            get_info=ldap3.NONE,
            connect_timeout=settings.timeout,
        )
        # Not following referrals keeps the password with this host.
        connection = ldap3.Connection(
            server,
            settings.bind_dn,
            settings.password,
            receive_timeout=settings.timeout,
            auto_referrals=False,
            check_names=False,
        )
        try:
            connection.open()
            if not secure and settings.start_tls:
                connection.start_tls()
            connection.bind()
        except exceptions.LDAPExceptionError as error:
            _close(connection)
            raise self._unreachable(error) from None
        answer = _answer(connection)
        if not answer.ok:
            _close(connection)
            refusal = f"{self.label} refuses {settings.bind_dn}: {answer.reason}"
            raise (TransientError if answer.reach is Reach.LATER else SystemicError)(refusal)
        self._connection = connection

    def close(self) -> None:
        """Log out and close the connection."""
        if self._connection is not None:
            _close(self._connection)
            self._connection = None

    def search(self, base: str, query: str, names: Sequence[str], *, scope: str = ldap3.SUBTREE) -> list[Entry]:
        """The entries below ``base`` that a filter fits, with the attributes of these names.

        Raises:
            TransientError: The directory is not there now.
            SystemicError: It refuses to search, or there is no ``base``.
        """
        answer, found = self._search(base, query, names, scope)
        if answer.number == NO_SUCH_OBJECT:
            raise SystemicError(f"{self.label} has no entry {base}, or does not show it to {self._settings.bind_dn}")
        self.require(answer, f"searching {base}")
        return found

    def pages(self, base: str, query: str, names: Sequence[str]) -> Iterator[Entry]:
        """As ``search``, page by page, for many entries."""
        cookie: bytes | None = None
        while True:
            answer, found = self._search(base, query, names, ldap3.SUBTREE, paged_size=_PAGE, paged_cookie=cookie)
            self.require(answer, f"listing {base}")
            controls = self._connection.result.get("controls") or {}
            yield from found
            cookie = controls.get(_PAGED_RESULTS, {}).get("value", {}).get("cookie")
            if not cookie:
                return

    def add(self, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> tuple[Answer, str | None]:
        """Make an entry; the answer, and the new entry's ``entryUUID`` where the directory tells it at once.

        Raises:
            LostError: It may have been carried out.
            TransientError: It was not.
        """
        control = post_read_control([ENTRY_UUID])
        self._write(lambda ldap: ldap.add(dn, attributes=dict(attributes), controls=[control]))
        read = (self._connection.result.get("controls") or {}).get(_POST_READ, {}).get("value", {})
        told = read.get("raw_attributes", {}).get(ENTRY_UUID) or [b""]
        return _answer(self._connection), told[0].decode(errors="replace") or None

    def modify(self, dn: str, changes: Mapping[str, Sequence[tuple[str, Sequence[bytes]]]]) -> Answer:
        """Change attributes of an entry; raises as ``add``."""
        return self._write(lambda ldap: ldap.modify(dn, dict(changes)))

    def rename(self, dn: str, rdn: str, *, keep_old: bool) -> Answer:
        """Give an entry another relative name; raises as ``add``. ``keep_old`` keeps the old one's value as an attribute."""
        return self._write(lambda ldap: ldap.modify_dn(dn, rdn, delete_old_dn=not keep_old))

    def delete(self, dn: str) -> Answer:
        """Remove an entry; raises as ``add``."""
        return self._write(lambda ldap: ldap.delete(dn))

    def require(self, answer: Answer, doing: str) -> None:
        """Raise for a refusal.

        Raises:
            TransientError: It may pass.
            SystemicError: Somebody must act.
        """
        if answer.ok:
            return
        error = TransientError if answer.reach is Reach.LATER else SystemicError
        raise error(f"{self.label}: {doing}: {answer.reason}")

    def _search(
        self, base: str, query: str, names: Sequence[str], scope: str, **options: Any
    ) -> tuple[Answer, list[Entry]]:
        """Reading is harmless, so a connection that turns out to be dead is replaced, once.

        Writes always follow a search, and so meet a living connection: what breaks then breaks for another reason.
        """
        for last in (False, True):
            self.connect()
            try:
                self._connection.search(base, query, scope, attributes=list(names), **options)
                break
            except exceptions.LDAPCommunicationError as error:
                self.close()
                if last or isinstance(error, exceptions.LDAPResponseTimeoutError):
                    raise TransientError(f"{self.label}: lost while searching: {_reason(error)}") from None
        found = [
            Entry(dn=each["dn"], attributes=_octets(each["raw_attributes"]))
            for each in self._connection.response or ()
            if each["type"] == "searchResEntry"
        ]
        return _answer(self._connection), found

    def _write(self, request: Callable[[Any], Any]) -> Answer:
        self.connect()
        try:
            request(self._connection)
        except exceptions.LDAPSocketSendError as error:
            self.close()  # a part of a message is never carried out
            raise TransientError(f"{self.label}: cannot send: {_reason(error)}") from None
        except exceptions.LDAPCommunicationError as error:
            self.close()
            raise LostError(f"{self.label}: lost before the answer: {_reason(error)}") from None
        return _answer(self._connection)

    def _unreachable(self, error: Exception) -> TransientError | SystemicError:
        reason = f"cannot connect to {self.label}: {_reason(error)}"
        if "certificate verify failed" in reason or "startTLS" in reason:
            return SystemicError(reason)
        return TransientError(reason)


@contextmanager
def open_directory(settings: LdapSettings) -> Iterator[Directory]:
    """Open the directory for a run, and see that the base of each kind of entry is there.

    Raises:
        TransientError: The directory cannot be reached.
        SystemicError: It refuses us, or has no such base.
    """
    directory = Directory(settings)
    try:
        directory.connect()
        for kind in settings.entries.values():
            directory.search(kind.base, "(objectClass=*)", ["1.1"], scope=ldap3.BASE)
        yield directory
    finally:
        directory.close()


def _answer(connection: Any) -> Answer:
    result = connection.result
    return Answer(number=result["result"], name=result["description"], message=result["message"] or "")


def _octets(raw: Mapping[str, Sequence[bytes]]) -> dict[str, frozenset[bytes]]:
    return {name.lower(): frozenset(values) for name, values in raw.items()}


def _close(connection: Any) -> None:
    with suppress(exceptions.LDAPExceptionError, OSError):
        connection.unbind()
    if connection.socket is not None:  # ldap3 forgets one that could not be connected
        connection.socket.close()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
