"""The remote's content, straight from its API: nothing here goes through contraflow, so that it can bear witness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx
from kinto_server import Kinto

SERVER_FIELDS = frozenset({"id", "last_modified"})
"""What Kinto itself puts into each record."""

Record = Mapping[str, Any]


class KintoBucket:
    """One bucket of a running Kinto. A context manager; close it to close its connections."""

    def __init__(self, kinto: Kinto, name: str) -> None:
        self._user = kinto.user
        self._path = f"{kinto.url}/buckets/{name}"
        self._client = httpx.Client(auth=(kinto.user, kinto.password), timeout=60.0, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def create(self, collections: Iterable[str]) -> None:
        """Create the bucket, private to its account, with these empty collections."""
        permissions = {"permissions": {"write": [f"account:{self._user}"]}}
        self._client.put(self._path, json=permissions).raise_for_status()
        for name in collections:
            self._client.put(f"{self._path}/collections/{name}").raise_for_status()

    def records(self, collection: str) -> dict[str, Record]:
        """All records of a collection by id, page by page, without the fields that Kinto adds."""
        found: dict[str, Record] = {}
        url: str | None = f"{self._path}/collections/{collection}/records"
        while url:
            page = self._client.get(url).raise_for_status()
            for record in page.json()["data"]:
                found[record["id"]] = {name: value for name, value in record.items() if name not in SERVER_FIELDS}
            url = page.headers.get("Next-Page")
        return found

    def record(self, collection: str, record_id: str) -> Record | None:
        """One record by its id, or ``None`` where there is none."""
        answer = self._client.get(f"{self._path}/collections/{collection}/records/{record_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        data = answer.raise_for_status().json()["data"]
        return {name: value for name, value in data.items() if name not in SERVER_FIELDS}
