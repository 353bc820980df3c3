"""``contraflow new-connector``: a package of one's own, with tests that pass, to begin from."""

from __future__ import annotations

import re
import shlex
import unicodedata
from importlib import resources
from pathlib import Path

import attrs
import click

from contraflow.cli.options import json_option
from contraflow.cli.output import TESTING, print_json, shown_path

KINDS = {
    "python": "a connector in Python, which sends requests and says what became of each",
    "http": "a connector by configuration of contraflow-http: paths, methods, places in the answer",
}
_PREFIX = "contraflow-"
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_.][a-z0-9]+)*")


@attrs.frozen(kw_only=True)
class Names:
    """What a connector is called, where."""

    plugin: str
    """In project files."""
    distribution: str
    package: str

    @classmethod
    def of(cls, wanted: str) -> Names:
        """Derive the names from what was typed: ``acme``, ``Acme CRM``, ``contraflow-acme``.

        Raises:
            ConfigError: No distribution can have such a name.
        """
        from contraflow.errors import ConfigError, Problem

        plugin = wanted.lower().replace(" ", "-").removeprefix(_PREFIX)
        if not _NAME.fullmatch(plugin):
            plain = unicodedata.normalize("NFKD", plugin).encode("ascii", "ignore").decode()
            letters = re.sub(r"[^a-z0-9]+", "-", plain).strip("-0123456789")
            raise ConfigError(
                Problem(
                    message=f"'{wanted}' cannot be the name of a package",
                    expected="letters of the alphabet and digits, in groups joined by '-', a letter first: acme, acme-crm",
                    hint=f"did you mean '{letters}'?" if letters else None,
                )
            )
        plugin = re.sub(r"[-_.]+", "-", plugin)  # as package indexes take names for equal (PEP 503)
        return cls(plugin=plugin, distribution=f"{_PREFIX}{plugin}", package=f"contraflow_{plugin.replace('-', '_')}")


@click.command("new-connector", short_help="Make the package of a new connector, with tests.")
@click.argument("name")
@click.option("--kind", type=click.Choice(list(KINDS)), default="python", show_default=True, help="How it is written.")
@click.option("--title", help="The remote's name for people.  [default: NAME, with a capital]")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="The directory in which the package's folder is made.",
)
@json_option
def command(name: str, kind: str, title: str | None, into: Path, as_json: bool) -> None:
    """Make a folder contraflow-NAME with a connector that works, and the tests that show it.

    It is a package of your own: metadata with the entry point, a short connector with its settings, a job, tests that run
    contraflow's conformance suite against a remote that fails in every way, a README, a Makefile and a workflow for CI.
    `--kind python` sends requests itself; `--kind http` only describes them.
    """
    names = Names.of(name)
    if title is not None and not re.fullmatch(r"[^\W_][\w .,&+-]*", title):
        raise click.BadParameter("expected letters, digits, blanks and .,&+- alone", param_hint="--title")
    target = into / names.distribution
    _refuse_what_is_there(names, target)
    _play(names, kind, title or names.plugin.replace("-", " ").title(), target)
    if as_json:
        files = sorted(str(path) for path in target.rglob("*") if path.is_file())
        print_json({"directory": str(target), "plugin": names.plugin, "kind": kind, "files": files})
        return
    click.echo(f"Made {shown_path(target)}: {KINDS[kind]}.\n")
    click.echo("Next:")
    click.echo(f"    cd {shlex.quote(str(target))}")
    click.echo("    make test")


def _refuse_what_is_there(names: Names, target: Path) -> None:
    from contraflow.errors import ConfigError, Location, Problem
    from contraflow.plugins import Plugins

    if target.exists():
        raise ConfigError(
            Problem(
                message="this folder is already there",
                location=Location(file=shown_path(target)),
                hint="choose another name, or another directory with --into",
            )
        )
    found = [record for record in Plugins().records if names.plugin in (record.name, *record.aliases)]
    if found:
        raise ConfigError(
            Problem(
                message=f"a plugin of the name '{names.plugin}' is installed already",
                found=f"{names.plugin}, from {found[0].distribution}",
                expected="a name that no installed plugin has, since project files could not tell them apart",
            )
        )


def _play(names: Names, kind: str, title: str, target: Path) -> None:
    from contraflow.errors import ConfigError, Location, Problem
    from contraflow_hookspecs import SPEC_VERSION

    try:
        from copier import run_copy
    except ImportError:
        raise ConfigError(Problem(message="new-connector needs copier", hint=TESTING)) from None
    major, minor = SPEC_VERSION
    answers = {
        "name": names.plugin,
        "package": names.package,
        "distribution": names.distribution,
        "title": title,
        "kind": kind,
        "contract": f"contraflow-hookspecs>={major}.{minor},<{major + 1}",
    }
    with resources.as_file(resources.files("contraflow.cli") / "connector_template") as template:
        try:
            run_copy(str(template), target, answers, defaults=True, quiet=True)
        except OSError as error:
            problem = Problem(message=f"cannot write here: {error.strerror}", location=Location(file=str(target)))
            raise ConfigError(problem) from None
