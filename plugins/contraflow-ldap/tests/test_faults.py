"""A directory that refuses, goes away, or cannot be trusted: who is blamed, and what is known afterwards."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import private_slapd
import pytest
import trustme
from private_slapd import BASE

import contraflow_ldap
from contraflow_hookspecs import (
    Action,
    Change,
    Deferred,
    Rejected,
    StepContext,
    SystemicError,
    TransientError,
    Unknown,
    Written,
)

EMPLOYEE: dict[str, Any] = {
    "base": BASE,
    "rdn": "uid",
    "object_classes": ["inetOrgPerson"],
    "attributes": {"uid": "login", "cn": "name", "sn": "surname", "mail": "mails", "telephoneNumber": "phone"},
}


def write(context: StepContext, *changes: Change) -> list[Any]:
    return list(contraflow_ldap.write_items(items=changes, context=context))


# Refusals of one entry


@pytest.mark.parametrize(
    ("payload", "code", "words"),
    [
        ({"sn": None}, "schema", "requires attribute 'sn'"),
        ({"mail": "ž@example.org"}, "syntax", "mail: value #0"),
        ({"mail": "Bo@Example.org"}, "constraint", f"mail is that of uid=bo,{BASE}"),
        ({"telephoneNumber": ["+43 1", "+43  1"]}, "value", "telephoneNumber"),
    ],
)
@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_one_refused_entry_does_not_harm_the_others(remote, upsert, payload, code, words, existing):
    before = [upsert(2, uid="bo", mail="bo@example.org")] + ([upsert(1, uid="ana")] if existing else [])
    ids = {key: result.remote_id for key, result in remote.write(before).items()}
    results = remote.write([upsert(0), upsert(1, ids.get((1,)), uid="ana", **payload), upsert(3)])
    assert [type(results[(number,)]) for number in (0, 1, 3)] == [Written, Rejected, Written]
    assert results[(1,)].code == code
    assert words in results[(1,)].reason
    assert "bo@example.org" not in results[(1,)].reason.lower()


def test_an_entry_with_children_is_not_deleted(remote, upsert, delete):
    (written,) = remote.write([upsert(1, uid="ana")]).values()
    with remote.admin() as admin:
        admin.add(f"cn=key,uid=ana,{BASE}", ["device"], {"cn": "key"})
    (refused,) = remote.write([delete(1, remote_id=written.remote_id)]).values()
    assert (type(refused), refused.code) == (Rejected, "has_children")
    assert f"uid=ana,{BASE}" in refused.reason


# Refusals of all


def test_a_wrong_password_stops_everything_and_is_not_shown(remote):
    with pytest.raises(SystemicError, match=r"refuses cn=sync.*invalidCredentials") as caught:
        remote.write([], password="secret and wrong")
    assert "secret and wrong" not in str(caught.value)


def test_missing_rights_stop_everything(remote, upsert):
    entry = {**EMPLOYEE, "base": f"ou=protected,{BASE}"}
    with pytest.raises(SystemicError, match=r"ou=protected.*insufficientAccessRights"):
        remote.write([upsert(1)], entry)


def test_an_attribute_that_the_schema_does_not_know_stops_everything(remote, upsert):
    entry = {**EMPLOYEE, "attributes": {**EMPLOYEE["attributes"], "shoeSize": "shoe_size"}}
    with pytest.raises(SystemicError, match=r"shoeSize"):
        remote.write([upsert(1, shoeSize="43")], entry)


def test_a_base_that_is_not_there_is_told_at_once(remote):
    with pytest.raises(SystemicError, match="no entry ou=peeple"):
        remote.write([], {**EMPLOYEE, "base": "ou=peeple,dc=example,dc=org"})


def test_a_directory_that_is_read_only_stops_everything(slapd_template, tmp_path, remote, upsert):
    read_only = private_slapd.running(slapd_template, tmp_path / "other", extra="readonly on")
    with read_only as slapd, pytest.raises(SystemicError, match="restricted"):
        attrs.evolve(remote, slapd=slapd).write([upsert(1)])


def test_what_was_written_before_the_trouble_is_told(remote, upsert, delete):
    """The second entry is one that we may not touch."""
    with remote.admin() as admin:
        admin.add(f"uid=guarded,ou=protected,{BASE}", ["inetOrgPerson"], {"uid": "guarded", "cn": "g", "sn": "g"})
    results = remote.write([upsert(1), upsert(2, uid="guarded"), upsert(3)])
    assert results[(1,)].action is Action.CREATED
    assert isinstance(results[(2,)], Deferred)
    assert "insufficientAccessRights" in results[(2,)].reason
    assert isinstance(results[(3,)], Deferred)


@pytest.mark.parametrize(("number", "name"), [(51, "busy"), (52, "unavailable"), (80, "other")])
def test_a_busy_directory_is_tried_later(remote, upsert, number, name):
    """slapd's own overlay for such tests answers so to whoever changes this one entry."""
    written = remote.write([upsert(number) for number in (1, 2, 3)])
    with remote.admin() as admin:
        admin.modify_dn(f"uid=u2,{BASE}", "uid=u2", new_superior=f"ou=leavers,{BASE}")
    remote.slapd.stop()
    remote.slapd.extra = (
        f'moduleload retcode\noverlay retcode\nretcode-parent "ou=leavers,{BASE}"\n'
        f'retcode-item "uid=u2" {number:#x} op=modify'
    )
    remote.slapd.start()
    results = remote.write([upsert(key, written[(key,)].remote_id, sn="X") for key in (1, 2, 3)])
    assert [type(results[(key,)]) for key in (1, 2, 3)] == [Written, Deferred, Written]
    assert name in results[(2,)].reason


