"""A real Tryton for the tests: one server for all, and for each test parties with a prefix of its own."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import cattrs
import pytest

import contraflow_tryton
from contraflow_hookspecs import Change, Operation, StepContext, WriteResult
from contraflow_tryton import TrytonSettings
from contraflow_tryton.rpc import Session, open_session

sys.path.insert(0, str(Path(__file__).parent))
import private_trytond
from private_trytond import DATABASE, PASSWORD, USER, Trytond, TrytondError

CUSTOMER: dict[str, Any] = {
    "fields": {"name": "name"},
    "contact_mechanisms": {"email": "emails", "phone": "phone"},
    "identifiers": {"eu_vat": "vat"},
    "addresses": [{"street": "street", "city": "city", "country": "country"}],
    "match": "email",
}


def structure(settings: Mapping[str, Any]) -> TrytonSettings:
    """The mapping as the engine would hand it over."""
    return cattrs.Converter(forbid_extra_keys=True).structure(settings, TrytonSettings)


@attrs.frozen(kw_only=True)
class Remote:
    """A Tryton, and what a test does beside the connector."""

    trytond: Trytond
    prefix: str
    """What the codes of this test's parties begin with."""
    user: Session | None = None
    """A session of one of Tryton's users."""

    @contextmanager
    def step(self, party: Mapping[str, Any] = CUSTOMER, **settings: Any) -> Iterator[StepContext]:
        """The context of a step with the connector's resource open."""
        given = {
            "url": self.trytond.url,
            "database": DATABASE,
            "user": USER,
            "password": PASSWORD,
            "parties": {"customer": {"code_prefix": self.prefix, **party}},
            **settings,
        }
        structured = structure(given)
        with contraflow_tryton.open_tryton(structured) as tryton:
            yield StepContext(
                integration="erp", job="tryton", step="customers", execution_id=1, settings=structured, resource=tryton
            )

    def write(
        self, changes: Sequence[Change], party: Mapping[str, Any] = CUSTOMER, **settings: Any
    ) -> dict[tuple[Any, ...], WriteResult]:
        """Write one chunk; the results by key."""
        with self.step(party, **settings) as context:
            results = contraflow_tryton.write_items(items=changes, context=context)
        by_key = {result.key: result for result in results}
        assert len(by_key) == len(results) == len(changes)
        return by_key

    def call(self, method: str, *parameters: Any, **context: Any) -> Any:
        """Call a method of Tryton, as one of its users might."""
        if self.user is not None:
            return self.user.call(method, *parameters, **context)
        with self.step() as step:
            return step.resource.session.call(method, *parameters, **context)

    def parties(self, **context: Any) -> list[dict[str, Any]]:
        """This test's parties as Tryton shows them, in the order of their codes, and without this test's prefix."""
        fields = ["code", "name", "active"]
        fields += [f"contact_mechanisms.{name}" for name in ("type", "value")]
        fields += [f"addresses.{name}" for name in ("street", "city", "country.code")]
        fields += ["identifiers.code"]
        domain = [["code", "like", f"{self.prefix}%"]]
        found = self.call("party.party.search_read", domain, 0, None, None, fields, **context)
        plain = [
            {
                "code": each["code"].removeprefix(self.prefix),
                "name": each["name"],
                "mechanisms": sorted((child["type"], child["value"]) for child in each["contact_mechanisms."]),
                "addresses": [
                    (child["street"], child["city"], (child["country."] or {}).get("code"))
                    for child in each["addresses."]
                ],
                "identifiers": [child["code"] for child in each["identifiers."]],
            }
            for each in found
        ]
        return sorted(plain, key=lambda party: party["code"])


@pytest.fixture(scope="session")
def trytond_environment() -> Path:
    """Where ``make test`` installs Tryton."""
    if not private_trytond.is_installed():
        reason = f"Tryton is not installed in {private_trytond.ENVIRONMENT}; `make test` installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return private_trytond.ENVIRONMENT


@pytest.fixture(scope="session")
def trytond(trytond_environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trytond]:
    """A server that no test stops."""
    with private_trytond.running(tmp_path_factory.mktemp("tryton"), environment=trytond_environment) as running:
        yield running


@pytest.fixture(scope="session")
def user(trytond: Trytond) -> Iterator[Session]:
    party = {"fields": {"name": "name"}}
    given = {"url": trytond.url, "database": DATABASE, "user": USER, "password": PASSWORD, "parties": {"any": party}}
    with open_session(structure(given)) as session:
        yield session


@pytest.fixture
def erp(trytond: Trytond, user: Session) -> Remote:
    return Remote(trytond=trytond, prefix=f"{uuid.uuid4().hex[:8]}-", user=user)


@pytest.fixture
def remote(erp: Remote) -> Remote:
    return erp


@pytest.fixture
def own(trytond_environment: Path, tmp_path: Path) -> Iterator[Remote]:
    """A server of the test's own, which it may harm."""
    try:
        with private_trytond.running(tmp_path / "tryton", environment=trytond_environment) as running:
            yield Remote(trytond=running, prefix="c-")
    except TrytondError as error:
        pytest.fail(str(error))


@pytest.fixture
def upsert() -> Any:
    """Make an upsert: ``upsert(7, name="Ana", emails=["a@b"], remote_id=None)``."""

    def make(
        key: int,
        remote_id: str | None = None,
        remote_version: str | None = None,
        *,
        emails: Sequence[str] = (),
        phones: Sequence[str] = (),
        vat: Sequence[str] = (),
        addresses: Sequence[Mapping[str, Any]] = (),
        name: str | None = "Ana",
    ) -> Change:
        payload = {
            "name": name,
            "contact_mechanisms": {"email": list(emails), "phone": list(phones)},
            "identifiers": {"eu_vat": list(vat)},
            "addresses": [{"street": None, "city": None, "country": None, **each} for each in addresses],
        }
        return Change(key=(key,), payload=payload, remote_id=remote_id, remote_version=remote_version)

    return make


@pytest.fixture
def delete() -> Any:
    """Make a delete."""

    def make(key: int, **fields: Any) -> Change:
        return Change(key=(key,), operation=Operation.DELETE, **fields)

    return make
