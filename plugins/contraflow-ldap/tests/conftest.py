"""A real directory for the tests: each has a slapd of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import cattrs
import pytest

import contraflow_ldap
from contraflow_hookspecs import Change, Operation, StepContext, WriteResult
from contraflow_ldap import LdapSettings
from contraflow_ldap.driver import ldap3

sys.path.insert(0, str(Path(__file__).parent))
import private_slapd
from private_slapd import BASE, BIND_DN, PASSWORD, Slapd, SlapdError

EMPLOYEE = {
    "base": BASE,
    "rdn": "uid",
    "object_classes": ["inetOrgPerson"],
    "attributes": {"uid": "login", "cn": "name", "sn": "surname", "mail": "mails", "telephoneNumber": "phone"},
}


def structure(settings: Mapping[str, Any]) -> LdapSettings:
    """The mapping as the engine would hand it over."""
    return cattrs.Converter(forbid_extra_keys=True).structure(settings, LdapSettings)


@attrs.frozen(kw_only=True)
class Remote:
    """A directory with nobody in it, and what a test does beside the connector."""

    slapd: Slapd

    @contextmanager
    def step(self, entry: Mapping[str, Any] = EMPLOYEE, **settings: Any) -> Iterator[StepContext]:
        """The context of a step with the connector's resource open."""
        given = {
            "url": self.slapd.url,
            "bind_dn": BIND_DN,
            "password": PASSWORD,
            "entries": {"employee": entry},
            "start_tls": False,
            "timeout": 5,
            **settings,
        }
        structured = structure(given)
        with contraflow_ldap.open_directory(structured) as directory:
            yield StepContext(
                integration="directory",
                job="ldap",
                step="people",
                execution_id=1,
                settings=structured,
                resource=directory,
            )

    def write(
        self, changes: Sequence[Change], entry: Mapping[str, Any] = EMPLOYEE, **settings: Any
    ) -> dict[tuple[Any, ...], WriteResult]:
        """Write one chunk; the results by key."""
        with self.step(entry, **settings) as context:
            results = contraflow_ldap.write_items(items=changes, context=context)
        by_key = {result.key: result for result in results}
        assert len(by_key) == len(results) == len(changes)
        return by_key

    @contextmanager
    def admin(self) -> Iterator[Any]:
        """A connection that may do anything."""
        server = ldap3.Server(self.slapd.url, get_info=ldap3.NONE)
        with ldap3.Connection(
            server,
            "cn=admin,dc=example,dc=org",
            "admin",
            raise_exceptions=True,
            check_names=False,
            return_empty_attributes=False,
        ) as connection:
            yield connection

    def people(self, *names: str) -> list[tuple[str, dict[str, Any]]]:
        """The people's names and attributes, in the order of their names; a list where there are several values."""
        with self.admin() as admin:
            admin.search(BASE, "(objectClass=inetOrgPerson)", attributes=list(names) or ["*"])
            found = [(each["dn"], each["attributes"]) for each in admin.response]
        plain = [
            (dn, {name: sorted(values) if len(values) > 1 else values[0] for name, values in attributes.items()})
            for dn, attributes in found
        ]
        return sorted(plain)


@pytest.fixture(scope="session")
def slapd_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return private_slapd.make_template(tmp_path_factory.mktemp("slapd"))
    except SlapdError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture
def openldap(slapd_template: Path, tmp_path: Path) -> Iterator[Remote]:
    with private_slapd.running(slapd_template, tmp_path / "slapd") as slapd:
        yield Remote(slapd=slapd)


@pytest.fixture
def remote(openldap: Remote) -> Remote:
    return openldap


@pytest.fixture
def upsert() -> Any:
    """Make an upsert: ``upsert(7, uid="ana", remote_id=None)``; what a person must have is filled in."""

    def make(key: int, remote_id: str | None = None, **payload: Any) -> Change:
        uid = payload.get("uid", f"u{key}")
        return Change(key=(key,), remote_id=remote_id, payload={"uid": uid, "cn": uid, "sn": uid, **payload})

    return make


@pytest.fixture
def delete() -> Any:
    """Make a delete."""

    def make(key: int, **fields: Any) -> Change:
        return Change(key=(key,), operation=Operation.DELETE, **fields)

    return make
