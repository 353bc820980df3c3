"""Connectors that are each broken in exactly one way, and the test of the conformance suite that finds it."""

from __future__ import annotations

import datetime as dt
import html
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any

import attrs
import httpx
from imports_the_engine import ImportsTheEngine
from sound import NAN, Confirm, Keys, Settings, Sound, Upsert, Versions

from contraflow_hookspecs import (
    Capabilities,
    Change,
    Deferred,
    Gone,
    Idempotency,
    Operation,
    PermanentError,
    Rejected,
    RemoteItem,
    SystemicError,
    TransientError,
    WriteResult,
    Written,
    hookimpl,
)


@attrs.frozen(kw_only=True)
class Flaw:
    """One broken connector."""

    connector: type[Sound]
    test: str
    """The test of the suite that fails for it, if no other does."""

    @property
    def words(self) -> str:
        """What it does wrong: its docstring."""
        return str(self.connector.__doc__)


FLAWS: list[Flaw] = []
LEFT: list[Any] = []
"""What is left open on purpose, so that the garbage collector does not close it."""


def broken(test: str) -> Callable[[type[Sound]], type[Sound]]:
    """Say which test finds a connector's flaw."""

    def note(connector: type[Sound]) -> type[Sound]:
        FLAWS.append(Flaw(connector=connector, test=test))
        return connector

    return note


# The contract


@broken("test_declares_a_job_without_doing_anything")
class ConnectsWhenAskedForItsJob(Upsert):
    """Connects to something when it is asked for its job."""

    @hookimpl
    def provide_export_job(self) -> Any:
        with socket.socket() as probe:
            probe.connect_ex(("127.0.0.1", 9))
        return super().provide_export_job()


@broken("test_declares_what_it_implements")
class DeclaresConfirmItemsWithoutIt(Upsert):
    """Declares `confirm`, and has no `confirm_items`."""

    capabilities = attrs.evolve(Sound.capabilities, confirm=True)


FLAWS.append(Flaw(connector=ImportsTheEngine, test="test_imports_the_contract_alone"))


@attrs.frozen
class BareSettings(Settings):
    api_token: str = ""


@broken("test_declares_its_secrets")
class HidesNoToken(Upsert):
    """Has a setting `api_token` that is not declared secret."""

    settings_class = BareSettings


@broken("test_process_item_is_pure")
class StampsThePayload(Upsert):
    """Puts the present moment into each payload."""

    @hookimpl
    def process_item(self, item: Any, context: Any) -> Any:
        return {**super().process_item(item, context), "sent_at": time.time_ns()}


@broken("test_process_item_gives_what_can_be_sent")
class SendsNotANumber(Upsert):
    """Puts NaN into each payload."""

    @hookimpl
    def process_item(self, item: Any, context: Any) -> Any:
        return {**super().process_item(item, context), "score": NAN}


# Writing


@broken("test_an_empty_chunk_makes_no_call")
class AsksForNothing(Upsert):
    """Sends a request for an empty chunk."""

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        return super().write(changes, client) if changes else list(self.entries(client, changes))


@broken("test_one_outcome_an_item")
class ForgetsTheLast(Upsert):
    """Gives no outcome for the last item of a chunk."""

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        return super().write(changes, client)[:-1]


@broken("test_a_change_reaches_the_remote")
class CreatesAgain(Confirm):
    """Creates a second record instead of changing the first."""

    def method(self, change: Change) -> str:
        return "POST"

    def path(self, change: Change) -> str:
        return "/c/records"


@broken("test_the_last_of_two_changes_wins")
class WritesEachKeyOnceInARun(Upsert):
    """Sends no key twice in a run, and says that it did."""

    @contextmanager
    def open(self, settings: Any) -> Iterator[httpx.Client]:
        self.done: set[Any] = set()
        with super().open(settings) as client:
            yield client

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        known = [change for change in changes if change.key in self.done]
        results = super().write([change for change in changes if change.key not in self.done], client)
        self.done |= {change.key for change in changes}
        return [*results, *(Written(key=change.key) for change in known)]


