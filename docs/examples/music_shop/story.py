"""The demo's story, told on the screen while it happens: export everything, compare, change a few rows, sync those."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from changes import DAY, RowChange, carry_out
from comparison import Comparison, Record, compare, expected_records
from kinto_records import KintoBucket
from kinto_server import Kinto
from shop import count_rows

EXAMPLE = Path(__file__).resolve().parent
BUCKET = "music_shop"
COLLECTIONS: Mapping[str, str] = {"customers": "customer", "tracks": "track", "playlist_entries": "playlist_track"}
"""The remote's collections, which are also the steps of the job, and the table that each comes from."""

LEFT_OUT: Mapping[str, str] = {
    "album": "its title travels with each track",
    "artist": "the name travels with each track",
    "genre": "its name travels with each track",
    "media_type": "its name travels with each track",
    "employee": "the e-mail address travels with each customer",
    "playlist": "its number is half of each entry's key",
}
"""What becomes of the tables that no step exports by themselves."""


@attrs.frozen(kw_only=True)
class Stage:
    """Where the story plays."""

    shop: Path
    ledger: Path
    kinto: Kinto

    @property
    def environment(self) -> dict[str, str]:
        """The variables that ``contraflow.yaml`` asks for."""
        return {
            "SHOP_DATABASE_URL": f"sqlite:///{self.shop}",
            "SHOP_LEDGER_URL": f"sqlite:///{self.ledger}",
            "KINTO_URL": self.kinto.url,
            "KINTO_USER": self.kinto.user,
            "KINTO_PASSWORD": self.kinto.password,
        }


def tell(stage: Stage) -> bool:
    """Play the story against a running Kinto.

    Returns:
        Whether every command succeeded and the remote holds what the database holds, at both times of comparing.
    """
    with KintoBucket(stage.kinto, BUCKET) as bucket:
        bucket.create(COLLECTIONS)
        heading("Export everything. The reader entity.by_id reads the rows; the connector http turns each into JSON")
        print("and sends it, a hundred to a request; the ledger remembers what went.", flush=True)
        exported = contraflow(stage, "sync", "kinto", "--all")
        heading("Read it back: Kinto's own API says what it holds; compared with the database, field by field.")
        comparisons = compare_all(stage, bucket)
        for one in comparisons:
            show(one)
        well = exported and all(one.equal for one in comparisons)
        if well:
            heading("A day in the shop: three rows change, and are sent by id. One id did not change: nothing is sent.")
            for change in DAY:
                well &= follow(stage, bucket, change)
        heading("The whole of it: every entity of the data set, and what Kinto holds at the end.")
        comparisons = compare_all(stage, bucket)
        summarise(count_rows(stage.shop), comparisons)
    return well and all(one.equal for one in comparisons)


def contraflow(stage: Stage, *arguments: str, briefly: bool = False) -> bool:
    """Type a ``contraflow`` command.

    Args:
        stage: Whose environment the command gets.
        arguments: The command's own.
        briefly: Show the last line of its progress instead of all that it says; all of it if it fails.

    Returns:
        Whether it succeeded.
    """
    say(f"$ contraflow {shlex.join(arguments)}")
    command = [sys.executable, "-m", "contraflow", *arguments]
    done = subprocess.run(
        command,
        cwd=EXAMPLE,
        env=os.environ | stage.environment | {"PYTHONIOENCODING": "utf-8"},
        capture_output=briefly,
        encoding="utf-8",
    )
    if briefly:
        lines = [line for line in f"{done.stderr}{done.stdout}".splitlines() if line]
        for line in lines if done.returncode != 0 else done.stderr.splitlines()[-1:]:
            say(f"  {line}")
    if done.returncode != 0:
        say(f"contraflow ended with exit code {done.returncode}")
    return done.returncode == 0


def compare_all(stage: Stage, bucket: KintoBucket) -> list[Comparison]:
    """Each collection beside what the database says at this moment."""
    return [compare(name, expected_records(stage.shop, name), bucket.records(name)) for name in COLLECTIONS]


def show(comparison: Comparison) -> None:
    """One line, and a few more where something differs."""
    verdict = "equal" if comparison.equal else "NOT EQUAL"
    say(f"{comparison.collection:<18}{comparison.expected:>7,} rows {comparison.found:>7,} records   {verdict}")
    for line in comparison.explain():
        say(f"  {line}")


def follow(stage: Stage, bucket: KintoBucket, change: RowChange) -> bool:
    """Change a row, sync it by its id, and show what arrived."""
    before = bucket.record(change.step, change.record_id)
    carry_out(stage.shop, change)
    say(f"{change.title}:")
    ids = [word for number in (change.id, *change.also) for word in ("--id", number)]
    well = not change.planned or foresee(stage, "kinto", "--step", change.step, *ids)
    well &= contraflow(stage, "sync", "kinto", "--step", change.step, *ids, briefly=True)
    after = bucket.record(change.step, change.record_id)
    for line in arrived(before, after):
        say(f"  in Kinto, {change.step}/{change.record_id}: {line}")
    return well and before != after


def foresee(stage: Stage, *arguments: str) -> bool:
    """Type ``contraflow plan``, and show what it would do; whether it would do anything."""
    say(f"$ contraflow plan {shlex.join(arguments)}")
    command = [sys.executable, "-m", "contraflow", "plan", *arguments, "--json"]
    done = subprocess.run(
        command, cwd=EXAMPLE, env=os.environ | stage.environment, capture_output=True, encoding="utf-8"
    )
    if done.returncode != 0:
        say(f"contraflow ended with exit code {done.returncode}: {done.stdout}")
        return False
    items = [(step["step"], item) for step in json.loads(done.stdout)["steps"] for item in step["items"]]
    for step, item in items:
        say(f"  would {item['operation']} {step}/{'-'.join(map(str, item['key']))}: {', '.join(item['changed'] or ())}")
    return bool(items)


def arrived(before: Record | None, after: Record | None) -> list[str]:
    """What became of a record: a line for each field that changed, old to new."""
    if after is None:
        return ["no such record"]
    if before is None:
        return ["new: " + ", ".join(f"{name} {value!r}" for name, value in after.items())]
    names = sorted(before.keys() | after.keys())
    changed = [name for name in names if before.get(name) != after.get(name)]
    return [f"{name}: {before.get(name)!r} → {after.get(name)!r}" for name in changed] or ["unchanged"]


def summarise(rows: Mapping[str, int], comparisons: Sequence[Comparison]) -> None:
    """A table with one line for each entity of the data set, and their sum."""
    exported = {COLLECTIONS[one.collection]: one for one in comparisons}
    for table, count in sorted(rows.items(), key=lambda row: (row[0] not in exported, row[0])):
        one = exported.get(table)
        if one is None:
            fate = f"not part of this job{'; ' + LEFT_OUT[table] if table in LEFT_OUT else ''}"
        else:
            fate = f"{one.found:,} records in {one.collection}: {'equal' if one.equal else 'NOT EQUAL'}"
        say(f"{table:<18}{count:>7,}   {fate}")
        for line in one.explain() if one else ():
            say(f"    {line}")
    sent = sum(one.found for one in comparisons)
    left = sum(count for table, count in rows.items() if table not in exported)
    say(f"{'all':<18}{sum(rows.values()):>7,}   {sent:,} in Kinto, {left:,} not part of this job")


def heading(text: str) -> None:
    """Begin a chapter."""
    print(f"\n{text}", flush=True)


def say(text: str) -> None:
    """One indented line, at once: the commands that we run write to the same screen."""
    print(f"  {text}", flush=True)
