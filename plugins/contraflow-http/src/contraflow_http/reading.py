"""Reads records back, in the fields that ``process_item`` gives: one at a time, several by their ids, or all of them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import attrs
import httpx

from contraflow_hookspecs import Change, Gone, ItemError, PermanentError, RemoteItem, TransientError
from contraflow_http.answer import MISSING, Answer, as_text, find
from contraflow_http.errors import AmbiguousError, Outcome, describe, outcome_of, status_error
from contraflow_http.reading_settings import Fetch, Find, Paged, Read, Records
from contraflow_http.settings import Endpoint, Settings
from contraflow_http.template import parse_path
from contraflow_http.values import to_json
from contraflow_http.wire import Wire

NOT_SUPPORTED = "not_supported"
"""The code by which the contract says that a step's records cannot be read or listed as it is configured."""

_MILLISECONDS = 1e11
"""Larger numbers of seconds lie in the year 5138: such moments are told in milliseconds."""


@attrs.frozen(kw_only=True)
class Reading:
    """Reads from one endpoint. Nothing is changed by it, so an answer that is lost may be asked for again."""

    settings: Settings
    endpoint: Endpoint
    wire: Wire

    def fetch(self, changes: Sequence[Change]) -> list[RemoteItem | Gone]:
        """The records of these changes, or ``Gone``; a change whose record cannot be addressed is left out.

        Raises:
            ConnectorError: The remote could not be asked, or has another idea of what we ask.
        """
        if self.endpoint.fetch is not None:
            return self._fetch_many(changes, self.endpoint.fetch)
        if self.endpoint.read is None:
            raise PermanentError("the endpoint has neither 'read' nor 'fetch' to read records by", code=NOT_SUPPORTED)
        found = (self._fetch_one(change, self.endpoint.read) for change in changes)
        return [each for each in found if each is not None]

    def list_all(self) -> Generator[RemoteItem, None, None]:
        """All records, page by page.

        Raises:
            ConnectorError: As for :meth:`fetch`.
        """
        listing = self.endpoint.list
        if listing is None:
            raise PermanentError("the endpoint has no 'list' to list records by", code=NOT_SUPPORTED)
        for records in self._pages(listing, listing.path):
            for record in records:
                yield self._remote_item(record, listing, key=None)

    def find(self, changes: Sequence[Change]) -> list[RemoteItem]:
        """The records that match these changes, all of each; a change that has nothing to be told by has none.

        Raises:
            ConnectorError: As for :meth:`fetch`.
        """
        if self.endpoint.find is None:
            raise PermanentError("the endpoint has no 'find' to look for records by", code=NOT_SUPPORTED)
        return [record for change in changes for record in self._find_one(change, self.endpoint.find)]

    def _find_one(self, change: Change, find_: Find) -> Iterator[RemoteItem]:
        try:
            path = parse_path(find_.path).path(change)
        except ItemError:
            return
        for records in self._pages(find_, path):
            for record in records:
                if all(_is(find(record, place), change.payload.get(name)) for name, place in find_.match.items()):
                    yield self._remote_item(record, find_, key=change.key)

    def _fetch_one(self, change: Change, read: Read) -> RemoteItem | Gone | None:
        try:
            path = parse_path(read.path).path(change)
        except ItemError:
            return None
        answer = self._get(path)
        if answer is None:
            return Gone(key=change.key)
        record = answer.find(read.record)
        if not isinstance(record, Mapping):
            raise PermanentError(f"GET {read.path} answered without a record", code="no_record")
        return RemoteItem(
            key=change.key,
            remote_id=change.remote_id or answer.text(self.endpoint.id),
            remote_version=answer.text(self.endpoint.version),
            payload=self._payload(record, read.fields),
            modified=_moment(Answer(headers=answer.headers, body=record), read.modified),
        )

    def _fetch_many(self, changes: Sequence[Change], fetch: Fetch) -> list[RemoteItem | Gone]:
        known = [change for change in changes if change.remote_id is not None]
        results: list[RemoteItem | Gone] = []
        for start in range(0, len(known), fetch.size):
            part = {str(change.remote_id): change for change in known[start : start + fetch.size]}
            ids = fetch.separator.join(quote(each, safe="") for each in part)
            before, behind = parse_path(fetch.path).literals
            answer = self._get(f"{before}{ids}{behind}")
            found: dict[str, RemoteItem] = {}
            if answer is not None:
                for record in self._records(answer, fetch, fetch.path):
                    item = self._remote_item(record, fetch, key=None)
                    found[item.remote_id or ""] = item
            results += [
                attrs.evolve(found[each], key=change.key) if each in found else Gone(key=change.key)
                for each, change in part.items()
            ]
        return results

    def _pages(self, source: Paged, start: str) -> Iterator[Sequence[Mapping[str, Any]]]:
        """The records of all pages, the first of which lies at ``start``. A remote that leads in a circle is stopped."""
        searches = isinstance(source, Find)
        number, before = source.first_page, 0
        path: str | None = start
        if source.page_parameter is not None:
            path = _with(start, source.page_parameter, number)
        seen: set[str] = set()
        while path is not None:
            if path in seen:
                raise PermanentError(f"GET {source.path}: the pages lead in a circle", code="circle")
            seen.add(path)
            answer = self._get(path)
            if answer is None and searches:
                return  # nothing is found, or no further page
            if answer is None:
                raise PermanentError(f"GET {source.path}: there is no such list", code="no_list")
            records = self._records(answer, source, source.path, one=searches)
            yield records
            number, before = number + 1, before + len(records)
            if source.next is not None:
                path = self._next(source, source.next, path, answer)
            elif source.cursor is not None and source.cursor_parameter is not None:
                mark = answer.text(source.cursor)
                path = None if mark is None else _with(start, source.cursor_parameter, mark)
            elif records and source.page_parameter is not None:
                path = _with(start, source.page_parameter, number)
            elif records and source.offset_parameter is not None:
                path = _with(start, source.offset_parameter, before)
            else:
                path = None

    def _next(self, source: Paged, place: str, path: str, answer: Answer) -> str | None:
        """The next page, which the remote tells by its address: absolute, or seen from the present page."""
        told = _link(answer) if place.lower() == "header:link" else answer.find(place)
        if not isinstance(told, str) or not told:
            return None
        client = self.wire.client
        here = client.build_request("GET", path).url
        there = here.join(told)
        if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
            raise PermanentError(f"GET {source.path}: the next page lies at another origin", code="origin")
        # Seen from the base URL, where it lies below it: messages show paths, and no host.
        base, full = client.base_url.raw_path.decode(), there.raw_path.decode()
        return f"/{full.removeprefix(base)}" if full.startswith(base) else str(there)

    def _get(self, path: str) -> Answer | None:
        """The answer; ``None`` for a record that is not there."""
        try:
            answer = self.wire.exchange("GET", path)
        except AmbiguousError as error:
            raise TransientError(str(error)) from error
        if answer.status in {404, 410}:
            return None
        outcome = self.endpoint.statuses.get(answer.status, outcome_of(answer.status))
        if outcome in (Outcome.WRITTEN, Outcome.UNCHANGED):
            return answer
        message = describe(answer, "GET", httpx.URL(path).path, self.endpoint.error, self.wire.secrets)
        raise TransientError(message) if outcome is Outcome.UNKNOWN else status_error(answer, outcome, message)

    def _records(
        self, answer: Answer, source: Records, where: str, *, one: bool = False
    ) -> Sequence[Mapping[str, Any]]:
        records = answer.find(source.records)
        if one and isinstance(records, Mapping):
            return [records]
        if not isinstance(records, list) or not all(isinstance(each, Mapping) for each in records):
            raise PermanentError(
                f"GET {where} answered without a list of records at '{source.records}'", code="no_list"
            )
        return records

    def _remote_item(self, record: Mapping[str, Any], source: Records, *, key: Any) -> RemoteItem:
        told = Answer(body=record)
        return RemoteItem(
            key=key,
            remote_id=told.text(source.id),
            remote_version=told.text(source.version),
            payload=self._payload(record, source.fields),
            modified=_moment(told, source.modified),
        )

    def _payload(self, record: Mapping[str, Any], fields: Mapping[str, str]) -> Mapping[str, Any]:
        """What the record has of our fields: those that are not in it cannot be compared."""
        own = (*self.endpoint.fields, *self.endpoint.parents) if self.endpoint.fields else record
        places = fields or {name: name for name in own}
        found = {name: record[place] if place in record else find(record, place) for name, place in places.items()}
        return {name: to_json(value) for name, value in found.items() if value is not MISSING}


def _is(held: Any, sent: Any) -> bool:
    """Whether a record's value is the payload's; a number may be spelt as text."""
    if held is MISSING or isinstance(held, bool) != isinstance(sent, bool):
        return False
    sent = to_json(sent)
    return bool(held == sent) or (as_text(sent) is not None and as_text(held) == as_text(sent))


def _with(path: str, parameter: str, value: object) -> str:
    return f"{path}{'&' if '?' in path else '?'}{quote(parameter, safe='')}={quote(str(value), safe='')}"


def _link(answer: Answer) -> str | None:
    """The next page by the header ``Link`` (RFC 8288)."""
    response = httpx.Response(200, headers=answer.headers)
    return response.links.get("next", {}).get("url")


def _moment(answer: Answer, place: str | None) -> datetime | None:
    """A moment as ISO 8601, as an HTTP date, or in seconds or milliseconds since 1970; without a zone it is UTC."""
    value = MISSING if place is None else answer.find(place)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value) if value[:4].isdecimal() else parsedate_to_datetime(value)
        else:
            moment = datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLISECONDS else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