@broken("test_a_removal_reaches_the_remote")
class KeepsWhatIsToBeDeleted(Upsert):
    """Says of each removal that it was carried out, and sends none."""

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        sent = [change for change in changes if change.operation is Operation.UPSERT]
        removals = [Written(key=change.key) for change in changes if change.operation is Operation.DELETE]
        return [*super().write(sent, client), *removals]


@broken("test_writing_twice")
class RefusesASecondSending(Upsert):
    """Takes what is sent a second time for a mistake of the item."""

    def result(self, change: Change, entry: Mapping[str, Any]) -> WriteResult:
        if change.attempt > 1:
            return Rejected(key=change.key, code="exists", reason="it was sent before")
        return super().result(change, entry)


@broken("test_one_bad_item_among_good_ones")
class RejectsTheNeighbours(Upsert):
    """Rejects the whole chunk when the remote refuses one item of it."""

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        results = super().write(changes, client)
        bad = [result for result in results if isinstance(result, Rejected)]
        return [attrs.evolve(bad[0], key=change.key) for change in changes] if bad else results


@broken("test_order_does_not_matter")
class SortsPathsButNotRecords(Upsert):
    """Sorts the addresses of a chunk, and not the records."""

    def entries(self, client: httpx.Client, changes: Sequence[Change]) -> Any:
        paths = iter(sorted(changes, key=lambda change: str(change.key[0]).zfill(9)))
        self.moved = {change.key: super(SortsPathsButNotRecords, self).path(next(paths)) for change in changes}
        return super().entries(client, changes)

    def path(self, change: Change) -> str:
        return self.moved[change.key]


@broken("test_changes_are_left_alone")
class AddsToThePayload(Upsert):
    """Puts a field of its own into the payloads that it is given."""

    def body(self, change: Change) -> Any:
        change.payload["origin"] = "contraflow"
        return change.payload


@broken("test_the_largest_chunk")
class SendsTheFirstHundred(Upsert):
    """Sends no more than a hundred items of a chunk, and says that it sent all."""

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        return [*super().write(changes[:100], client), *(Written(key=change.key) for change in changes[100:])]


@broken("test_nothing_is_sent_after_the_answer")
class SendsBehindTheBack(Upsert):
    """Sends something more from a thread, after it has answered."""

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        results = super().write(changes, client)
        if changes:
            threading.Timer(0.05, self.ask, [str(client.base_url)]).start()
        return results

    def ask(self, url: str) -> None:
        with suppress(httpx.HTTPError):  # the test may be over
            httpx.get(url, trust_env=False)


# Values


@broken("test_unicode")
class SendsAsciiOnly(Upsert):
    """Replaces what is not ASCII by question marks."""

    def body(self, change: Change) -> Any:
        return _texts(change, lambda text: text.encode("ascii", "replace").decode())


@broken("test_characters_that_mean_something")
class EscapesForHtml(Upsert):
    """Escapes text as if it were put into a page."""

    def body(self, change: Change) -> Any:
        return _texts(change, html.escape)


@broken("test_null")
class SendsEmptyTextForNull(Upsert):
    """Sends an empty text for a value that is not there."""

    def body(self, change: Change) -> Any:
        return {name: "" if value is None else value for name, value in change.payload.items()}


@broken("test_a_value_is_taken_away")
class LeavesOutNulls(Confirm):
    """Leaves out what is not there, so that what was there stays."""

    def body(self, change: Change) -> Any:
        return {name: value for name, value in change.payload.items() if value is not None}


@broken("test_long_text")
class CutsText(Upsert):
    """Cuts text after 255 characters."""

    def body(self, change: Change) -> Any:
        return _texts(change, lambda text: text[:255])


@broken("test_big_integers")
class SendsIntegersAsFloats(Upsert):
    """Makes floats of integers."""

    def body(self, change: Change) -> Any:
        return {name: float(value) if type(value) is int else value for name, value in change.payload.items()}


