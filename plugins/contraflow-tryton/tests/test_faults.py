"""A Tryton that refuses, goes away, or forgets us: who is blamed, and what is known afterwards."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import private_trytond
import pytest
import trustme

import contraflow_tryton
from contraflow_hookspecs import (
    Action,
    Change,
    Conflict,
    Deferred,
    StepContext,
    SystemicError,
    TransientError,
    Written,
)

NAMED = {"fields": {"name": "name"}}


def write(context: StepContext, *changes: Change) -> list[Any]:
    return list(contraflow_tryton.write_items(items=changes, context=context))


def named(key: int, name: str = "Ana", **fields: Any) -> Change:
    return Change(key=(key,), payload={"name": name}, **fields)


# Sessions


def test_an_expired_session_is_opened_again(own):
    with own.step(NAMED) as context:
        write(context, named(1))
        own.trytond.execute("DELETE FROM ir_session")
        (written,) = write(context, named(2))
    assert written.action is Action.CREATED


def test_the_session_ends_with_the_run(own):
    with own.step(NAMED):
        assert own.trytond.execute("SELECT count(*) FROM ir_session") == [(1,)]
    assert own.trytond.execute("SELECT count(*) FROM ir_session") == [(0,)]


def test_a_session_that_cannot_be_opened_again_stops_everything(own):
    with own.step(NAMED) as context:
        (first,) = write(context, named(1))
        own.trytond.execute("UPDATE res_user SET active = 0 WHERE login = 'admin'")
        own.trytond.execute("DELETE FROM ir_session")
        own.trytond.stop()
        own.trytond.start()  # it remembers its users
        with pytest.raises(SystemicError, match="refuses the user 'admin'"):
            write(context, named(1, "Anna", remote_id=first.remote_id))


def test_a_wrong_password_stops_everything_and_is_not_shown(own):
    with pytest.raises(SystemicError, match="refuses the user 'admin'") as caught:
        own.write([], NAMED, password="secret and wrong")
    assert "secret and wrong" not in str(caught.value)


# Settings that Tryton does not know


@pytest.mark.parametrize(
    ("party", "words"),
    [
        (
            {"fields": {"nam": "name"}},
            "parties.customer.fields: Tryton has no field of party.party 'nam'; did you mean 'name'",
        ),
        ({**NAMED, "contact_mechanisms": {"e_mail": "m"}}, "has no type 'e_mail'; did you mean 'email'"),
        ({**NAMED, "addresses": [{"zip": "zip"}]}, "has no field of party.address 'zip'"),
    ],
)
def test_what_tryton_does_not_know_is_told_at_once(remote, party, words):
    with pytest.raises(SystemicError, match=words):
        remote.write([], party)


def test_a_database_that_is_not_there(remote):
    with pytest.raises(SystemicError, match="no database 'nowhere'"):
        remote.write([], NAMED, database="nowhere")


def test_a_user_without_rights_is_told_at_once(own):
    own.call("res.user.create", [{"login": "guest", "name": "Guest", "password": "Guest of honour 7"}])
    rights = {"perm_read": True, "perm_write": False, "perm_create": False, "perm_delete": False}
    own.call("ir.model.access.create", [{"model": "party.party", **rights}])
    with pytest.raises(SystemicError, match="the user 'guest' may not write, create parties"):
        own.write([], NAMED, user="guest", password="Guest of honour 7")


# Gone away


def test_nobody_listens(own):
    own.trytond.stop()
    with pytest.raises(TransientError, match="cannot connect to 127"):
        own.write([named(1)], NAMED)


def test_a_server_that_was_restarted_between_two_chunks(own):
    with own.step(NAMED) as context:
        (first,) = write(context, named(1))
        own.trytond.stop()
        with pytest.raises(TransientError):
            write(context, named(2))
        own.trytond.start()
        results = write(context, named(1, "Anna", remote_id=first.remote_id), named(2))
    assert {result.key: result.action for result in results} == {(1,): Action.UPDATED, (2,): Action.CREATED}


def test_the_deadline_ends_a_chunk(remote):
    with remote.step(NAMED) as context:
        late = attrs.evolve(context, deadline=datetime(2020, 1, 1, tzinfo=UTC))
        with pytest.raises(TransientError, match="deadline"):
            write(late, named(1))


# Others who write


@pytest.mark.parametrize("guard", [False, True])
def test_who_saves_while_we_write_is_not_overwritten(remote, monkeypatch, guard):
    first = remote.write([named(1), named(2)], NAMED, guard=guard)
    changes = [
        named(key, "Anna", remote_id=first[(key,)].remote_id, remote_version=first[(key,)].remote_version)
        for key in (1, 2)
    ]
    with remote.step(NAMED, guard=guard) as context:
        session = context.resource.session
        call, others = session.call, iter(["By hand"])

        def interrupted(method: str, *parameters: Any, **more: Any) -> Any:
            if method == "party.party.write" and (name := next(others, None)):
                remote.call("party.party.write", [int(first[(1,)].remote_id)], {"name": name})
            return call(method, *parameters, **more)

        monkeypatch.setattr(session, "call", interrupted)
        results = {result.key: result for result in write(context, *changes)}
        assert isinstance(results[(1,)], Deferred)
        assert isinstance(results[(2,)], Written)
        assert [party["name"] for party in remote.parties()] == ["By hand", "Anna"]
        (again,) = write(context, changes[0])
        assert isinstance(again, Conflict if guard else Written)


# TLS


def test_tls_is_verified(trytond_environment, tmp_path, own):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "certificate", "key")}
    authority.cert_pem.write_to_path(files["ca"])
    issued.private_key_pem.write_to_path(files["key"])
    issued.cert_chain_pems[0].write_to_path(files["certificate"])
    with private_trytond.running(tmp_path / "tls", environment=trytond_environment, certificates=files) as trytond:
        secured = attrs.evolve(own, trytond=trytond)
        (written,) = secured.write([named(1)], NAMED, ca_file=str(files["ca"])).values()
        assert isinstance(written, Written)
        with pytest.raises(SystemicError, match="CERTIFICATE_VERIFY_FAILED"):
            secured.write([named(1)], NAMED)
        with pytest.raises(SystemicError, match="CERTIFICATE_VERIFY_FAILED"):
            secured.write(
                [named(1)], NAMED, url=trytond.url.replace("127.0.0.1", "localhost"), ca_file=str(files["ca"])
            )


def test_a_file_of_authorities_that_is_none(remote, tmp_path):
    for file in (tmp_path / "none.pem", Path(__file__)):
        with pytest.raises(SystemicError, match="cannot be read"):
            remote.write([], NAMED, ca_file=str(file))
