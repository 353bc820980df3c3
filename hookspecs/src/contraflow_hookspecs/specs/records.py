"""What a connector may do with the records that the remote holds: put away, find, read, list and forget them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contraflow_hookspecs.markers import hookspec
from contraflow_hookspecs.types import Change, Gone, RemoteItem, StepContext, WriteResult


@hookspec(firstresult=True)
def archive_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:  # type: ignore[empty-body]
    """Optional. Put away records whose entity is gone, in the remote's own way: a closed account, a flag, a group.

    Called in the place of ``write_items`` for the deletions of a step with ``deletions: archive``. Such a change has no
    payload. Archiving a record that is archived already does nothing.

    Returns:
        As ``write_items``. ``Written`` counts as *archived*. The ledger keeps the remote id, under which the record is
        updated if its entity comes back.

    Raises:
        Exception: As ``write_items``. ``PermanentError`` with the code ``not_supported``: this step's records cannot be put
            away, as it is configured; better said by ``check_step`` before.

    Example:
        >>> @hookimpl
        ... def archive_items(items, context):
        ...     for change in items:
        ...         context.resource[change.remote_id]["closed"] = True
        ...     return [Written(key=change.key) for change in items]
    """


@hookspec(firstresult=True)
def find_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem]:  # type: ignore[empty-body]
    """Optional. Look for records that the remote has already, by a natural key: an e-mail address, a tax number. Read-only.

    Called for a step with ``adopt: true`` before items are sent of which the ledger knows nothing, so that a first run
    against a filled remote, or one after the loss of the ledger, makes no doubles.

    Returns:
        The record of each change that has one, with ``remote_id``; none for the others. Several records for one change are
        all returned: such an item is rejected, as nobody can say which is meant.

    Raises:
        ConnectorError: As ``write_items``; nothing is sent then. ``PermanentError`` with the code ``not_supported``: this
            step's records cannot be looked for, as it is configured; better said by ``check_step`` before.

    Example:
        >>> @hookimpl
        ... def find_items(items, context):
        ...     by_mail = {record["mail"]: number for number, record in context.resource.items()}
        ...     return [
        ...         RemoteItem(key=change.key, remote_id=by_mail[change.payload["mail"]])
        ...         for change in items
        ...         if change.payload["mail"] in by_mail
        ...     ]
    """


@hookspec(firstresult=True)
def fetch_items(items: Sequence[Change], context: StepContext) -> Sequence[RemoteItem | Gone]:  # type: ignore[empty-body]
    """Optional. Read the records that the remote holds for these changes. Read-only.

    Called to find what others changed at the remote: before an update where the step has ``conflicts``, and by
    ``contraflow drift``. The changes' ``remote_id`` says which records are meant.

    Returns:
        For each change a ``RemoteItem`` with its ``payload``, in the fields and types that ``process_item`` answers, or
        ``Gone``. One that is left out could not be read.

    Raises:
        ConnectorError: As ``write_items``. ``PermanentError`` with the code ``not_supported``: this step's records cannot be
            read, as it is configured.

    Example:
        >>> @hookimpl
        ... def fetch_items(items, context):
        ...     records = context.resource
        ...     return [
        ...         RemoteItem(key=change.key, remote_id=change.remote_id, payload=records[change.remote_id])
        ...         if change.remote_id in records
        ...         else Gone(key=change.key)
        ...         for change in items
        ...     ]
    """


@hookspec(firstresult=True)
def list_items(context: StepContext) -> Iterable[RemoteItem]:  # type: ignore[empty-body]
    """Optional. All records that the remote holds of this kind, whoever made them, streamed. Read-only.

    Called by ``contraflow drift``, which finds with it what contraflow has not sent.

    Returns:
        Records with ``remote_id``; ``key`` and ``payload`` where they can be told without asking for each.

    Raises:
        ConnectorError: The remote cannot be read. ``PermanentError`` with the code ``not_supported``: this step's records
            cannot be listed, as it is configured.

    Example:
        >>> @hookimpl
        ... def list_items(context):
        ...     for number, record in context.resource.items():
        ...         yield RemoteItem(key=None, remote_id=number, payload=record)
    """


@hookspec(firstresult=True)
def forget_items(items: Sequence[Change], context: StepContext) -> Sequence[WriteResult]:  # type: ignore[empty-body]
    """Optional. Remove or anonymise what the remote knows of a person or thing, for ``contraflow forget``.

    Where the settings decide whether that can be done, ``check_step`` says what is missing when it is asked with the
    parameter ``forget`` set to true: nothing is done anywhere then. Without this hook, ``contraflow forget``
    deletes through ``write_items`` where the remote can delete, and otherwise refuses.
    Such a change has no payload. Forgetting what is forgotten already does nothing.

    Returns:
        As ``write_items``.

    Raises:
        Exception: As ``write_items``.

    Example:
        >>> @hookimpl
        ... def forget_items(items, context):
        ...     for change in items:
        ...         context.resource[change.remote_id] = {"mail": None, "name": "forgotten"}
        ...     return [Written(key=change.key, action=Action.UPDATED) for change in items]
    """
