"""The long run: many random kills of one delivery class, and what the checker says of them.

    python tests/delivery/soak.py --class A --kills 1000 --ledger sqlite --seed 7 --json FILE
    python tests/delivery/soak.py --class C --races 200
    python tests/delivery/soak.py --class C --freezes 40

Ends with 0 if nothing was lost, doubled, stale, silent or wrong. The same seed chooses the same records, faults and aims;
where exactly a kill falls, the machine decides.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from checker import Kind, Report
from contention import freeze, race
from harness import Bench, Setting, Storm, bench
from ledgers import postgresql_schema
from remotes import FORMS
from sqlalchemy import MetaData, Table, create_engine, select
from sqlalchemy.pool import NullPool

SCRIPT = {
    "pace": 0.001,
    "rules": [
        {"fault": "delay_before", "seconds": [0.02, 0.25], "probability": 0.05},
        {"fault": "reset_after", "probability": 0.01},
        {"fault": "reset_before", "probability": 0.01},
        {"fault": "truncated", "probability": 0.005},
        {"fault": "status", "status": 502, "apply": True, "probability": 0.005},
        {"fault": "status", "status": 503, "retry_after": 0, "probability": 0.01},
    ],
}
"""Beside the kills. No delay is longer than a request may live (:attr:`harness.Setting.lifetime`)."""


def soak(arguments: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Run one soak, and sum it up."""
    held = arguments.delivery_class in "DE"  # what is held stays held: new records keep the remote busy
    setting = Setting(
        delivery_class=arguments.delivery_class,
        form=arguments.form,
        inserts=8 if held else 1,
        updates=2 if held else 8,
        seed=arguments.seed,
        script={"seed": arguments.seed, **(SCRIPT if not arguments.calm else {"pace": 0.001})},
        mutant=arguments.mutant,
        style=arguments.style,
    )
    contended = bool(arguments.races or arguments.freezes)
    began = time.monotonic()
    with ExitStack() as stack:
        url = stack.enter_context(postgresql_schema()) if arguments.ledger == "postgresql" else None
        trial = stack.enter_context(bench(directory, setting, ledger=url, workers=2 if contended else 1))
        trial.live()
        ends: dict[str, int] = {}
        storm = Storm(kills=0, lives=0, phases={}, seconds=0.0)
        if contended:
            ends = dict(race(trial, arguments.races) + freeze(trial, arguments.freezes))
        else:
            storm = trial.storm(arguments.kills, tell=_progress(arguments.kills))
        trial.remote.script({})
        trial.finish()
        report = trial.check(blames=True)
        summary = _summary(arguments, trial, storm, report, time.monotonic() - began)
        return summary | ({"ends": ends} if contended else {})


def recovered(ledger: str) -> int:
    """The items that a run found in doubt after the death of the one before it, and settled, as the ledger counted them."""
    engine = create_engine(ledger, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            table = Table("cf_step_execution", MetaData(), autoload_with=connection)
            return sum(json.loads(row.counts).get("recovered", 0) for row in connection.execute(select(table.c.counts)))
    finally:
        engine.dispose()


def _progress(kills: int) -> Any:
    def tell(done: int) -> None:
        if done % 100 == 0 or done == kills:
            print(f"{done} of {kills} kills", file=sys.stderr, flush=True)

    return tell


def _summary(
    arguments: argparse.Namespace, trial: Bench, storm: Storm, report: Report, seconds: float
) -> dict[str, Any]:
    found = Counter(finding.kind.value for finding in report.findings)
    listed = Counter(item.status for item in trial.evidence().ledger.values() if item.status != "written")
    return {
        "class": arguments.delivery_class,
        "form": arguments.form,
        "ledger": arguments.ledger,
        "seed": arguments.seed,
        "mutant": arguments.mutant or None,
        "kills": storm.kills,
        "lives": storm.lives,
        "kills_by_phase": dict(sorted(storm.phases.items(), key=lambda pair: -pair[1])),
        **report.counts,
        "recovered": recovered(trial.ledger),
        "listed_as": dict(listed),
        "findings": {kind.value: found.get(kind.value, 0) for kind in Kind},
        "examples": [str(finding) for finding in report.findings[:20]],
        "seconds": round(seconds, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print one line, write the summary."""
    parser = argparse.ArgumentParser(description="Kill a worker many times, and look what became of the items.")
    parser.add_argument("--class", dest="delivery_class", choices=list("ABCDE"), required=True)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--races", type=int, default=0, help="instead: two workers begin at one moment, so many times")
    parser.add_argument("--freezes", type=int, default=0, help="instead: one is frozen past its lease, so many times")
    parser.add_argument("--ledger", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--form", choices=FORMS, default="single")
    parser.add_argument("--style", choices=["rising", "cycling"], default="rising")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--calm", action="store_true", help="kills alone, no faults of the remote")
    parser.add_argument("--mutant", default="", help="run a broken variant of the protocol")
    parser.add_argument("--directory", type=Path, help="keep everything there, which must be empty or missing")
    parser.add_argument("--json", type=Path, help="where the summary goes")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        if options.directory is not None:
            options.directory.mkdir(parents=True, exist_ok=True)
        directory = options.directory or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        summary = soak(options, directory)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(summary, indent=2) + "\n")
    findings = ", ".join(f"{number} {name.lower()}" for name, number in summary["findings"].items())
    print(
        f"class {summary['class']} ({summary['form']}) on {summary['ledger']}, seed {summary['seed']}: "
        f"{summary.get('ends') or str(summary['kills']) + ' kills'} in {summary['seconds']:.0f} s, "
        f"{summary['effects']} effects: {findings}; "
        f"{summary['listed']} listed {summary['listed_as']}"
    )
    for example in summary["examples"]:
        print("  ", example)
    return 1 if any(summary["findings"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
