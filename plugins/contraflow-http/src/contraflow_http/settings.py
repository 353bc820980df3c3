"""The settings of an integration: how the remote is reached, and how each kind of entity is written there.

contraflow structures an integration's ``settings:`` into :class:`Settings`, strictly. Everything that can be checked without
the remote is checked here; secrets are never shown, neither by ``repr`` nor in an error.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import attrs

from contraflow_http.checks import (
    check_header_name,
    check_header_value,
    check_path,
    check_place,
    check_template,
    check_url,
)
from contraflow_http.errors import Outcome
from contraflow_http.reading_settings import Fetch, Find, Listing, Read
from contraflow_http.template import is_of_the_item, parse_path
from contraflow_http.values import Decimals, ParentIds

_SECRET = {"secret": True}

_SLACK = 5.0
"""Seconds that a request may spend in queues between us and the remote, where nobody says how long it may."""


def _secret(**options: Any) -> Any:
    return attrs.field(metadata=_SECRET, repr=False, validator=check_header_value, **options)


@attrs.frozen(kw_only=True)
class Basic:
    """A user name and a password (RFC 7617)."""

    username: str
    password: str = _secret()


@attrs.frozen(kw_only=True)
class HeaderAuth:
    """A header that carries the credential."""

    name: str = attrs.field(validator=check_header_name)
    value: str = _secret()


@attrs.frozen(kw_only=True)
class OAuth2:
    """The client credentials grant of OAuth 2 (RFC 6749, 4.4)."""

    token_url: str = attrs.field(validator=check_url)
    client_id: str
    client_secret: str = _secret()
    scope: str | None = None
    audience: str | None = None
    credentials_in: Literal["header", "body"] = "header"
    """How the client shows itself to the token server: HTTP Basic, or fields of the form."""


@attrs.frozen(kw_only=True)
class Auth:
    """How we show who we are: exactly one of the four."""

    bearer: str | None = _secret(default=None)
    basic: Basic | None = None
    header: HeaderAuth | None = None
    oauth2: OAuth2 | None = None

    def __attrs_post_init__(self) -> None:
        given = [name for name in ("bearer", "basic", "header", "oauth2") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"auth: expected exactly one of bearer, basic, header, oauth2; found {found}")


@attrs.frozen(kw_only=True)
class Route:
    """One kind of request."""

    path: str = attrs.field(validator=check_path)
    """Joined to ``url``. ``{key}``, ``{key[0]}``, ``{remote_id}`` and ``{field of the payload}`` are filled in."""
    method: Literal["POST", "PUT", "PATCH", "DELETE"] | None = None
    """Default: POST to create, PUT to update and to upsert, DELETE to delete."""
    only_changed: bool = False
    """Of ``update``: send only the fields that differ from what the remote last confirmed, where that is known."""


@attrs.frozen(kw_only=True)
class Deed:
    """A request that puts a record away, or forgets it."""

    path: str = attrs.field(validator=check_path)
    """As for the other routes; there is no payload to take a value from."""
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    body: dict[str, Any] | None = None
    """What is sent, as it stands, and not wrapped; ``None`` for nothing."""

    def __attrs_post_init__(self) -> None:
        foreign = [name for name in parse_path(self.path).names if not is_of_the_item(name)]
        if foreign:
            raise ValueError(
                f"path '{self.path}' names {{{foreign[0]}}}: expected {{key}}, {{key[0]}} or {{remote_id}}"
            )


@attrs.frozen(kw_only=True)
class Batch:
    """One request for many changes."""

    path: str = attrs.field(validator=check_path)
    form: Literal["requests", "records"] = "requests"
    """What is sent: ``requests``, each with its own method, path, headers and body, or the ``records`` alone."""
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    size: int = attrs.field(default=25, validator=attrs.validators.ge(1))
    """Most changes in one request."""
    list: str | None = None
    """The name under which the list is sent. Default: ``requests``; records are sent as a bare list."""
    extra: dict[str, Any] = attrs.field(factory=dict)
    """What is sent beside a named list."""
    per_item: bool = True
    """Whether the answer tells each change's fate. If not, a success is the success of all."""
    results: str | None = attrs.field(default=None, validator=check_place)
    """Where in the answer the list of outcomes is. Default: ``responses`` for requests; for records the answer itself."""
    status: str | None = attrs.field(default=None, validator=check_place)
    """Where in an outcome its status is. Default: ``status`` for requests; none for records."""
    outcomes: dict[str, Outcome] = attrs.field(factory=dict)
    """What a status means that is a word, such as ``created``."""
    headers: str = attrs.field(default="headers", validator=check_place)
    """Where in an outcome its headers are (requests)."""
    body: str = attrs.field(default="body", validator=check_place)
    """Where in an outcome its body is (requests)."""
    ok: str | None = attrs.field(default=None, validator=check_place)
    """Where in an outcome a flag says whether it went well (records)."""
    key_field: str | None = None
    """The field of a record that carries the item's key (records)."""
    key: str = attrs.field(default="{key}", validator=check_template)
    """What ``key_field`` holds; for a composite key such as ``{key[0]}-{key[1]}``."""
    id_field: str | None = None
    """The field of a record that carries the remote's id, where it is known (records)."""
    match: str | None = attrs.field(default=None, validator=check_place)
    """Where in an outcome the key is (records); by default outcomes stand in the order of the records."""
    upsert: bool = False
    """Whether the remote recognises a record by its key, so that sending it twice ends in the same state (records)."""

    def __attrs_post_init__(self) -> None:
        if parse_path(self.path).names:
            raise ValueError(f"batch: path '{self.path}' names a value of one item; one request serves many")
        records_only = [name for name in ("ok", "key_field", "id_field", "match", "upsert") if getattr(self, name)]
        if self.form == "requests" and records_only:
            raise ValueError(f"batch: {', '.join(records_only)} need form: records")
        if self.form == "requests" and not self.per_item:
            raise ValueError("batch: per_item: false needs form: records")
        if self.match is not None and self.key_field is None:
            raise ValueError("batch: match needs key_field, the field of a record that carries the key")
        if self.extra and self.list_name is None:
            raise ValueError("batch: extra needs list, the name of the list beside which it is sent")

    @property
    def list_name(self) -> str | None:
        """The name under which the list is sent, or ``None`` for a bare list."""
        return self.list or ("requests" if self.form == "requests" else None)

    @property
    def results_place(self) -> str:
        """Where in the answer the outcomes are."""
        return self.results if self.results is not None else ("responses" if self.form == "requests" else "")

    @property
    def status_place(self) -> str | None:
        """Where in an outcome its status is, or ``None``."""
        return self.status or ("status" if self.form == "requests" else None)


