from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from contraflow.ledger import Lease, Ledger, Request, open_ledger

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
JOB = ("acme", "customers_export")
Take = Callable[..., Lease]


def bodies(requests: list[Request]) -> list[object]:
    return [request.body["ids"] for request in requests]


def test_requests_wait_until_they_are_finished(ledger: Ledger, lease: Lease) -> None:
    assert ledger.add_request(*JOB, {"ids": [2], "filter": None})
    assert ledger.add_request(*JOB, {"ids": ["♥\0"]})
    assert ledger.add_request("zeta", "customers_export", {"ids": [3]})
    waiting = ledger.requests(integration="acme")
    assert waiting[0] == Request(waiting[0].id, *JOB, {"ids": [2], "filter": None}, MOMENT, None)
    assert bodies(ledger.requests()) == [[2], ["♥\0"], [3]]

    taken = ledger.take_requests(lease)
    assert bodies(taken) == [[2], ["♥\0"]]
    assert {request.epoch for request in taken} == {lease.epoch}
    assert ledger.take_requests(lease) == []
    ledger.finish_request(lease, taken[0].id)
    ledger.finish_request(lease, taken[0].id)
    assert bodies(ledger.requests()) == [["♥\0"], [3]]


def test_the_same_request_waits_once(ledger: Ledger, lease: Lease) -> None:
    assert ledger.add_request(*JOB, {"ids": [1], "all": False})
    assert not ledger.add_request(*JOB, {"all": False, "ids": [1]})
    assert ledger.add_request(*JOB, {"ids": [1, 2], "all": False})
    assert len(ledger.take_requests(lease)) == 2


def test_a_request_is_not_joined_to_one_that_has_begun(ledger: Ledger, lease: Lease) -> None:
    """That one may have read the item before it changed again."""
    ledger.add_request(*JOB, {"ids": [1]})
    (begun,) = ledger.take_requests(lease)
    assert ledger.add_request(*JOB, {"ids": [1]})
    ledger.finish_request(lease, begun.id)
    assert bodies(ledger.take_requests(lease)) == [[1]]


def test_what_a_dead_run_had_begun_is_begun_again_once(ledger: Ledger, take: Take, lease: Lease) -> None:
    for ids in ([1], [2]):
        ledger.add_request(*JOB, {"ids": ids})
    ledger.take_requests(lease)
    ledger.add_request(*JOB, {"ids": [1]})
    second = take(ledger, "two", seen=ledger.lease_state(*JOB))
    assert bodies(ledger.take_requests(second)) == [[2], [1]]
    assert bodies(ledger.requests()) == [[2], [1]]


def test_a_holder_only_goes_when_no_request_waits(ledger: Ledger, take: Take, lease: Lease) -> None:
    ledger.add_request(*JOB, {"ids": [1]})
    assert not ledger.release_if_idle(lease)
    assert ledger.beat(lease)
    (taken,) = ledger.take_requests(lease)
    ledger.finish_request(lease, taken.id)
    assert ledger.release_if_idle(lease)
    assert not ledger.beat(lease)
    assert ledger.release_if_idle(lease)
    assert take(ledger, "two").epoch == 2


def test_no_request_is_left_lying_when_the_holder_goes_at_the_same_moment(url: str, ledger: Ledger, take: Take) -> None:
    """Either the holder sees the request, or whoever made it gets the lease."""
    with open_ledger(url) as other:
        for number in range(40):
            lease = take(ledger, f"holder{number}")
            together = threading.Barrier(2)
            got: list[Lease | None] = []

            def make(
                number: int = number, together: threading.Barrier = together, got: list[Lease | None] = got
            ) -> None:
                together.wait(30)
                other.add_request(*JOB, {"ids": [number]})
                got.append(take(other, "maker"))

            maker = threading.Thread(target=make)
            maker.start()
            together.wait(30)
            gone = ledger.release_if_idle(lease)
            maker.join(30)
            assert (got[0] is not None) is gone
            runner = got[0] or lease
            (request,) = ledger.take_requests(runner)
            ledger.finish_request(runner, request.id)
            assert ledger.release_if_idle(runner)