@broken("test_decimals")
class RoundsDecimals(Upsert):
    """Rounds decimals to one digit behind the point."""

    def body(self, change: Change) -> Any:
        return {**change.payload, "balance": str(round(Decimal(change.payload["balance"]), 1))}


@broken("test_aware_moments")
class ForgetsTheZone(Upsert):
    """Cuts the zone off moments."""

    def body(self, change: Change) -> Any:
        moment = dt.datetime.fromisoformat(change.payload["seen"])
        return {**change.payload, "seen": moment.replace(tzinfo=None).isoformat()}


def _texts(change: Change, convert: Callable[[str], str]) -> dict[str, Any]:
    return {**change.payload, "name": change.payload["name"] and convert(change.payload["name"])}


# What is read, put away and forgotten


@broken("test_fetch_items_tells_what_is_held")
class FetchesFromMemory(Confirm):
    """Gives an empty record for each that it is to fetch."""

    def fetched(self, change: Change, client: httpx.Client) -> Any:
        record = super().fetched(change, client)
        return record if isinstance(record, Gone) else attrs.evolve(record, payload={})


@broken("test_fetch_items_tells_what_is_gone")
class FetchesWhatIsGone(Confirm):
    """Gives a record without content for one that is gone."""

    def fetched(self, change: Change, client: httpx.Client) -> Any:
        record = super().fetched(change, client)
        return RemoteItem(key=change.key, payload={}) if isinstance(record, Gone) else record


@broken("test_fetch_items_does_not_guess")
class TakesSilenceForGone(Confirm):
    """Says of records that they are gone when it cannot reach the remote."""

    def fetched(self, change: Change, client: httpx.Client) -> Any:
        try:
            return super().fetched(change, client)
        except TransientError:
            return Gone(key=change.key)


@broken("test_find_items_finds_what_is_there")
class FindsNothing(Confirm):
    """Finds no record."""

    def found(self, change: Change, client: httpx.Client) -> list[RemoteItem]:
        return []


@broken("test_find_items_does_not_guess")
class FindsNothingWithoutARemote(Confirm):
    """Says that there is no record when it cannot reach the remote."""

    def found(self, change: Change, client: httpx.Client) -> list[RemoteItem]:
        try:
            return super().found(change, client)
        except TransientError:
            return []


@broken("test_list_items_lists_what_is_held")
class ListsTheFirst(Confirm):
    """Lists the first page only."""

    def listed(self, client: httpx.Client) -> list[RemoteItem]:
        return super().listed(client)[:1]


@broken("test_list_items_does_not_end_early")
class ListsNothingWithoutARemote(Confirm):
    """Gives an empty list when it cannot reach the remote."""

    def listed(self, client: httpx.Client) -> list[RemoteItem]:
        try:
            return super().listed(client)
        except TransientError:
            return []


@broken("test_reading_changes_nothing[fetch_items]")
class WritesWhatItFetches(Confirm):
    """Writes what it is to fetch and does not find."""

    def fetched(self, change: Change, client: httpx.Client) -> Any:
        record = super().fetched(change, client)
        if isinstance(record, Gone):
            self.write([change], client)
        return record


@broken("test_reading_changes_nothing[find_items]")
class WritesWhatItLooksFor(Confirm):
    """Writes what it looks for and does not find."""

    def found(self, change: Change, client: httpx.Client) -> list[RemoteItem]:
        records = super().found(change, client)
        if not records:
            self.write([change], client)
        return records


@broken("test_reading_changes_nothing[list_items]")
class MarksWhatItLists(Confirm):
    """Changes each record that it lists."""

    def listed(self, client: httpx.Client) -> list[RemoteItem]:
        records = super().listed(client)
        for record in records:
            client.patch(f"/c/records/{record.remote_id}", json={"name": "seen"})
        return records


