"""Sends a chunk, one parcel after another, and never loses a result that was obtained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from contraflow_hookspecs import ConnectorError, TransientError, Unknown, WriteResult
from contraflow_http.errors import AmbiguousError
from contraflow_http.outcome import Halt, Settled, deferred
from contraflow_http.sending import Sending


@attrs.frozen(kw_only=True)
class Parcel:
    """What one request carries."""

    sendings: Sequence[Sending]
    send: Callable[[Sequence[Sending]], Settled]
    """Sends them, and says what became of them."""


def deliver(parcels: Sequence[Parcel], results: Sequence[WriteResult] = ()) -> list[WriteResult]:
    """Send the parcels in turn until they are done or something stops us.

    What stops us is raised only while there is no result to lose. Otherwise the changes that were surely not carried out are
    deferred with the reason; the engine sends them again, and then meets the trouble with nothing to lose.

    Args:
        parcels: In the order of sending.
        results: Those that are known already.
    """
    done = list(results)
    for position, parcel in enumerate(parcels):
        settled = _send(parcel)
        done += settled.results
        if settled.halt is None:
            continue
        if not done:
            raise settled.halt
        told = {result.key for result in settled.results}
        changes = [sending.change for waiting in parcels[position:] for sending in waiting.sendings]
        return done + deferred([change for change in changes if change.key not in told], settled.halt)
    return done


def _send(parcel: Parcel) -> Settled:
    try:
        return parcel.send(parcel.sendings)
    except AmbiguousError as error:
        unknown = [Unknown(key=sending.change.key, reason=str(error)) for sending in parcel.sendings]
        # The remote is in trouble: what follows is better sent later than into the same silence.
        return Settled(results=unknown, halt=TransientError(str(error)))
    except ConnectorError as error:
        if not isinstance(error, Halt):
            raise
        return Settled(halt=error)
