"""The integrations of the delivery classes: what contraflow-http is told of the fault remote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FORMS = ("single", "batch", "bulk")
"""One request an item; a batch of requests; a bulk endpoint for records. Class A has no bulk: it carries no keys."""


def kind_of(delivery_class: str) -> str:
    """The remote of a class. E has that of D: it is only treated otherwise."""
    return "d" if delivery_class == "E" else delivery_class.lower()


def settings(
    delivery_class: str, url: str, fields: Sequence[str], *, form: str, size: int, timeout: float, lifetime: float
) -> dict[str, Any]:
    """The settings of an integration with the remote of a class.

    Args:
        delivery_class: A to E; E is D's remote.
        url: The fault remote's.
        fields: The payload's.
        form: One of :data:`FORMS`.
        size: Items in one batch.
        timeout: Seconds.
        lifetime: Seconds after which a request can no longer take effect.
    """
    kind = kind_of(delivery_class)
    records = f"/{kind}/records"
    endpoint: dict[str, Any] = {"id": "remote_id", "error": "error", "fields": {name: name for name in fields}}
    endpoint |= {
        "a": {"create": {"path": records}, "update": {"path": records + "/{remote_id}"}},
        "b": {"upsert": {"path": records + "/{key}"}},
        "c": {
            "create": {"path": records},
            "update": {"method": "PATCH", "path": records + "/{remote_id}"},
            "read": {"path": "/c/by-key/{key}"},
        },
        "d": {"create": {"path": records}, "update": {"method": "POST", "path": records}},
    }[kind]
    found: dict[str, Any] = {"url": url, "timeout": timeout, "request_lifetime": lifetime}
    if kind == "a":
        found["idempotency_header"] = "Idempotency-Key"
    if form == "batch":
        found["batch"] = {"path": f"/{kind}/batch", "size": size}
    if form == "bulk":
        if kind == "a":
            raise ValueError("a bulk endpoint carries no idempotency keys")
        endpoint = {name: value for name, value in endpoint.items() if name not in ("create", "update", "upsert")}
        endpoint["batch"] = {
            "path": f"/{kind}/bulk",
            "form": "records",
            "size": size,
            "status": "status",
            "key_field": "id",
            "match": "key",
            **({"id_field": "remote_id"} if kind == "c" else {}),
            **({"upsert": True} if kind == "b" else {}),
        }
    found["endpoints"] = {"item": endpoint}
    return found
