"""One request at the fault remote: what its script does to it, and what is answered."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import attrs

from contraflow.testing.remote.effect_log import EffectLog
from contraflow.testing.remote.script import Rule, Script
from contraflow.testing.remote.store import Call, Reply, Store


class CutError(Exception):
    """The connection is reset instead of an answer: how a scripted reset leaves the handling of a request."""


@attrs.frozen(kw_only=True)
class Answer:
    """What goes back over the wire."""

    status: int
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict)
    length: int | None = None
    """The length that is told, where it is not the true one."""


@attrs.define
class Remote:
    """All that the connections share."""

    log_path: Path
    log: EffectLog
    script: Script
    store: Store
    pending: int = 0
    writes: int = 0
    reads: int = 0
    requests: int = 0
    refuse_for: float = 0.0
    refusing: threading.Event = attrs.field(factory=threading.Event)
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def begin(self, *, read: bool) -> tuple[int, int]:
        """Count a request: its number among all, and among those of its sort."""
        with self.lock:
            self.pending += 1
            self.requests += 1
            if read:
                self.reads += 1
            else:
                self.writes += 1
            return self.requests, self.reads if read else self.writes

    def end(self) -> None:
        """Count a request as done."""
        with self.lock:
            self.pending -= 1

    def refuse(self, seconds: float) -> None:
        """Take no connections for so many seconds."""
        self.refuse_for = seconds
        self.refusing.set()


class Exchange:
    """One request, from what was received to what is answered."""

    def __init__(self, remote: Remote, method: str, path: str, headers: Mapping[str, str], body: Any) -> None:
        self.remote, self.method, self.path = remote, method, path
        parts = path.strip("/").split("/")
        self.kind, self.route, self.target = (*parts, "", "", "")[:3]
        self.bulk = method != "GET" and self.route == "bulk"
        self.batch = method != "GET" and self.route == "batch"
        self.calls = [] if method == "GET" else self._calls(headers, body)
        self.number, self.count = remote.begin(read=method == "GET")

    def _calls(self, headers: Mapping[str, str], body: Any) -> list[Call]:
        if self.batch:
            return [
                self._call(each["method"], each["path"], each.get("headers", {}), each.get("body"))
                for each in body["requests"]
            ]
        if self.bulk:
            return [self._bulk_call(record) for record in body]
        return [self._call(self.method, self.path, headers, body)]

    def _call(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> Call:
        kind, _, target = (*path.strip("/").split("/"), "", "")[:3]
        known = {name.lower(): value for name, value in headers.items()}
        return Call(
            kind=kind,
            method=method,
            target=target,
            key=known.get("idempotency-key"),
            match=known.get("if-match"),
            payload=body or {},
        )

    def _bulk_call(self, record: Mapping[str, Any]) -> Call:
        payload = {name: value for name, value in record.items() if name != "remote_id"}
        if self.kind == "b":
            return Call(kind="b", method="PUT", target=str(record["id"]), key=None, payload=payload)
        target = record.get("remote_id", "") if self.kind == "c" else ""
        return Call(kind=self.kind, method="PATCH" if target else "POST", target=target, key=None, payload=payload)

    def run(self, gone: Callable[[], bool]) -> Answer:
        """Apply and answer as the script wants it.

        Args:
            gone: Whether the client is no longer there, as far as the remote can see.

        Raises:
            CutError: The connection is to be reset.
        """
        remote, read = self.remote, self.method == "GET"
        items = [
            {
                "record": str(call.payload.get("id", call.target)),
                "key": call.key,
                "sent": call.payload,
                "to": call.target,
            }
            for call in self.calls
        ]
        records = [str(item["record"]) for item in items] or [self.target]
        rule = remote.script.fate(self.count, self.method, self.path, records, read=read)
        told = {"request": self.number, "kind": self.kind}
        remote.log.write("received", **told, number=self.count, method=self.method, path=self.path, items=items)
        fault = rule.get("fault", "none")
        try:
            answer, outcomes = self._answer(rule, fault)
        except CutError:
            remote.log.write("fate", **told, fault=fault, status=None)
            raise
        asked = answer.headers.get("Retry-After")
        remote.log.write(
            "fate", **told, fault=fault, status=answer.status, outcomes=outcomes, retry_after=asked, gone=gone()
        )
        return answer

    def _answer(self, rule: Rule, fault: str) -> tuple[Answer, list[int]]:
        remote = self.remote
        seconds = remote.script.seconds(rule, self.count)
        if fault == "refuse":
            remote.refuse(seconds)
            raise CutError
        if fault == "reset_before":
            raise CutError
        if fault == "status" and not rule.get("apply"):
            return _status(rule), []
        if fault == "too_large" and len(self.calls) > rule["above"]:
            return json_answer(413, {"error": f"at most {rule['above']} items"}), []
        if fault == "delay_before":
            if rule.get("reset"):
                threading.Thread(target=self._apply_later, args=(seconds,), daemon=True).start()
                raise CutError
            time.sleep(seconds)
        replies = self._apply(rule)
        if fault == "reset_after":
            raise CutError
        if fault == "delay_after":
            time.sleep(seconds)
        outcomes = [reply.status for reply in replies]
        if fault == "status":
            return _status(rule), outcomes
        if fault == "not_json":
            return Answer(status=200, body=b"<html>It works!</html>", headers={"Content-Type": "text/html"}), outcomes
        answer = self._shaped(replies, fault)
        if fault == "truncated":
            half = answer.body[: len(answer.body) // 2]
            return attrs.evolve(answer, body=half, length=len(answer.body)), outcomes
        return answer, outcomes

    def _apply_later(self, seconds: float) -> None:
        with self.remote.lock:
            self.remote.pending += 1
        time.sleep(seconds)
        self._apply({})
        self.remote.end()

    def _apply(self, rule: Rule) -> list[Reply]:
        store, pace = self.remote.store, self.remote.script.pace
        if self.method == "GET":
            return [store.read(self.kind, self.route, self.target, self.number)]
        rejected = rule.get("reject", ()) if rule.get("fault") == "mixed" else ()
        replies = []
        for call in self.calls[: rule.get("items")] if rule.get("fault") == "reset_after" else self.calls:
            if pace:
                time.sleep(pace)
            if str(call.payload.get("id", call.target)) in rejected:
                replies.append(Reply(status=422, body={"error": "not this one"}))
            elif rule.get("fault") == "referred" and call.method == "DELETE" and store.is_referred_to(call.target):
                replies.append(Reply(status=409, body={"error": "other records refer to it"}))
            else:
                replies.append(store.apply(call, self.number))
        return replies

    def _shaped(self, replies: Sequence[Reply], fault: str) -> Answer:
        if fault == "wrong_id":
            replies = [attrs.evolve(reply, body={**reply.body, "remote_id": "nobody"}) for reply in replies]
        if not (self.batch or self.bulk):
            return json_answer(replies[0].status, replies[0].body, replies[0].headers)
        if self.batch:
            entries = [attrs.asdict(reply) for reply in replies]
        else:
            entries = [
                {
                    "key": str(call.payload.get("id")),
                    "remote_id": reply.body.get("remote_id"),
                    "status": reply.status,
                    "error": reply.body.get("error"),
                }
                for call, reply in zip(self.calls, replies, strict=True)
            ]
        entries = _spoilt(entries, fault)
        status = 207 if fault == "mixed" else 200
        return json_answer(status, {"responses": entries} if self.batch else entries)


def _spoilt(entries: list[dict[str, Any]], fault: str) -> list[dict[str, Any]]:
    match fault:
        case "missing":
            return entries[:-1]
        case "doubled":
            return [entries[0], *entries] if len(entries) == 1 else [entries[0], entries[0], *entries[2:]]
        case "foreign":
            if "headers" in entries[-1]:  # matched by position: only one too many is foreign
                return [*entries, entries[-1]]
            return [*entries[:-1], {**entries[-1], "key": "nobody's"}]
        case "reordered":
            return entries[::-1]
    return entries


def json_answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a body of JSON."""
    shown = {"Content-Type": "application/json", **(headers or {})}
    return Answer(status=status, body=json.dumps(body).encode(), headers=shown)


def _status(rule: Rule) -> Answer:
    headers: dict[str, str] = {}
    now = time.time() + rule.get("clock", 0.0)
    after = str(rule.get("retry_after", ""))
    if after.startswith("date:"):
        after = formatdate(int(now) + float(after.removeprefix("date:")), usegmt=True)
    if after:
        headers = {"Retry-After": after, "Date": formatdate(int(now), usegmt=True)}
    return json_answer(rule["status"], {"error": f"scripted {rule['status']}"}, headers)