@broken("test_archive_items_puts_away")
class ArchivesNothing(Confirm):
    """Says of each record that it was put away, and does nothing."""

    @hookimpl
    def archive_items(self, items: Sequence[Change], context: Any) -> Any:
        return [Written(key=change.key) for change in items]


@broken("test_forget_items_forgets")
class ForgetsHalf(Confirm):
    """Forgets the name, and keeps the rest."""

    def nothing(self) -> dict[str, Any]:
        return {"name": None}


# Answers


@broken("test_401_stops_the_step")
class BlamesItemsForCredentials(Upsert):
    """Rejects the items when its credentials are refused."""

    def refused(self, status: int, response: httpx.Response) -> Exception:
        return PermanentError("401", code="http_401") if status == 401 else super().refused(status, response)


@broken("test_404_is_a_refusal")
class DoubtsA404(Upsert):
    """Leaves items in doubt when the remote does not know the address."""

    def refused(self, status: int, response: httpx.Response) -> Exception:
        return RuntimeError("404") if status == 404 else super().refused(status, response)


@broken("test_409_is_a_conflict_or_a_refusal")
class TakesAConflictForSuccess(Upsert):
    """Says of a conflict that the record is there already."""

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        try:
            return super().write(changes, client)
        except PermanentError as error:
            if error.code != "http_409":
                raise
            return [Written(key=change.key) for change in changes]


class _RejectsAll(Upsert):
    status = 0

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        try:
            return super().write(changes, client)
        except PermanentError as error:
            if error.code != f"http_{self.status}":
                raise
            return [Rejected(key=change.key, code=error.code, reason=error.reason) for change in changes]


@broken("test_413_is_met_with_smaller_chunks")
class RejectsWhatIsTooLarge(_RejectsAll):
    """Rejects every item of a chunk that is too large."""

    status = 413


@broken("test_422_is_a_refusal_with_a_reason")
class GivesNoReason(Upsert):
    """Rejects without a reason."""

    def refused(self, status: int, response: httpx.Response) -> Exception:
        return PermanentError("", code="") if status == 422 else super().refused(status, response)


@broken("test_one_422_leaves_the_neighbours_alone")
class RejectsAChunkForOne422(_RejectsAll):
    """Rejects every item of a chunk that was refused as a whole."""

    status = 422


@broken("test_429_with_retry_after")
class IgnoresRetryAfter(Upsert):
    """Does not pass on how long the remote wants to be left alone."""

    def retry_after(self, response: httpx.Response) -> float | None:
        return None if response.status_code == 429 else super().retry_after(response)


@broken("test_429_with_a_date")
class ReadsDatesAsSeconds(Upsert):
    """Takes Retry-After for a number, whatever it is."""

    def retry_after(self, response: httpx.Response) -> float | None:
        told = response.headers.get("Retry-After")
        return None if told is None else float(told)


@broken("test_429_without_retry_after")
class WantsRetryAfter(Upsert):
    """Cannot do without a Retry-After."""

    def retry_after(self, response: httpx.Response) -> float | None:
        _ = response.headers["Retry-After"]
        return super().retry_after(response)


@broken("test_500_leaves_it_in_doubt")
class RejectsFor500(Upsert):
    """Rejects items for an error of the server."""

    def refused(self, status: int, response: httpx.Response) -> Exception:
        return PermanentError("500", code="http_500") if status == 500 else super().refused(status, response)


@broken("test_503_is_put_off")
class StopsFor503(Upsert):
    """Takes a remote that is away for a moment for one at which somebody must act."""

    def refused(self, status: int, response: httpx.Response) -> Exception:
        return SystemicError("503") if status == 503 else super().refused(status, response)


@broken("test_207_with_good_and_bad")
class TakesAMixedAnswerForSuccess(Upsert):
    """Looks at the status of a mixed answer, and not into it."""

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        super().write(changes, client)
        return [Written(key=change.key) for change in changes]


