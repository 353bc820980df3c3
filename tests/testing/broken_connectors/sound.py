"""Four connectors to the fault remote, one for each way to promise something, that do everything right.

They send a chunk in one request. Whatever is done here has a method of its own, which a broken connector replaces.
"""

from __future__ import annotations

import datetime as dt
import hmac
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import attrs
import httpx

from contraflow_hookspecs import (
    Capabilities,
    Change,
    Conflict,
    Deferred,
    ExportJob,
    Gone,
    Idempotency,
    Operation,
    PermanentError,
    Rejected,
    RemoteItem,
    SystemicError,
    TransientError,
    Unknown,
    WriteResult,
    Written,
    hookimpl,
)


@attrs.frozen
class Settings:
    url: str
    user: str
    password: str = attrs.field(metadata={"secret": True}, repr=False)
    timeout: float = 0.2


class AmbiguousError(Exception):
    """Nobody knows whether the request was carried out."""


class Sound:
    """What the four have in common."""

    kind = "b"
    settings_class: type = Settings
    capabilities = Capabilities(delete=True, idempotency=Idempotency.UPSERT, max_batch=200)

    @hookimpl
    def provide_export_job(self) -> ExportJob:
        return ExportJob(
            name=type(self).__name__,
            settings=self.settings_class,
            capabilities=self.capabilities,
            open_resources=self.open,
        )

    @contextmanager
    def open(self, settings: Any) -> Iterator[httpx.Client]:
        with self.client(settings) as client:
            yield client

    def client(self, settings: Any, **more: Any) -> httpx.Client:
        # A credential that is made of the password, and that contraflow cannot know: nobody but the connector can hide it.
        signature = hmac.new(settings.password.encode(), settings.user.encode(), "sha256").hexdigest()
        headers = {"Authorization": f"Signature {signature}"}
        return httpx.Client(base_url=settings.url, headers=headers, timeout=settings.timeout, trust_env=False, **more)

    @hookimpl
    def check_connection(self, context: Any) -> str:
        return f"{context.resource.base_url.host} answered {self.ping(context.resource)}"

    def ping(self, client: httpx.Client) -> int:
        try:
            return client.get("/b/records").status_code
        except httpx.RequestError as error:
            raise self.trouble(error) from None

    # The payload

    @hookimpl
    def process_item(self, item: Any, context: Any) -> Mapping[str, Any]:
        return {name: self.value(value) for name, value in item.data.items()}

    def value(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case Decimal():
                return self.decimal(value)
            case dt.datetime():
                return self.moment(value)
            case int() if not isinstance(value, bool):
                return self.integer(value)
        return value

    def text(self, value: str) -> Any:
        return value

    def decimal(self, value: Decimal) -> Any:
        return str(value)

    def moment(self, value: dt.datetime) -> Any:
        return value.isoformat()

    def integer(self, value: int) -> Any:
        return value

    # Writing

    @hookimpl
    def write_items(self, items: Sequence[Change], context: Any) -> Any:
        return self.write(items, context.resource)

    def write(self, changes: Sequence[Change], client: httpx.Client) -> Any:
        if not changes:
            return []
        entries = self.entries(client, changes)
        return [self.result(change, entry) for change, entry in zip(changes, entries, strict=True)]

    def entries(self, client: httpx.Client, changes: Sequence[Change]) -> Sequence[Mapping[str, Any]]:
        requests = [self.request(change) for change in changes]
        response = self.post(client, f"/{self.kind}/batch", {"requests": requests})
        self.check(response)
        return self.parse(response)

    def request(self, change: Change) -> dict[str, Any]:
        if change.operation is Operation.DELETE:
            return {"method": "DELETE", "path": self.path(change), "headers": self.headers(change)}
        return {
            "method": self.method(change),
            "path": self.path(change),
            "headers": self.headers(change),
            "body": self.body(change),
        }

    def method(self, change: Change) -> str:
        return "PUT"

    def path(self, change: Change) -> str:
        return f"/b/records/{change.key[0]}"

    def headers(self, change: Change) -> dict[str, str]:
        return {}

    def body(self, change: Change) -> Mapping[str, Any]:
        return dict(change.payload)

    def post(self, client: httpx.Client, path: str, body: Any) -> httpx.Response:
        try:
            return client.post(path, json=body)
        except httpx.RequestError as error:
            raise self.trouble(error) from None

    def trouble(self, error: httpx.RequestError) -> Exception:
        match error:
            case httpx.ConnectError() | httpx.ConnectTimeout():
                return self.no_connection(error)
            case httpx.TimeoutException():
                return self.timeout(error)
            case httpx.RemoteProtocolError() if "peer closed" in str(error) or "incomplete" in str(error):
                return self.half(error)
        return self.reset(error)

    def no_connection(self, error: httpx.RequestError) -> Exception:
        return TransientError("no connection")

    def timeout(self, error: httpx.RequestError) -> Exception:
        return AmbiguousError("no answer in time")

    def half(self, error: httpx.RequestError) -> Exception:
        return AmbiguousError("half an answer")

    def reset(self, error: httpx.RequestError) -> Exception:
        return AmbiguousError("the connection broke")

    def check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (200, 207):
            return
        raise self.refused(status, response)

    def refused(self, status: int, response: httpx.Response) -> Exception:
        words = f"the remote answered {status}"
        if status in (429, 503):
            return TransientError(words, retry_after=self.retry_after(response))
        if 300 <= status < 400 or status in (401, 403):
            return SystemicError(words)
        return PermanentError(words, code=f"http_{status}") if status < 500 else AmbiguousError(words)

    def retry_after(self, response: httpx.Response) -> float | None:
        told = response.headers.get("Retry-After")
        if told is None or told.isdecimal():
            return told and float(told)
        now = parsedate_to_datetime(response.headers["Date"])
        return max(0.0, (parsedate_to_datetime(told) - now).total_seconds())

    def parse(self, response: httpx.Response) -> Sequence[Mapping[str, Any]]:
        try:
            found: Sequence[Mapping[str, Any]] = response.json()["responses"]
        except ValueError:
            raise self.not_json() from None
        return found

    def not_json(self) -> Exception:
        return AmbiguousError("the answer is no JSON")

    def result(self, change: Change, entry: Mapping[str, Any]) -> WriteResult:
        status, body = entry["status"], entry["body"]
        if status < 300:
            version = entry["headers"].get("ETag")
            return Written(key=change.key, remote_id=body.get("remote_id"), remote_version=version)
        if status == 404:
            return Gone(key=change.key)
        if status in (409, 412):
            return Conflict(key=change.key)
        if status in (400, 422):
            return Rejected(key=change.key, code=f"http_{status}", reason=body["error"])
        return Unknown(key=change.key, reason=f"the remote answered {status}")


class Upsert(Sound):
    """Class B: records lie under our own key."""


class Versions(Sound):
    """Class A: the remote refuses changes of older versions."""

    capabilities = attrs.evolve(Sound.capabilities, idempotency=Idempotency.VERSIONED)

    def headers(self, change: Change) -> dict[str, str]:
        return {} if change.remote_version is None else {"If-Match": change.remote_version}


class Keys(Sound):
    """Class A: the remote recognises idempotency keys."""

    kind = "a"
    capabilities = Capabilities(idempotency=Idempotency.KEY, max_batch=200)

    def method(self, change: Change) -> str:
        return "POST" if change.remote_id is None else "PUT"

    def path(self, change: Change) -> str:
        return "/a/records" if change.remote_id is None else f"/a/records/{change.remote_id}"

    def headers(self, change: Change) -> dict[str, str]:
        return {"Idempotency-Key": change.idempotency_key}


class Confirm(Sound):
    """Class C: a second sending is a second record, but records can be looked up by our key."""

    kind = "c"
    capabilities = Capabilities(delete=True, confirm=True, max_batch=200)

    def method(self, change: Change) -> str:
        return "POST" if change.remote_id is None else "PATCH"

    def path(self, change: Change) -> str:
        return "/c/records" if change.remote_id is None else f"/c/records/{change.remote_id}"

    @hookimpl
    def confirm_items(self, items: Sequence[Change], context: Any) -> Sequence[WriteResult]:
        return [self.confirm(change, context.resource) for change in items]

    def confirm(self, change: Change, client: httpx.Client) -> WriteResult:
        try:
            response = client.get(f"/c/by-key/{change.key[0]}")
        except httpx.RequestError as error:
            return self.cannot_ask(change, error)
        record = response.json() if response.status_code == 200 else None
        return self.confirmed(change, record)

    def cannot_ask(self, change: Change, error: httpx.RequestError) -> WriteResult:
        return Unknown(key=change.key, reason="the remote cannot be asked")

    def confirmed(self, change: Change, record: Mapping[str, Any] | None) -> WriteResult:
        if change.operation is Operation.DELETE:
            done = record is None
        else:
            done = record is not None and all(record.get(name) == value for name, value in change.payload.items())
        if done:
            return Written(key=change.key, remote_id=None if record is None else record["remote_id"])
        return Deferred(key=change.key, reason="it is not there")

    # What it can read, put away and forget

    @hookimpl
    def fetch_items(self, items: Sequence[Change], context: Any) -> Any:
        return [self.fetched(change, context.resource) for change in items]

    def fetched(self, change: Change, client: httpx.Client) -> Any:
        response = self.read(client, f"/c/records/{change.remote_id}")
        if response.status_code == 404:
            return Gone(key=change.key)
        return RemoteItem(key=change.key, remote_id=change.remote_id, payload=response.json())

    @hookimpl
    def find_items(self, items: Sequence[Change], context: Any) -> Any:
        return [record for change in items for record in self.found(change, context.resource)]

    def found(self, change: Change, client: httpx.Client) -> list[RemoteItem]:
        response = self.read(client, f"/c/by-key/{change.key[0]}")
        return [RemoteItem(key=change.key, remote_id=response.json()["remote_id"])] if response.is_success else []

    @hookimpl
    def list_items(self, context: Any) -> Any:
        return self.listed(context.resource)

    def listed(self, client: httpx.Client) -> list[RemoteItem]:
        records = self.read(client, "/c/records").json()["records"]
        return [RemoteItem(key=None, remote_id=record["remote_id"], payload=record) for record in records]

    def read(self, client: httpx.Client, path: str) -> httpx.Response:
        try:
            return client.get(path)
        except httpx.RequestError as error:
            raise TransientError(f"the remote cannot be read: {type(error).__name__}") from None

    @hookimpl
    def archive_items(self, items: Sequence[Change], context: Any) -> Any:
        return [self.patched(change, {"archived": True}, context.resource) for change in items]

    @hookimpl
    def forget_items(self, items: Sequence[Change], context: Any) -> Any:
        return [self.patched(change, self.nothing(), context.resource) for change in items]

    def nothing(self) -> dict[str, Any]:
        return dict.fromkeys(["name", "balance", "seen"])

    def patched(self, change: Change, body: Mapping[str, Any], client: httpx.Client) -> WriteResult:
        response = client.patch(f"/c/records/{change.remote_id}", json=body)
        return Written(key=change.key) if response.is_success else Gone(key=change.key)


SOUND = (Upsert, Versions, Keys, Confirm)
NAN = math.nan
