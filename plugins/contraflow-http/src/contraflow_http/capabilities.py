"""What a remote can do, read from its settings: the weakest of its endpoints decides."""

from __future__ import annotations

from contraflow_hookspecs import Capabilities, Idempotency
from contraflow_http.settings import Endpoint, Settings

_WEAKEST_FIRST = (Idempotency.NONE, Idempotency.UPSERT, Idempotency.VERSIONED, Idempotency.KEY)


def capabilities_of(settings: Settings) -> Capabilities:
    """The capabilities that these settings describe."""
    endpoints = settings.endpoints.values()
    sizes = [batch.size for endpoint in endpoints if (batch := settings.batch_of(endpoint)) is not None]
    return Capabilities(
        upsert=all(_writes(endpoint) for endpoint in endpoints),
        delete=all(endpoint.delete is not None for endpoint in endpoints),
        idempotency=min((_idempotency(endpoint, settings) for endpoint in endpoints), key=_WEAKEST_FIRST.index),
        confirm=all(endpoint.read is not None for endpoint in endpoints),
        per_item_results=all(
            batch.per_item for endpoint in endpoints if (batch := settings.batch_of(endpoint)) is not None
        ),
        max_batch=min(sizes, default=None),
        request_lifetime=settings.lifetime,
    )


def _writes(endpoint: Endpoint) -> bool:
    return bool(endpoint.sends_records or endpoint.upsert or (endpoint.create and endpoint.update))


def _idempotency(endpoint: Endpoint, settings: Settings) -> Idempotency:
    if endpoint.batch is not None and endpoint.sends_records:
        return Idempotency.UPSERT if endpoint.batch.upsert else Idempotency.NONE
    if settings.idempotency_header is not None:
        return Idempotency.KEY
    if endpoint.upsert is None:
        return Idempotency.NONE
    return Idempotency.VERSIONED if endpoint.if_match else Idempotency.UPSERT
