"""The Python API: a project is loaded, checked, synchronised and asked.

>>> with Project.load("shop") as project:                            # doctest: +SKIP
...     execution = project.sync("acme-eu", ids=[1, 2])
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from contraflow.workspace import Workspace
from contraflow_hookspecs import JobExecution

if TYPE_CHECKING:
    from contraflow.accepting import AcceptedStep
    from contraflow.drift import Drift
    from contraflow.engine.stopping import StopRequest
    from contraflow.explain import Explanation
    from contraflow.forgetting import Forgotten
    from contraflow.ledger import DeadLetter
    from contraflow.plans import Plan
    from contraflow.relinking import Relinked
    from contraflow.reviews import ConflictView


class Project(Workspace):
    """A project, and what can be done with it. Close it, or use ``with``.

    Args:
        configuration: The project file and its job files, loaded.
        plugins: The plugins to use; ``None`` discovers what is installed.
        redact: Learns the project's secrets, and keeps them out of everything; ``None`` makes a new one.
        now: The clock.
        lease_lifetime: Seconds without a heartbeat after which others take a run for dead.
    """

    def accept_ledger(self, *, force: bool = False) -> Sequence[AcceptedStep]:
        """Go on with a ledger that was restored from an older copy, and believe nothing of what it says of the remotes.

        Args:
            force: Also if nothing shows that it is older than it was.

        Returns:
            The steps whose items the next run goes through anew.

        Raises:
            ConfigError: Nothing shows it.
            LedgerError: The ledger cannot be opened or written.
            JobRunningError: A process runs a job.
        """
        from contraflow.accepting import accept
        from contraflow.ledger import open_ledger

        with open_ledger(self.config.ledger, create=False, witness=self._witnesses) as ledger:
            return accept(self, ledger, now=self._now, force=force)

    def sync(
        self,
        integration: str,
        *,
        ids: Any = None,
        everything: bool = False,
        job: str | None = None,
        steps: Sequence[str] = (),
        parameters: Mapping[str, Any] | None = None,
        wait: bool = False,
        resume: bool = True,
        force: bool = False,
        stop: StopRequest | None = None,
        approve: Sequence[str] = (),
        before_removals: Callable[[], None] = lambda: None,
    ) -> JobExecution:
        """Run an integration's export job, alone: one execution of a job at a time.

        Args:
            integration: The integration's name.
            ids: Which entities: an id, a list of ids, mappings by column name or tuples for composite keys. An empty list
                exports nothing; ``None`` leaves it to the job's reader, and is refused where that reads by id.
            everything: Say that all entities are meant.
            job: Which job, where the integration has several.
            steps: Only these steps of it.
            parameters: Parameters of this run, over those of the job file.
            wait: Whether to wait while another process runs the job.
            resume: Whether to go on where an interrupted execution of the same request had come to.
            force: Send what is read also if the remote holds it as far as the ledger knows, or has refused it. What is in
                doubt stays held.
            stop: Set it, from another thread or a signal handler, to end the run after the chunks in hand.
            approve: Digests that runs named which a guard had stopped: just what those would have done may be done.
            before_removals: Called when all else is done, and before anything is removed that a complete read did not yield:
                to run what has to remove its own things first, as :meth:`sync_all` does.

        Returns:
            The execution, also when it failed.

        Raises:
            ConfigError: Something cannot be honoured; nothing was started.
            LedgerError: The ledger cannot be opened or written.
            JobRunningError: Another process runs the job.
            RequestRecordedError: The same, but the request was for certain ids: that process carries it out afterwards.
            FencedError: Another process has taken over, since this one seemed to be dead.
        """
        from contraflow.engine.request import RunRequest
        from contraflow.preparing import prepare, synchronisation

        asked = RunRequest(ids=ids, everything=everything, parameters=parameters or {}, steps=steps, force=force)
        run = prepare(self, integration, asked, job=job, approvals=approve)
        return synchronisation(self, run, now=self._now, stop=stop, wait=wait, resume=resume, approvals=approve).run(
            run.request, run.steps, before_removals=before_removals
        )

    def plan(
        self,
        integration: str,
        *,
        ids: Any = None,
        everything: bool = False,
        job: str | None = None,
        steps: Sequence[str] = (),
        parameters: Mapping[str, Any] | None = None,
        force: bool = False,
        values: bool = False,
        stop: StopRequest | None = None,
    ) -> Plan:
        """Say what :meth:`sync` would do, and do nothing: no lease is taken, nothing is written anywhere.

        Args:
            values: Whether to note the values of all fields that would be sent, and not only where old ones are remembered.
            stop: Set it to end early.

        The others are those of :meth:`sync`.

        Returns:
            The plan; close it, or use ``with``.

        Raises:
            ContraflowError: As :meth:`sync`; or a stage failed.
        """
        from contraflow.engine.request import RunRequest
        from contraflow.plans import make_plan

        asked = RunRequest(ids=ids, everything=everything, parameters=parameters or {}, steps=steps, force=force)
        return make_plan(self, integration, asked, job=job, values=values, now=self._now, stop=stop)

    def apply(
        self,
        plan: str | os.PathLike[str],
        *,
        max_age: timedelta = timedelta(days=7),
        approve: Sequence[str] = (),
        wait: bool = False,
        stop: StopRequest | None = None,
    ) -> JobExecution:
        """Do what a plan file says, and nothing else. An item that is no longer as the plan saw it is left out.

        Args:
            plan: The file, as ``Plan.save`` wrote it.
            max_age: How old it may be.
            approve: As for :meth:`sync`.
            wait: Whether to wait while another process runs the job.
            stop: Set it to end after the chunks in hand; the same plan goes on then.

        Returns:
            The execution, also when it failed.

        Raises:
            PlanError: The file is no plan, was edited, is too old, of something else, or was applied before.
            ContraflowError: As :meth:`sync`.
        """
        from contraflow.plans import apply_plan

        return apply_plan(self, plan, max_age=max_age, approvals=approve, now=self._now, wait=wait, stop=stop)

    def sync_all(self, integration: str, **options: Any) -> Sequence[JobExecution]:
        """Run all export jobs of an integration, those first to which others refer; options and errors as of :meth:`sync`.

        What is gone is removed in the opposite order: a job removes nothing before those have that refer to it.

        Returns:
            The executions; after one that is not COMPLETED nothing more was run.
        """
        from contraflow.all_jobs import sync_all

        return tuple(sync_all(self, integration, **options))

    def retry_dead_letters(
        self,
        letters: Iterable[DeadLetter],
        *,
        wait: bool = False,
        stop: StopRequest | None = None,
    ) -> Iterator[JobExecution]:
        """Send the items of dead letters once more, as they are now: their entities are read and compared afresh.

        Args:
            letters: What to try again.
            wait: Whether to wait while another process runs the job.
            stop: Set it to end after the chunks in hand.

        Yields:
            An execution for each step of each job, after it has ended.

        Raises:
            RequestRecordedError: Another process runs the job, and carries it out afterwards.
            ContraflowError: As :meth:`sync`.
        """
        steps: dict[tuple[str, str, str], list[DeadLetter]] = {}
        for letter in letters:
            steps.setdefault((letter.integration, letter.job, letter.step), []).append(letter)
        for (integration, job, step), group in steps.items():
            if stop is not None and stop.is_set:
                return
            self.ledger().retry_dead_letters([letter.id for letter in group])
            ids = [letter.key for letter in group]
            yield self.sync(integration, job=job, steps=(step,), ids=ids, wait=wait, stop=stop)

    def forget(
        self,
        entity: str,
        id: Any,  # noqa: A002 - what people call it
        *,
        dry_run: bool = False,
        wait: bool = False,
        stop: StopRequest | None = None,
    ) -> Forgotten:
        """Remove or anonymise a record in every remote that has it, and in the ledger (:mod:`contraflow.forgetting`)."""
        from contraflow.forgetting import forget

        return forget(self, entity, id, now=self._now, dry_run=dry_run, wait=wait, stop=stop)

    def allow_again(self, entity: str, id: Any) -> int:  # noqa: A002
        """Let a forgotten record be sent again; in how many steps it was forgotten."""
        from contraflow.forgetting import allow_again

        return allow_again(self, entity, id, now=self._now)

    def relink(
        self,
        integration: str,
        id: Any,  # noqa: A002
        remote_id: str,
        *,
        job: str | None = None,
        step: str | None = None,
    ) -> Relinked:
        """Link an item to another record of its remote; the next run sends it there (:mod:`contraflow.relinking`)."""
        from contraflow.relinking import relink

        return relink(self, integration, id, remote_id, now=self._now, job=job, step=step)

    def conflicts(self, *, integration: str | None = None, limit: int = 100) -> Sequence[ConflictView]:
        """The records that somebody changed at the remote and that wait for a decision (:mod:`contraflow.reviews`)."""
        from contraflow.reviews import conflicts

        return conflicts(self, integration=integration, limit=limit)

    def conflict(self, number: int) -> ConflictView:
        """One of them; raises ``ConfigError`` if there is none of that number."""
        from contraflow.reviews import conflict

        return conflict(self, number)

    def settle_conflict(
        self, number: int, take: Mapping[str, str], *, wait: bool = False, stop: StopRequest | None = None
    ) -> JobExecution:
        """Decide which version of a record holds, and carry that out (:func:`contraflow.reviews.settle`)."""
        from contraflow.reviews import settle

        return settle(self, number, take, wait=wait, stop=stop)

    def drift(
        self,
        integration: str,
        *,
        job: str | None = None,
        step: str | None = None,
        sample: int | None = 1000,
        repair: bool = False,
        wait: bool = False,
        stop: StopRequest | None = None,
    ) -> Drift:
        """Compare the remote with what it last confirmed (:func:`contraflow.drift.drift`)."""
        from contraflow.drift import drift

        return drift(self, integration, job=job, step=step, sample=sample, repair=repair, wait=wait, stop=stop)

    def explain(self, subject: str, id: Any, *, show_values: bool = False) -> Explanation:  # noqa: A002
        """What happened to one record, whether it is due, and what comes next (:func:`contraflow.explain.explain`)."""
        from contraflow.explain import explain

        return explain(self, subject, id, show_values=show_values)