@attrs.frozen(kw_only=True)
class Endpoint:
    """How one kind of entity is written."""

    create: Route | None = None
    update: Route | None = None
    delete: Route | None = None
    upsert: Route | None = None
    """Instead of ``create`` and ``update``: the path holds our own key, and a second sending ends in the same state."""
    read: Read | None = None
    fetch: Fetch | None = None
    """How many records are read at once, where the remote can; ``read`` reads them one by one."""
    list: Listing | None = None
    """How all records are read."""
    find: Find | None = None
    """How records are looked for that the remote has already."""
    archive: Deed | None = None
    """How a record is put away."""
    forget: Deed | None = None
    """How a record is removed or made anonymous, where that is another request than ``delete``."""
    batch: Batch | None = None
    fields: dict[str, str] = attrs.field(factory=dict)
    """Payload field: entity attribute, dotted through relations. Default: every column under its own name."""
    parents: dict[str, str] = attrs.field(factory=dict)
    """Payload field: one of the step's references, beside ``fields``. It holds the parent's remote id, or null."""
    wrap: str | None = None
    """The name under which the payload is sent. Default: the payload is the body."""
    id: str | None = attrs.field(default=None, validator=check_place)
    """Where the remote's id is: ``data.id``, ``/data/id``, ``header:Location``."""
    version: str | None = attrs.field(default=None, validator=check_place)
    """Where the remote's version is: ``header:ETag``, ``data.rev``."""
    if_match: bool = False
    """Send ``If-Match`` with the version that we know, and ``If-None-Match: *`` with what must not exist yet."""
    error: str | None = attrs.field(default=None, validator=check_place)
    """Where the remote's reason is. Default: the usual places."""
    existing: str | None = attrs.field(default=None, validator=check_place)
    """Where the answer to a conflict shows the remote's record."""
    statuses: dict[int, Outcome] = attrs.field(factory=dict)
    """What a status means here, over the defaults."""

    def __attrs_post_init__(self) -> None:
        for name in ("create", "delete", "upsert"):
            if (route := getattr(self, name)) is not None and route.only_changed:
                raise ValueError(
                    f"{name}: only_changed belongs to update: here the remote may have nothing of the record"
                )
        if self.update is not None and self.update.only_changed and self.update.method != "PATCH":
            raise ValueError(
                "update: only_changed needs method: PATCH; another method replaces the fields that are left out"
            )
        if twice := sorted(self.fields.keys() & self.parents.keys()):
            raise ValueError(f"endpoint: '{twice[0]}' is in fields and in parents; leave it out of one of them")
        if self.upsert and (self.create or self.update):
            raise ValueError("endpoint: upsert stands instead of create and update; found both")
        if not (self.upsert or self.create or self.update or self.delete or self.sends_records):
            raise ValueError("endpoint: expected create, update, upsert, delete, or a batch with form: records")
        if self.upsert and "remote_id" in parse_path(self.upsert.path).names:
            raise ValueError("endpoint: the path of upsert names {remote_id}, which nobody knows yet: use {key}")
        if self.needs_remote_id and self.id is None:
            raise ValueError(
                "endpoint: a path or id_field needs the remote's id, so id must say where the remote tells it"
            )
        if self.if_match and self.version is None:
            raise ValueError("endpoint: if_match needs version, the place where the remote tells it")
        if self.if_match and self.sends_records:
            raise ValueError("endpoint: if_match cannot be sent with a batch of records")

    @property
    def sends_records(self) -> bool:
        """Whether creates and updates go into a batch of bare records."""
        return self.batch is not None and self.batch.form == "records"

    @property
    def needs_remote_id(self) -> bool:
        """Whether a later request for the same item needs the remote's id."""
        if self.batch is not None and self.batch.id_field is not None:
            return True
        routes = (self.update, self.delete, self.archive, self.forget)
        return any(route and "remote_id" in parse_path(route.path).names for route in routes)

    @property
    def follows_remote_id(self) -> bool:
        """Whether a change goes to the record whose remote id we know, and not to the one that has our own key."""
        if self.batch is not None and self.batch.id_field is not None:
            return True
        return self.update is not None and "remote_id" in parse_path(self.update.path).names