@broken("test_a_page_of_html_is_no_success")
class TakesAnything200ForSuccess(Upsert):
    """Takes any answer with the status 200 for a success."""

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        try:
            return super().write(changes, client)
        except UnreadableError:
            return [Written(key=change.key) for change in changes]

    def not_json(self) -> Exception:
        return UnreadableError()


class UnreadableError(Exception):
    """An answer could not be read."""


@broken("test_an_answer_that_is_no_json_leaves_it_in_doubt")
class PutsOffWhatItCannotRead(Upsert):
    """Says "surely not written" when it cannot read the answer."""

    def not_json(self) -> Exception:
        return TransientError("the answer is no JSON")


@broken("test_a_redirect_to_another_host_is_not_followed[302]")
@broken("test_a_redirect_to_another_host_is_not_followed[307]")
class FollowsAnywhere(Upsert):
    """Follows redirects to any host."""

    def client(self, settings: Any, **more: Any) -> httpx.Client:
        return super().client(settings, follow_redirects=True, **more)


@broken("test_credentials_expire_in_mid_run")
class ForgetsWhatWasSentWhenTheTokenExpired(Upsert):
    """Renews its credentials after a 401, and says that the chunk was written, without sending it again."""

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        try:
            return super().write(changes, client)
        except SystemicError:
            return [Written(key=change.key) for change in changes]


# The way to the remote


@broken("test_no_connection")
class DoubtsWithoutAConnection(Upsert):
    """Leaves items in doubt although no connection came about."""

    def no_connection(self, error: httpx.RequestError) -> Exception:
        return RuntimeError("no connection")


@broken("test_a_timeout_before_it_was_carried_out")
class RejectsAfterATimeout(Upsert):
    """Rejects items for which no answer came."""

    def timeout(self, error: httpx.RequestError) -> Exception:
        return PermanentError("no answer", code="timeout")


@broken("test_a_timeout_after_it_was_carried_out")
class PutsOffAfterATimeout(Upsert):
    """Says "surely not written" when no answer came."""

    def timeout(self, error: httpx.RequestError) -> Exception:
        return TransientError("no answer")


@broken("test_a_reset_before_it_was_carried_out")
class HopesAfterAReset(Upsert):
    """Says that all was written when the connection broke."""

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        try:
            return super().write(changes, client)
        except UnreadableError:
            return [Written(key=change.key) for change in changes]

    def reset(self, error: httpx.RequestError) -> Exception:
        return UnreadableError()


@broken("test_a_reset_after_it_was_carried_out")
class RejectsAfterAReset(Upsert):
    """Rejects items when the connection broke."""

    def reset(self, error: httpx.RequestError) -> Exception:
        return PermanentError("the connection broke", code="reset")


@broken("test_half_an_answer")
class PutsOffHalfAnAnswer(Upsert):
    """Says "surely not written" when the answer ends in the middle."""

    def half(self, error: httpx.RequestError) -> Exception:
        return TransientError("half an answer")


@broken("test_a_failure_in_the_middle_of_a_chunk[status]")
@broken("test_a_failure_in_the_middle_of_a_chunk[reset]")
class ForgetsWhatWentBefore(Upsert):
    """Sends a chunk item by item, and says of all of them what the one that failed deserves."""

    def entries(self, client: httpx.Client, changes: Sequence[Change]) -> Any:
        return [entry for change in changes for entry in super(ForgetsWhatWentBefore, self).entries(client, [change])]

    def reset(self, error: httpx.RequestError) -> Exception:
        return PermanentError("the connection broke", code="reset")


@broken("test_it_recovers_in_the_same_run")
class NeverRecovers(Upsert):
    """Refuses to work for ever after the connection broke once."""

    broken = False

    def reset(self, error: httpx.RequestError) -> Exception:
        self.broken = True
        return super().reset(error)

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        if self.broken:
            raise SystemicError("the connection broke before")
        return super().write(changes, client)


