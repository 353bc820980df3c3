"""The errors that a plugin raises to say how far the trouble reaches.

::

    ConnectorError
    ├── ItemError         this item only: it is rejected, the run goes on
    ├── PermanentError    this call will never succeed as it is
    ├── TransientError    this call was not carried out; it may succeed later
    └── SystemicError     nothing will succeed until somebody acts: credentials, schema

Any other exception out of ``write_items`` is *ambiguous*: the request may or may not have been carried out, so its items
are in doubt. Messages reach people and the ledger: name the field or the status, never a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ConnectorError(Exception):
    """Base of the errors that a plugin raises on purpose."""


class ItemError(ConnectorError):
    """One item is bad; its neighbours are not.

    Args:
        reason: Why, in words for the person who will mend the record.
        code: Short machine-readable class of the trouble, such as ``"no_email"``.
        key: The item's key; needed only where the item is not an argument of the hook (a reader).
    """

    def __init__(self, reason: str, *, code: str = "invalid", key: Sequence[Any] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.key = None if key is None else tuple(key)


class PermanentError(ConnectorError):
    """The remote refused the call as a whole, and would refuse the same call again.

    Args:
        reason: What the remote said.
        code: Short class of the refusal, such as ``"http_422"``.
    """

    def __init__(self, reason: str, *, code: str = "refused") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class TransientError(ConnectorError):
    """The call was surely *not* carried out, and may succeed later: connection refused, 429, 503.

    Args:
        reason: What happened.
        retry_after: Seconds to wait before the next try, where the remote said so.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class SystemicError(ConnectorError):
    """Nothing can succeed until somebody acts: a refused credential, a missing table, an expired certificate.

    The step stops; no item is blamed.
    """
