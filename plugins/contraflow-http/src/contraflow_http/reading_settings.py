"""How records are read, as the settings of an endpoint say it: one, several at once, those that are alike, or all."""

from __future__ import annotations

import attrs

from contraflow_http.checks import check_path, check_place
from contraflow_http.template import parse_path


@attrs.frozen(kw_only=True)
class Read:
    """How one record is read (GET)."""

    path: str = attrs.field(validator=check_path)
    record: str = attrs.field(default="", validator=check_place)
    """Where in the answer the record is; by default the answer is the record."""
    fields: dict[str, str] = attrs.field(factory=dict)
    """Payload field: place in the record. Default: the endpoint's fields under their own names."""
    modified: str | None = attrs.field(default=None, validator=check_place)
    """Where in the record, or in the answer's headers, the moment of its last change is."""


@attrs.frozen(kw_only=True)
class Records:
    """How several records are read (GET)."""

    path: str = attrs.field(validator=check_path)
    records: str = attrs.field(default="", validator=check_place)
    """Where in the answer the list of records is; by default the answer is the list."""
    id: str = attrs.field(default="id", validator=check_place)
    """Where in a record the remote's id is."""
    version: str | None = attrs.field(default=None, validator=check_place)
    """Where in a record its version is."""
    modified: str | None = attrs.field(default=None, validator=check_place)
    """Where in a record the moment of its last change is."""
    fields: dict[str, str] = attrs.field(factory=dict)
    """Payload field: place in a record. Default: the endpoint's fields under their own names."""


@attrs.frozen(kw_only=True)
class Fetch(Records):
    """How the records of several changes are read at once; ``{remote_ids}`` in the path stands for their ids."""

    size: int = attrs.field(default=50, validator=attrs.validators.ge(1))
    """Most ids in one request."""
    separator: str = ","
    """What stands between two ids, percent-encoded as in the path."""

    def __attrs_post_init__(self) -> None:
        if parse_path(self.path).names != ("remote_ids",):
            raise ValueError(f"fetch: path '{self.path}' must name {{remote_ids}} once, and nothing else")


@attrs.frozen(kw_only=True)
class Paged(Records):
    """Records that come page by page; without any of the four ways on, there is one page."""

    next: str | None = attrs.field(default=None, validator=check_place)
    """Where in the answer the address of the next page is; ``header:Link`` is read as RFC 8288 says."""
    cursor: str | None = attrs.field(default=None, validator=check_place)
    """Where in the answer the mark of the next page is."""
    cursor_parameter: str | None = None
    """The query parameter that carries the mark."""
    page_parameter: str | None = None
    """The query parameter that carries the number of the page; the first empty page is the last."""
    first_page: int = 1
    """Its first number."""
    offset_parameter: str | None = None
    """The query parameter that carries the number of records before the page; the first empty page is the last."""

    def __attrs_post_init__(self) -> None:
        what = "list" if isinstance(self, Listing) else "find"
        if (self.cursor is None) != (self.cursor_parameter is None):
            raise ValueError(f"{what}: cursor and cursor_parameter belong together")
        ways = [
            name for name in ("next", "cursor", "page_parameter", "offset_parameter") if getattr(self, name) is not None
        ]
        if len(ways) > 1:
            raise ValueError(f"{what}: expected one way to the next page; found {' and '.join(ways)}")


@attrs.frozen(kw_only=True)
class Find(Paged):
    """How the records are looked for that the remote has already; the path names fields of the payload."""

    match: dict[str, str] = attrs.field(factory=dict)
    """Payload field: place in a record. Only records that hold the same there are taken: searches may find what is alike."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        names = parse_path(self.path).names
        if not names or "remote_id" in names:
            raise ValueError(
                f"find: path '{self.path}' must name what records are told by, such as {{email}} or {{key}}"
            )


@attrs.frozen(kw_only=True)
class Listing(Paged):
    """How all records are read."""

    def __attrs_post_init__(self) -> None:
        if parse_path(self.path).names:
            raise ValueError(f"list: path '{self.path}' names a value of one item; a list has none")
        super().__attrs_post_init__()