@attrs.frozen(kw_only=True)
class Settings:
    """A REST remote."""

    url: str = attrs.field(validator=check_url)
    """Base URL; the paths of the routes are joined to it."""
    endpoints: dict[str, Endpoint] = attrs.field(validator=attrs.validators.min_len(1))
    auth: Auth | None = None
    headers: dict[str, str] = attrs.field(
        factory=dict, validator=attrs.validators.deep_mapping(check_header_name, check_header_value), repr=False
    )
    """Sent with every request."""
    timeout: float = attrs.field(default=30.0, validator=attrs.validators.gt(0))
    """Seconds: to connect, to send, and to wait for the answer."""
    request_lifetime: float | None = None
    """Seconds after which a request that was sent can no longer take effect. Default: twice ``timeout``, and 5."""
    idempotency_header: str | None = attrs.field(default=None, validator=attrs.validators.optional(check_header_name))
    """The header by which the remote recognises a repeated request."""
    batch: Batch | None = None
    """The batch of every endpoint that has none of its own (``form: requests``)."""
    decimals: Decimals = "text"
    """How decimals are sent: ``text``, exactly, or ``number``."""
    parent_ids: ParentIds = "text"
    """How the remote ids of parents are sent: ``text``, or ``number`` where they are whole numbers."""
    ca_file: str | None = None
    """A file with the certificate authorities to trust, instead of the usual ones. Verification cannot be switched off."""
    max_answer: int = attrs.field(default=16 * 1024 * 1024, validator=attrs.validators.ge(1024))
    """Most bytes of one answer that are read."""

    def __attrs_post_init__(self) -> None:
        if self.batch and self.batch.form != "requests":
            raise ValueError("batch: a batch of records belongs to an endpoint")
        if self.request_lifetime is not None and not self.timeout <= self.request_lifetime < math.inf:
            raise ValueError(
                f"request_lifetime: found {self.request_lifetime:g}, expected at least timeout ({self.timeout:g}): "
                "a request that we still wait for can still take effect"
            )

    @property
    def lifetime(self) -> float:
        """Seconds after which a request that was sent can no longer take effect."""
        return 2 * self.timeout + _SLACK if self.request_lifetime is None else self.request_lifetime

    def batch_of(self, endpoint: Endpoint) -> Batch | None:
        """The batch through which the endpoint's changes go, or ``None`` for one request each."""
        return endpoint.batch or self.batch