# Gone away


def test_nobody_listens(remote, upsert):
    remote.slapd.stop()
    with pytest.raises(TransientError, match="cannot connect to 127"):
        remote.write([upsert(1)])


def test_a_connection_that_died_between_two_chunks_is_opened_again(remote, upsert):
    with remote.step() as context:
        (first,) = write(context, upsert(1, uid="ana"))
        remote.slapd.stop()
        remote.slapd.start()
        results = write(context, upsert(1, first.remote_id, uid="ana", sn="N"), upsert(2))
    assert [result.action for result in results] == [Action.UPDATED, Action.CREATED]


def test_a_directory_that_stays_away_is_tried_later(remote, upsert):
    with remote.step() as context:
        write(context, upsert(1))
        remote.slapd.stop()
        with pytest.raises(TransientError):
            write(context, upsert(2))
        remote.slapd.start()


@attrs.define
class Relay:
    """Stands between the connector and slapd, and cuts the connection when it is told to."""

    port: int
    cut_answers: bool = False
    """Whether the next answer to a write is swallowed, and the connection cut."""
    cut_requests: bool = False
    """Whether the next write is swallowed instead."""


# The application tags of AddRequest, DelRequest, ModifyRequest and ModifyDNRequest behind message length and number.
_WRITES = (0x68, 0x4A, 0x66, 0x6C)


def _is_write(message: bytes) -> bool:
    """Whether a message, whole in one part on loopback, asks for a change."""
    at = 2 + (message[1] & 0x7F if message[1] & 0x80 else 0)
    return message[at + 2 + message[at + 1]] in _WRITES if len(message) > at + 1 else False


@contextmanager
def relay(port: int) -> Iterator[Relay]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    relayed = Relay(port=listener.getsockname()[1])
    ended = threading.Event()
    threads = []

    def serve(client: socket.socket) -> None:
        swallowing = False
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            while not ended.is_set():
                ready, _, _ = select.select([client, server], [], [], 0.1)
                for side in ready:
                    message = side.recv(1 << 16)
                    if not message or (side is server and swallowing):
                        return
                    if side is client and _is_write(message):
                        if relayed.cut_requests:
                            relayed.cut_requests = False
                            return
                        swallowing, relayed.cut_answers = relayed.cut_answers, False
                    (server if side is client else client).sendall(message)

    def accept() -> None:
        while not ended.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=serve, args=(client,)))
            threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield relayed
    finally:
        ended.set()
        acceptor.join()
        for thread in threads:
            thread.join()
        listener.close()


