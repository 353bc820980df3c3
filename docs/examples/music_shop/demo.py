"""The demonstration behind ``make demo``: a real data set into a real remote, and back again to compare.

Exit codes: 0 the remote holds what the database holds; 1 it does not, or a command failed; 2 it could not begin.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import kinto_server
from shop import create_shop
from story import EXAMPLE, Stage, heading, say, tell

FOLDER = EXAMPLE.parents[2] / ".demo"


def main(arguments: list[str] | None = None) -> int:
    """Run the demo with these command-line arguments; the exit code."""
    options = _parser().parse_args(arguments)
    folder: Path = options.folder.resolve()
    environment: Path = (options.kinto_venv or folder / "kinto-venv").resolve()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names have accents that not every terminal has
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        _install(environment)
        if options.install_only:
            return 0
        return _play(folder / "run", environment, port=options.port, stay=options.stay)
    except (kinto_server.KintoError, FileNotFoundError) as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped, and Kinto with it.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where everything goes that it makes (.demo)")
    parser.add_argument("--kinto-venv", type=Path, help="Kinto's virtual environment (FOLDER/kinto-venv)")
    parser.add_argument("--port", type=int, help="Kinto's port on 127.0.0.1 (any that is free)")
    parser.add_argument("--stay", action="store_true", help="leave Kinto running at the end, until Ctrl-C")
    parser.add_argument("--install-only", action="store_true", help="make Kinto ready, and do no more")
    return parser


def _install(environment: Path) -> None:
    if not kinto_server.is_installed(environment):
        print(f"Installing Kinto {kinto_server.VERSION} into {_short(environment)}, once ...", flush=True)
        kinto_server.install(environment)


def _play(run: Path, environment: Path, *, port: int | None, stay: bool) -> int:
    """From nothing: shop, ledger and remote are all new, so that they agree with one another."""
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    shop, ledger, variables = run / "shop.db", run / "ledger.db", run / "environment.sh"
    print("contraflow demo: a music shop's database, followed by a remote system over HTTP")
    heading("Set up, all of it new: Kinto forgets its records when it stops, so the ledger begins anew as well.")
    rows = create_shop(shop)
    say(f"source  {_short(shop)}: the Chinook sample data, {sum(rows.values()):,} rows in {len(rows)} tables")
    with kinto_server.running(environment, run, port=port) as kinto:
        say(f"remote  {kinto.url}: Kinto {kinto_server.VERSION}, a REST store of JSON records")
        say(f"ledger  {_short(ledger)}: what was sent, what came back, what is still owed")
        stage = Stage(shop=shop, ledger=ledger, kinto=kinto)
        _write_variables(variables, stage.environment)
        equal = tell(stage)
        heading("Equal: Kinto holds what the database holds." if equal else "Something went wrong: see above.")
        _show_where_to_look(run, variables)
        if stay:
            say(f"Kinto stays at {kinto.url}, user {kinto.user}, until you press Ctrl-C here.")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
        else:
            say("make demo ARGS=--stay    leaves Kinto running, for commands of your own")
    return 0 if equal else 1


def _show_where_to_look(run: Path, variables: Path) -> None:
    contraflow = _short(Path(sys.executable).with_name("contraflow"))
    heading("Where to look next:")
    say(f"{_short(EXAMPLE)}/README.md    all of this explained; beside it the files that tell")
    say("    contraflow what to do: contraflow.yaml (what goes where) and jobs.yml (in which steps)")
    say(f"{_short(run)}/    shop.db, ledger.db, kinto.log; ask the ledger yourself:")
    say(f"    . {_short(variables)}; {contraflow} -C {_short(EXAMPLE)} status")


def _write_variables(path: Path, variables: Mapping[str, str]) -> None:
    """A file for the shell with what ``contraflow.yaml`` asks for. It holds Kinto's password: for its owner only."""
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()), "utf-8")


def _short(path: Path) -> str:
    """A path as the person at the screen would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _leave(number: int, _frame: FrameType | None) -> None:
    """A signal to end becomes an exception, so that Kinto is stopped on the way out."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
