"""Ask the ledger of a project, and decide there what a run may not decide. The half of the Python API that runs nothing."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import attrs

from contraflow.errors import ConfigError, LedgerMissingError, Problem
from contraflow_hookspecs import BatchStatus, JobExecution, Key

if TYPE_CHECKING:
    from contraflow.engine.stopping import StopRequest
    from contraflow.ledger import DeadLetter, ItemRef, LeaseState, Ledger, Request, Verdict
    from contraflow.ledger.forgetting import BegunForgetting

_SHOWN: tuple[Literal["deferred", "in_doubt", "conflict", "gone"], ...] = ("deferred", "in_doubt", "conflict", "gone")


@attrs.frozen(kw_only=True)
class ItemOverview:
    """How many items of one step are in one state."""

    integration: str
    job: str
    step: str
    status: str
    """One of the ledger's, or ``in_flight``: sent by a process that died, or is at work, before an outcome was recorded."""
    items: int
    examples: tuple[Key, ...] = ()
    """Some of them, where they are deferred, in doubt, gone or in flight."""


@attrs.frozen(kw_only=True)
class RunningJob:
    """A job that a process holds."""

    integration: str
    job: str
    since: datetime
    host: str
    process: int
    execution: int | None
    """Its latest execution, once it has begun one."""
    stop_requested: bool
    died: bool
    """Whether the process is gone: the next run takes over."""


class Records(abc.ABC):
    """What a project's ledger knows. Nothing is made where there is none yet."""

    @abc.abstractmethod
    def ledger(self, *, create: bool = True) -> Ledger:
        """The ledger, opened."""

    @abc.abstractmethod
    def item_keys(self, integration: str, job: str, step: str, ids: Any) -> tuple[Key, ...]:
        """Read ids as the step does."""

    _now: Callable[[], datetime]

    def existing_ledger(self) -> Ledger | None:
        """The ledger; ``None`` if nothing ever ran."""
        try:
            return self.ledger(create=False)
        except LedgerMissingError:
            return None

    # What ran, and what runs

    def executions(self, *, integration: str | None = None, limit: int = 10) -> Sequence[JobExecution]:
        """The latest executions, newest first; none if nothing ever ran."""
        ledger = self.existing_ledger()
        return ledger.executions(integration=integration, limit=limit) if ledger else []

    def running(self, jobs: Iterable[tuple[str, str]]) -> Sequence[RunningJob]:
        """Which of these jobs a process holds, dead or alive.

        Args:
            jobs: Names of integration and job.
        """
        ledger = self.existing_ledger()
        if ledger is None:
            return []
        states = (ledger.lease_state(*names) for names in dict.fromkeys(jobs))
        return [
            RunningJob(
                integration=state.integration,
                job=state.job,
                since=state.since,
                host=state.host,
                process=state.pid,
                execution=state.execution_id,
                stop_requested=state.stop_requested,
                died=_is_gone(ledger, state),
            )
            for state in states
            if state is not None and state.owner is not None
        ]

    def requests(self, *, integration: str | None = None) -> Sequence[Request]:
        """Requests to synchronise that came while the job was running, and wait for its end; oldest first."""
        ledger = self.existing_ledger()
        return ledger.requests(integration=integration) if ledger else []

    def begun_forgettings(self) -> Sequence[BegunForgetting]:
        """Records that are to be forgotten, and are not everywhere yet."""
        ledger = self.existing_ledger()
        return ledger.begun_forgettings() if ledger else []

    def stop(self, integration: str, job: str) -> LeaseState | None:
        """Ask the process that runs a job to stop after the chunk in hand. It notices within seconds.

        Returns:
            Who was asked, or ``None`` if nobody runs it.
        """
        ledger = self.existing_ledger()
        if ledger is None:
            return None
        state = ledger.lease_state(integration, job)
        if state is None or state.owner is None or _is_gone(ledger, state):
            return None
        return ledger.request_stop(integration, job)

    # Items

    def items(self, *, integration: str | None = None, examples: int = 10) -> Sequence[ItemOverview]:
        """How many items the ledger knows in which state, and which those are that are not settled for good."""
        ledger = self.existing_ledger()
        if ledger is None:
            return []
        overviews = []
        for count in ledger.counts_by_status(integration=integration):
            shown: tuple[Key, ...] = ()
            if count.status in _SHOWN:
                found = ledger.items_in(count.status, integration=count.integration, job=count.job, limit=1000)
                shown = tuple(item.key for item in found if item.step == count.step)[:examples]
            overviews.append(ItemOverview(**count._asdict(), examples=shown))
        return [*overviews, *_in_flight(ledger, integration, examples)]

    # Dead letters

    def dead_letters(self, *, integration: str | None = None, limit: int = 100) -> Sequence[DeadLetter]:
        """The rejected items that wait for somebody to act, oldest first."""
        ledger = self.existing_ledger()
        return ledger.dead_letters(integration=integration, limit=limit) if ledger else []

    def all_dead_letters(self, *, integration: str | None = None, job: str | None = None) -> Iterator[DeadLetter]:
        """All of them, a page at a time."""
        ledger = self.existing_ledger()
        after = 0
        while ledger and (page := ledger.dead_letters(integration=integration, job=job, limit=1000, after=after)):
            yield from page
            after = page[-1].id

    def dead_letter(self, number: int) -> DeadLetter:
        """The dead letter of this number.

        Raises:
            ConfigError: There is none.
        """
        ledger = self.existing_ledger()
        letter = ledger.dead_letter(number) if ledger else None
        if letter is None:
            raise ConfigError(
                Problem(message=f"there is no dead letter {number}", hint="`contraflow dead-letters` lists them")
            )
        return letter

    def drop_dead_letters(self, numbers: Sequence[int]) -> int:
        """Forget dead letters. Their items stay rejected until they change.

        Raises:
            ConfigError: One of them is not there; none was dropped.
        """
        letters = [self.dead_letter(number) for number in numbers]
        ledger = self.existing_ledger()
        return ledger.drop_dead_letters([letter.id for letter in letters]) if ledger else 0

    # Items in doubt

    def held(self, *, integration: str | None = None, job: str | None = None, limit: int = 1000) -> Sequence[ItemRef]:
        """Items in doubt that no run resolves by itself: somebody has to look at the remote, and say what became of them."""
        ledger = self.existing_ledger()
        if ledger is None:
            return []
        recoverable = {
            (each.integration, each.job, each.step, key)
            for each in ledger.in_flight(integration=integration)
            for key in each.keys
        }
        found = ledger.items_in("in_doubt", integration=integration, job=job, limit=limit + len(recoverable))
        return [item for item in found if (item.integration, item.job, item.step, item.key) not in recoverable][:limit]

    def has_doubts(self, integration: str, job: str) -> bool:
        """Whether some items of a job are in doubt, held or not."""
        ledger = self.existing_ledger()
        return bool(ledger and ledger.items_in("in_doubt", integration=integration, job=job, limit=1))

    def settle_held(self, integration: str, *, job: str, step: str, ids: Any, verdict: Verdict) -> Sequence[Key]:
        """Record what somebody found out about items in doubt, while no run can touch them.

        Args:
            integration: The integration's name.
            job: The job's name.
            step: The step's name.
            ids: The items, as for ``sync``; ``None`` for all that the step holds.
            verdict: ``written``: the remote has what was sent. ``deleted``: it no longer has the item. ``resend``: the
                next run shall send the item as it is then.

        Returns:
            The keys of the items.

        Raises:
            ConfigError: An item is not held; nothing was changed.
            LedgerError: The ledger cannot be written.
            JobRunningError: A process runs the job.
        """
        from contraflow.engine.leadership import take
        from contraflow.engine.stopping import StopRequest
        from contraflow.ledger import display_key

        keys = None if ids is None else self.item_keys(integration, job, step, ids)
        ledger = self.existing_ledger()
        if ledger is None:
            raise ConfigError(Problem(message="nothing has run yet, so nothing is held"))
        with take(ledger, integration, job, now=self._now, stop=StopRequest()) as leadership:
            held = {each.key for each in self.held(integration=integration, job=job) if each.step == step}
            wanted = tuple(held) if keys is None else keys
            unheld = [key for key in wanted if key not in held]
            if unheld:
                raise ConfigError(
                    *(
                        Problem(
                            message=f"item {display_key(key)} of step '{step}' is not held",
                            hint="`contraflow held list` lists those that are",
                        )
                        for key in unheld
                    )
                )
            for key in wanted:
                ledger.settle_by_hand(
                    integration=integration, job=job, step=step, key=key, verdict=verdict, lease=leadership.lease
                )
        return wanted

    # What a look at the remote found

    def note_drift(
        self,
        integration: str,
        *,
        job: str,
        step: str,
        edited: Sequence[Key],
        missing: Sequence[Key],
        wait: bool = False,
        stop: StopRequest | None = None,
    ) -> None:
        """Make items due that somebody edited at the remote, and record that others are gone there.

        Args:
            integration: The integration's name.
            job: The job's name.
            step: The step's name.
            edited: The next run looks at these again.
            missing: These stay gone, unless the step says ``resurrect``.
            wait: Whether to wait while another process runs the job.
            stop: Set it to end waiting.

        Raises:
            JobRunningError: A process runs the job.
            LedgerError: The ledger cannot be written.
        """
        from contraflow.engine.leadership import take
        from contraflow.engine.stopping import StopRequest
        from contraflow.ledger import encode_key

        ledger = self.existing_ledger()
        stream = ledger.stream(integration=integration, job=job, step=step) if ledger else None
        if ledger is None or stream is None:
            return
        stop = stop if stop is not None else StopRequest()
        with take(ledger, integration, job, now=self._now, stop=stop, wait=wait) as leadership:
            ledger.note_drift(
                leadership.lease,
                stream.id,
                edited=[encode_key(key) for key in edited],
                missing=[encode_key(key) for key in missing],
            )


