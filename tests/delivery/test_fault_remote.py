"""The fault remote does what its script says, and its log tells the truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from contraflow.testing.remote.effect_log import read_log
from contraflow.testing.remote.process import FaultRemote, fault_remote


class Client:
    """A fault remote and somebody who talks to it."""

    def __init__(self, remote: FaultRemote, http: httpx.Client) -> None:
        self.remote, self.http = remote, http

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.http.post(
            path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    @property
    def effects(self) -> list[tuple[str, str, Any]]:
        self.remote.settle()
        events = read_log(self.remote.log)
        return [(event["what"], event["record"], event["payload"]) for event in events if event["event"] == "effect"]

    @property
    def fates(self) -> list[tuple[str, int | None]]:
        return [(event["fault"], event["status"]) for event in read_log(self.remote.log) if event["event"] == "fate"]


@pytest.fixture(scope="module")
def remote_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultRemote]:
    with fault_remote(tmp_path_factory.mktemp("remote"), {}) as remote:
        yield remote


@pytest.fixture
def client(remote_process: FaultRemote) -> Iterator[Callable[..., Client]]:
    with ExitStack() as stack:

        def start(*rules: dict[str, Any], **script: Any) -> Client:
            remote_process.reset({**script, "rules": rules})
            http = stack.enter_context(httpx.Client(base_url=remote_process.url, timeout=5, trust_env=False))
            return Client(remote_process, http)

        yield start


ONE, TWO = {"id": 1, "v": 1}, {"id": 2, "v": 1}
BULK = "/c/bulk"


def test_class_a_carries_a_key_out_once(client):
    remote = client()
    first = remote.post("/a/records", ONE, Idempotency_Key="k")
    assert (first.status_code, first.json()["remote_id"]) == (201, "a1")
    again = remote.post("/a/records", ONE, Idempotency_Key="k")
    assert (again.status_code, again.json()) == (201, first.json())
    assert remote.post("/a/records", TWO, Idempotency_Key="k").status_code == 422
    assert remote.post("/a/records", ONE).status_code == 400
    assert [what for what, _, _ in read_effects(remote)] == ["applied", "deduplicated", "key_reused"]


def read_effects(client: Client) -> list[Any]:
    client.remote.settle()
    return [
        (event["what"], event["record"], event["key"])
        for event in read_log(client.remote.log)
        if event["event"] == "effect"
    ]


def test_class_b_is_an_upsert_by_key(client):
    remote = client()
    statuses = [remote.http.put("/b/records/1", json=ONE).status_code for _ in range(2)]
    assert statuses == [201, 200]
    assert remote.effects == [("applied", "1", ONE)] * 2


def test_a_change_against_an_old_version_is_refused(client):
    remote = client()
    remote.http.put("/b/records/1", json=ONE)
    old = remote.http.put("/b/records/1", json={"id": 1, "v": 2}, headers={"If-Match": '"1"'})
    assert (old.status_code, old.headers["ETag"]) == (200, '"2"')
    assert remote.http.put("/b/records/1", json=ONE, headers={"If-Match": '"1"'}).status_code == 412
    assert remote.http.get("/b/records/1").json()["v"] == 2


def test_all_records_of_a_class_can_be_listed(client):
    remote = client()
    for record in (ONE, TWO):
        remote.post("/c/records", record)
    remote.http.put("/b/records/9", json={"id": 9})
    listed = remote.http.get("/c/records").json()["records"]
    assert [(record["remote_id"], record["id"]) for record in listed] == [("c1", 1), ("c2", 2)]
    assert remote.http.get("/d/records").status_code == 405


def test_class_c_doubles_but_can_be_read(client):
    remote = client()
    ids = [remote.post("/c/records", ONE).json()["remote_id"] for _ in range(2)]
    assert ids == ["c1", "c2"]
    remote.http.patch("/c/records/c2", json={"v": 2})
    assert remote.http.get("/c/by-key/1").json() == {"id": 1, "v": 2, "remote_id": "c2", "key": "1"}
    assert remote.http.get("/c/by-key/9").status_code == 404


def test_class_d_cannot_be_read(client):
    remote = client()
    remote.post("/d/records", ONE)
    assert remote.http.get("/d/by-key/1").status_code == 405
    assert remote.http.put("/d/records/d1", json=ONE).status_code == 405


def test_a_batch_is_not_atomic(client):
    remote = client({"fault": "reset_after", "items": 1})
    with pytest.raises(httpx.RequestError):
        remote.post(BULK, [ONE, TWO])
    assert remote.effects == [("applied", "1", ONE)]


def test_a_batch_of_requests_answers_each(client):
    remote = client()
    requests = [
        {"method": "POST", "path": "/a/records", "headers": {"idempotency-key": "k"}, "body": ONE},
        {"method": "PUT", "path": "/a/records/none", "headers": {"Idempotency-Key": "l"}, "body": TWO},
    ]
    answers = remote.post("/a/batch", {"requests": requests}).json()["responses"]
    assert [answer["status"] for answer in answers] == [201, 404]
    assert answers[0]["headers"] == {"ETag": '"1"'}


@pytest.mark.parametrize(
    ("rule", "effects"),
    [
        ({"fault": "reset_before"}, 0),
        ({"fault": "reset_after"}, 1),
        ({"fault": "truncated"}, 1),
        ({"fault": "delay_before", "seconds": 0.05, "reset": True}, 1),
    ],
    ids=lambda value: value["fault"] if isinstance(value, dict) else None,
)
def test_an_answer_that_does_not_come(client, rule, effects):
    remote = client({**rule, "requests": [1]})
    with pytest.raises(httpx.RequestError):
        remote.post("/c/records", ONE)
    assert len(remote.effects) == effects
    assert remote.post("/c/records", ONE).status_code == 201


def test_a_refused_connection_comes_back(client):
    remote = client({"fault": "refuse", "seconds": 0.3, "requests": [1]})
    with pytest.raises(httpx.RequestError):
        remote.post("/c/records", ONE)
    time.sleep(0.1)
    with pytest.raises(httpx.ConnectError):
        remote.post("/c/records", ONE)
    time.sleep(0.5)
    assert remote.post("/c/records", ONE).status_code == 201
    assert len(remote.effects) == 1


def test_an_effect_comes_after_the_client_has_gone(client):
    remote = client({"fault": "delay_before", "seconds": 0.3})
    with pytest.raises(httpx.ReadTimeout):
        remote.http.post("/c/records", json=ONE, timeout=0.05)
    remote.http.close()
    assert remote.effects == [("applied", "1", ONE)]
    (fate,) = [event for event in read_log(remote.remote.log) if event["event"] == "fate"]
    assert fate["gone"] is True


def test_a_client_that_waits_is_not_gone(client):
    remote = client({"fault": "delay_after", "seconds": 0.05})
    assert remote.post("/c/records", ONE).status_code == 201
    (fate,) = [event for event in read_log(remote.remote.log) if event["event"] == "fate"]
    assert fate["gone"] is False


@pytest.mark.parametrize("apply", [False, True])
def test_a_status_before_or_after_applying(client, apply):
    remote = client({"fault": "status", "status": 502, "apply": apply})
    assert remote.post("/c/records", ONE).status_code == 502
    assert len(remote.effects) == apply


@pytest.mark.parametrize("clock", [0, -86400])
def test_retry_after_as_a_date(client, clock):
    remote = client({"fault": "status", "status": 429, "retry_after": "date:+5", "clock": clock})
    headers = remote.post("/c/records", ONE).headers
    dates = [parsedate_to_datetime(headers[name]) for name in ("Retry-After", "Date")]
    assert (dates[0] - dates[1]).total_seconds() == 5


def test_retry_after_in_seconds_or_as_anything(client):
    remote = client(
        {"fault": "status", "status": 503, "retry_after": 3, "requests": [1]},
        {"fault": "status", "status": 503, "retry_after": "soon"},
    )
    assert [remote.post("/c/records", ONE).headers["Retry-After"] for _ in range(2)] == ["3", "soon"]


def results(client: Client, count: int = 3) -> tuple[int, list[Any]]:
    answer = client.post(BULK, [{"id": number} for number in range(1, count + 1)])
    return answer.status_code, [(entry["key"], entry["remote_id"]) for entry in answer.json()]


SOUND = [("1", "c1"), ("2", "c2"), ("3", "c3")]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("missing", SOUND[:2]),
        ("doubled", [SOUND[0], SOUND[0], SOUND[2]]),
        ("foreign", [*SOUND[:2], ("nobody's", "c3")]),
        ("reordered", SOUND[::-1]),
        ("wrong_id", [(key, "nobody") for key, _ in SOUND]),
    ],
)
def test_results_that_lie(client, fault, expected):
    remote = client({"fault": fault})
    assert results(remote) == (200, expected)
    assert len(remote.effects) == 3


def test_a_mixed_batch_refuses_some(client):
    remote = client({"fault": "mixed", "reject": ["2"]})
    answer = remote.post(BULK, [ONE, TWO])
    assert (answer.status_code, [entry["status"] for entry in answer.json()]) == (207, [201, 422])
    assert remote.effects == [("applied", "1", ONE)]


def test_a_record_to_which_others_refer_is_not_deleted(client):
    remote = client({"fault": "referred", "method": "DELETE"})
    parent = remote.post("/c/records", ONE).json()["remote_id"]
    child = remote.post("/c/records", {**TWO, "up": parent}).json()["remote_id"]
    assert remote.http.delete(f"/c/records/{parent}").status_code == 409
    assert remote.http.delete(f"/c/records/{child}").status_code == 200
    assert remote.http.delete(f"/c/records/{parent}").status_code == 200


def test_a_batch_that_is_too_large(client):
    remote = client({"fault": "too_large", "above": 1})
    assert remote.post(BULK, [ONE, TWO]).status_code == 413
    assert remote.post(BULK, [ONE]).status_code == 200
    assert len(remote.effects) == 1


def test_a_page_of_html(client):
    remote = client({"fault": "not_json"})
    assert remote.post("/c/records", ONE).headers["Content-Type"] == "text/html"
    assert len(remote.effects) == 1


def test_rules_choose_by_record_number_and_time(client):
    remote = client(
        {"fault": "status", "status": 500, "record": "2"},
        {"fault": "status", "status": 501, "times": 1, "from": 3},
        {"fault": "status", "status": 401, "for": 0.2, "from": 5},
        {"fault": "status", "status": 404, "reads": True},
    )
    statuses = [remote.post("/c/records", {"id": number}).status_code for number in (1, 2, 3, 4, 5, 6)]
    assert statuses == [201, 500, 501, 201, 401, 401]
    time.sleep(0.3)
    assert remote.post("/c/records", ONE).status_code == 201
    assert remote.http.get("/c/by-key/1").status_code == 404


def test_chance_can_be_repeated(client):
    remote = client()
    rows = []
    for seed in (3, 3, 4):
        remote.remote.script({"seed": seed, "rules": [{"fault": "status", "status": 500, "probability": 0.5}]})
        rows.append([remote.post("/c/records", ONE).status_code for _ in range(30)])
    assert rows[0] == rows[1] != rows[2]
    assert {200, 201, 500} & set(rows[0]) == {201, 500}


@pytest.mark.parametrize("rule", [{"fault": "none such"}, {"fault": "refuse", "wen": 1}])
def test_a_rule_that_cannot_be_is_refused(client, rule):
    remote = client()
    with pytest.raises(OSError, match="400"):
        remote.remote.script({"rules": [rule]})


def test_the_log_names_every_request_and_its_fate(client):
    remote = client({"fault": "reset_after", "requests": [2]})
    remote.post("/c/records", ONE)
    with pytest.raises(httpx.RequestError):
        remote.post("/c/records", TWO)
    assert remote.fates == [("none", 201), ("reset_after", None)]
    assert remote.remote.state()["c/c2"]["payload"] == TWO
    events = list(read_log(remote.remote.log))
    assert [event["seq"] for event in events] == list(range(1, 7))
    assert [event["event"] for event in events] == ["received", "effect", "fate"] * 2