@broken("test_resources_are_closed_after_a_run")
class KeepsItsClientOpen(Upsert):
    """Never closes its client."""

    @contextmanager
    def open(self, settings: Any) -> Iterator[httpx.Client]:
        client = self.client(settings)
        LEFT.append(client)
        yield client


@broken("test_resources_are_closed_after_a_failure")
class ClosesAfterSuccessOnly(Upsert):
    """Closes what it opened only if nothing goes wrong."""

    @contextmanager
    def open(self, settings: Any) -> Iterator[httpx.Client]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - left open on purpose
        LEFT.append(file)
        with self.client(settings) as client:
            yield client
        file.close()


@broken("test_resources_are_closed_when_they_cannot_be_opened")
class LeaksWhenTheRemoteIsAway(Upsert):
    """Leaves a file open when the remote is not there at the start."""

    @contextmanager
    def open(self, settings: Any) -> Iterator[httpx.Client]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - left open on purpose
        LEFT.append(file)
        with self.client(settings) as client:
            try:
                client.get("/")
            except httpx.RequestError as error:
                raise TransientError("the remote is away") from error
            try:
                yield client
            finally:
                file.close()


# A run


@broken("test_check_connection_tells_whether_the_remote_answers")
class SaysThatAllIsWell(Upsert):
    """Says that the remote answers, without asking it."""

    def ping(self, client: httpx.Client) -> int:
        return 200


@broken("test_a_second_run_sends_nothing")
class StampsTheRun(Upsert):
    """Puts something of the run into each payload."""

    @contextmanager
    def open(self, settings: Any) -> Iterator[httpx.Client]:
        self.run = time.time_ns()
        with super().open(settings) as client:
            yield client

    @hookimpl
    def process_item(self, item: Any, context: Any) -> Any:
        return {**super().process_item(item, context), "run": self.run}


# Secrets


def _check_password(instance: Any, attribute: Any, value: str) -> None:
    if value != value.strip():
        raise ValueError(f"'{value.strip()}' has blanks around it")


@attrs.frozen
class TalkativeSettings(Settings):
    password: str = attrs.field(default="", metadata={"secret": True}, validator=_check_password)


@broken("test_settings_errors_show_no_secret")
class ShowsASecretThatIsNotValid(Upsert):
    """Shows a part of a secret that is not valid."""

    settings_class = TalkativeSettings


@broken("test_refused_credentials_are_not_repeated")
class RepeatsWhatWasRefused(Upsert):
    """Repeats the answer to refused credentials, which may hold them."""

    def refused(self, status: int, response: httpx.Response) -> Exception:
        return SystemicError(response.text) if status == 401 else super().refused(status, response)


@broken("test_a_server_error_shows_no_secret")
class RepeatsAServerError(Upsert):
    """Repeats the answer of a server that fails, which may hold credentials."""

    def refused(self, status: int, response: httpx.Response) -> Exception:
        return RuntimeError(response.text) if status == 500 else super().refused(status, response)


@broken("test_a_broken_connection_shows_no_secret")
class ShowsTheRequestThatBroke(Upsert):
    """Shows the headers of the request whose connection broke."""

    def reset(self, error: httpx.RequestError) -> Exception:
        return RuntimeError(str(dict(error.request.headers)))


# The promise


@broken("test_the_same_key_has_one_effect")
class TakesANewKeyForEachSending(Keys):
    """Sends another idempotency key with each attempt."""

    def headers(self, change: Change) -> dict[str, str]:
        return {"Idempotency-Key": f"{change.idempotency_key}-{change.attempt}"}

    def method(self, change: Change) -> str:
        return "POST" if change.attempt > 1 else super().method(change)

    def path(self, change: Change) -> str:
        return "/a/records" if change.attempt > 1 else super().path(change)


@broken("test_a_late_repetition_changes_nothing")
class RepeatsUpdatesUnderNewKeys(Keys):
    """Sends updates again under another key."""

    def headers(self, change: Change) -> dict[str, str]:
        again = change.attempt > 1 and change.remote_id is not None
        return {"Idempotency-Key": f"{change.idempotency_key}-2" if again else change.idempotency_key}