@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("what", ["create", "modify", "rename", "delete"])
def test_what_broke_after_it_was_sent_is_in_doubt_and_can_be_confirmed(remote, upsert, delete, arrived, what):
    ids = {key: result.remote_id for key, result in remote.write([upsert(1, uid="ana"), upsert(2, uid="bo")]).items()}
    change = {
        "create": lambda: upsert(3, uid="cy"),
        "modify": lambda: upsert(2, ids[(2,)], uid="bo", sn="B"),
        "rename": lambda: upsert(2, ids[(2,)], uid="bob", cn="bo", sn="bo"),
        "delete": lambda: delete(2, remote_id=ids[(2,)]),
    }[what]()
    with relay(remote.slapd.port) as between, remote.step(url=f"ldap://127.0.0.1:{between.port}") as context:
        between.cut_answers, between.cut_requests = arrived, not arrived
        results = write(context, change, upsert(1, ids[(1,)], uid="ana", sn="A"))
        assert [type(result) for result in results] == [Unknown, Written]
        (confirmed,) = contraflow_ldap.confirm_items(items=[change], context=context)
        assert isinstance(confirmed, Written if arrived else Deferred)
        (again,) = write(context, change)
        assert isinstance(again, Written)
        (confirmed,) = contraflow_ldap.confirm_items(items=[change], context=context)
        assert isinstance(confirmed, Written)


def test_the_deadline_ends_a_chunk(remote, upsert):
    with remote.step() as context:
        late = attrs.evolve(context, deadline=datetime(2020, 1, 1, tzinfo=UTC))
        with pytest.raises(TransientError, match="deadline"):
            write(late, upsert(1))


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificates(authority: trustme.CA, tmp_path: Path) -> Callable[[str], dict[str, Path]]:
    """Files with a certificate for this name."""

    def issue(name: str) -> dict[str, Path]:
        files = {part: tmp_path / f"{part}.pem" for part in ("ca", "certificate", "key")}
        issued = authority.issue_cert(name)
        authority.cert_pem.write_to_path(files["ca"])
        issued.private_key_pem.write_to_path(files["key"])
        for part in issued.cert_chain_pems:
            part.write_to_path(files["certificate"], append=True)
        return files

    return issue


@pytest.mark.parametrize("way", ["ldaps", "StartTLS"])
def test_tls_is_verified(slapd_template, tmp_path, remote, upsert, certificates, way):
    files = certificates("127.0.0.1")
    extra = "security tls=1"  # slapd itself now refuses to talk in the clear
    with private_slapd.running(slapd_template, tmp_path / "tls", certificates=files, extra=extra) as slapd:
        secured = attrs.evolve(remote, slapd=slapd)
        url = f"ldaps://127.0.0.1:{slapd.tls_port}" if way == "ldaps" else slapd.url
        options: dict[str, Any] = {"url": url, "start_tls": True, "ca_file": str(files["ca"])}
        (written,) = secured.write([upsert(1)], **options).values()
        assert written.action is Action.CREATED
        with pytest.raises(SystemicError, match="certificate verify failed"):
            secured.write([upsert(1)], **{**options, "ca_file": None})
        with pytest.raises(SystemicError, match="certificate verify failed"):
            secured.write([upsert(1)], **{**options, "url": url.replace("127.0.0.1", "localhost")})
        with pytest.raises(SystemicError, match="confidentialityRequired"):
            secured.write([upsert(1)], **{**options, "url": slapd.url, "start_tls": False})


def test_a_directory_without_tls_gets_no_password(remote):
    with pytest.raises(SystemicError, match="startTLS"):
        remote.write([], start_tls=True)


def test_a_file_of_authorities_that_is_none(remote, tmp_path):
    for file in (tmp_path / "none.pem", Path(__file__)):
        with pytest.raises(SystemicError, match="cannot be read"):
            remote.write([], start_tls=True, ca_file=str(file))