def died(execution: JobExecution, running: Iterable[RunningJob]) -> bool:
    """Whether an execution ended because its process did."""
    if execution.status is not BatchStatus.STARTED:
        return execution.status is BatchStatus.FAILED and execution.exit_code == "UNKNOWN"
    return all(each.execution != execution.id or each.died for each in running)


def _is_gone(ledger: Ledger, state: LeaseState) -> bool:
    """Whether the lock that the holder keeps as long as it lives is free. Nobody else is kept from anything by the look."""
    lock = ledger.liveness(state.integration, state.job)
    try:
        return lock.acquire()
    finally:
        lock.release()


def _in_flight(ledger: Ledger, integration: str | None, examples: int) -> Iterator[ItemOverview]:
    """Of the items of intents, those that are not in doubt already: nobody lived to say so."""
    doubtful = {
        (each.integration, each.job, each.step, each.key)
        for each in ledger.items_in("in_doubt", integration=integration, limit=100_000)
    }
    steps: dict[tuple[str, str, str], list[Key]] = {}
    for each in ledger.in_flight(integration=integration):
        names = (each.integration, each.job, each.step)
        steps.setdefault(names, []).extend(key for key in each.keys if (*names, key) not in doubtful)
    for (name, job, step), keys in steps.items():
        if keys:
            yield ItemOverview(
                integration=name,
                job=job,
                step=step,
                status="in_flight",
                items=len(keys),
                examples=tuple(keys[:examples]),
            )