@broken("test_an_old_version_is_refused")
class OverwritesNewerVersions(Versions):
    """Declares versions, and does not send them."""

    def headers(self, change: Change) -> dict[str, str]:
        return {}


@broken("test_an_old_version_is_refused")
class TakesTheContentForTheVersion(Versions):
    """Takes a digest of the content for the version."""

    def __init__(self) -> None:
        super().__init__()
        self.newest: dict[str, str] = {}

    def headers(self, change: Change) -> dict[str, str]:
        return {} if change.remote_version is None else {"If-Match": self.newest[change.remote_version]}

    def result(self, change: Change, entry: Mapping[str, Any]) -> WriteResult:
        result = super().result(change, entry)
        if not isinstance(result, Written) or result.remote_version is None:
            return result
        digest = repr(sorted(change.payload.items()))
        self.newest[digest] = result.remote_version
        return attrs.evolve(result, remote_version=digest)


@broken("test_a_second_sending_leaves_the_same_state")
class DoublesWhatIsSentTwice(Confirm):
    """Declares upserts to a remote that makes a second record."""

    capabilities = attrs.evolve(Confirm.capabilities, idempotency=Idempotency.UPSERT)

    def method(self, change: Change) -> str:
        return "POST" if change.attempt > 1 else super().method(change)

    def path(self, change: Change) -> str:
        return "/c/records" if change.attempt > 1 else super().path(change)


@broken("test_confirm_items_tells_what_was_not_written")
class ConfirmsEverything(Confirm):
    """Says of whatever it is asked about that it was written."""

    def confirmed(self, change: Change, record: Any) -> WriteResult:
        return Written(key=change.key)


@broken("test_confirm_items_tells_what_was_written")
class ConfirmsNothing(Confirm):
    """Says of whatever it is asked about that it was not written."""

    def confirmed(self, change: Change, record: Any) -> WriteResult:
        return Deferred(key=change.key, reason="it is not there")


@broken("test_confirm_items_tells_a_change_from_the_one_before")
class ConfirmsByPresence(Confirm):
    """Says that a change was written if there is a record at all."""

    def confirmed(self, change: Change, record: Any) -> WriteResult:
        if change.operation is Operation.UPSERT and record is not None:
            return Written(key=change.key)
        return super().confirmed(change, record)


@broken("test_confirm_items_only_reads")
class WritesWhenAsked(Confirm):
    """Writes what it is asked about and does not find."""

    def confirm(self, change: Change, client: httpx.Client) -> WriteResult:
        answer = super().confirm(change, client)
        if isinstance(answer, Deferred):
            self.write([change], client)
        return answer


@broken("test_confirm_items_tells_a_removal")
class TakesARemovalForAFailure(Confirm):
    """Says of a removal that it was not carried out, because nothing is there."""

    def confirmed(self, change: Change, record: Any) -> WriteResult:
        if record is None:
            return Deferred(key=change.key, reason="it is not there")
        return super().confirmed(change, record)


@broken("test_confirm_items_does_not_guess")
class GuessesWhenItCannotAsk(Confirm):
    """Says "surely not written" when the remote cannot be asked."""

    def cannot_ask(self, change: Change, error: httpx.RequestError) -> WriteResult:
        return Deferred(key=change.key, reason="the remote does not answer")


@broken("test_doubt_is_told")
class SendsAgainAfterAReset(Confirm):
    """Says "surely not written" when the connection broke, and so has it sent a second time."""

    def reset(self, error: httpx.RequestError) -> Exception:
        return TransientError("the connection broke")


@broken("test_the_claimed_promise_is_earned")
class ClaimsKeys(Upsert):
    """Claims idempotency keys of a remote that knows none."""

    capabilities = Capabilities(delete=True, idempotency=Idempotency.KEY, max_batch=200)
