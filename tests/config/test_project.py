from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contraflow.config import EntityConfig, ProjectConfig, load_configuration, load_project
from contraflow.errors import ConfigError, Problem

LoadProject = Callable[..., ProjectConfig]
ProjectProblems = Callable[..., tuple[Problem, ...]]
Write = Callable[[str, str | bytes], Path]


def test_a_whole_project(project: LoadProject, write: Write, directory: Path) -> None:
    write("batch_jobs.yml", "")
    write("more/b.yml", "")
    write("more/a.yml", "")
    config = project(
        """
        source: ${SHOP_DATABASE_URL}
        entities:
          customer: shop.models:Customer
          invoice: {class: shop.models:Invoice}
          order_line: {table: order_line, schema: shop, key: [order_id, line]}
          no: {table: on, key: 010}
        integrations:
          acme-eu:
            connector: acme.customers
            label: Acme Europe
            settings: {url: https://eu.acme.example, token: "${ACME_TOKEN}", retries: 3, tags: [a, 010]}
            job: customers_export
          acme-us:
            connector: acme.customers
            enabled: false
            job: [one, two]
        jobs: [batch_jobs.yml, more/*.yml, ./batch_jobs.yml]
        services: {YOUR_PROCESSOR: acme.customers}
        classes: {Acme\\Step: item}
        disable_plugins: [audit]
        """,
        SHOP_DATABASE_URL="postgresql://u:pw@db/shop",
        ACME_TOKEN="s3cret",
    )

    assert config.path == directory / "contraflow.yaml"
    assert config.directory == directory
    assert config.source == "postgresql://u:pw@db/shop"
    assert config.ledger == f"sqlite:///{directory}/contraflow.db"
    assert config.entities["customer"].mapped == "shop.models:Customer"
    assert config.entities["invoice"].mapped == "shop.models:Invoice"
    line = config.entities["order_line"]
    assert (line.table, line.schema, line.key, line.mapped) == ("order_line", "shop", ("order_id", "line"), None)
    assert (config.entities["no"].table, config.entities["no"].key) == ("on", ("010",))
    europe, america = config.integrations.values()
    assert (europe.name, europe.connector, europe.label) == ("acme-eu", "acme.customers", "Acme Europe")
    assert dict(europe.settings) == {
        "url": "https://eu.acme.example",
        "token": "s3cret",
        "retries": 3,
        "tags": ["a", "010"],
    }
    assert (europe.enabled, europe.job) == (True, ("customers_export",))
    assert (america.enabled, america.job, dict(america.settings)) == (False, ("one", "two"), {})
    assert config.jobs == tuple(directory / name for name in ("batch_jobs.yml", "more/a.yml", "more/b.yml"))
    assert dict(config.services) == {"YOUR_PROCESSOR": "acme.customers"}
    assert dict(config.classes) == {"Acme\\Step": "item"}
    assert config.disabled_plugins == ("audit",)
    assert config.secrets == {"postgresql://u:pw@db/shop", "s3cret"}
    assert str(config.locations["integrations.acme-eu.settings.url"]) == (
        "contraflow.yaml:12 (integrations.acme-eu.settings.url)"
    )
    assert config.location("integrations.acme-eu.settings.unknown").line == 12
    assert europe.location.line == 9


def test_secrets_stay_out_of_the_repr(project: LoadProject) -> None:
    config = project(
        "source: ${U}\nintegrations: {a: {connector: b, settings: {t: '${T}'}}}", U="x://s3cret", T="s3cret"
    )

    assert "s3cret" not in repr(config)


def test_an_empty_project_has_defaults(project: LoadProject, directory: Path) -> None:
    config = project("# nothing yet\n")

    assert config.source is None
    assert config.ledger == f"sqlite:///{directory}/contraflow.db"
    assert not any((config.entities, config.integrations, config.jobs, config.services, config.classes))
    assert not any((config.disabled_plugins, config.secrets))


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("sqlite:///shop.db", "sqlite:///{here}/shop.db"),
        ("sqlite+pysqlite:///data/shop.db?timeout=5", "sqlite+pysqlite:///{here}/data/shop.db?timeout=5"),
        ("sqlite:////var/shop.db", "sqlite:////var/shop.db"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite:///file:shop?mode=memory&uri=true", "sqlite:///file:shop?mode=memory&uri=true"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
    ],
)
def test_relative_sqlite_files_lie_beside_the_project_file(
    project: LoadProject, directory: Path, url: str, resolved: str
) -> None:
    config = project(f"source: '{url}'\nledger: '{url}'")

    assert config.source == config.ledger == resolved.format(here=directory)


def test_a_directory_or_a_file_of_any_name(write: Write, directory: Path) -> None:
    write("contraflow.yaml", "source: a://b")
    write("other.yml", "source: c://d")

    assert load_project(directory, environ={}).source == "a://b"
    assert load_project("other.yml", environ={}).source == "c://d"


def test_a_missing_project_file(write: Write, directory: Path) -> None:
    write("contraflow.yml", "")

    for path in (directory, directory / "contraflow.yaml"):
        with pytest.raises(ConfigError, match=r"(?s)no project file.*did you mean 'contraflow.yml'"):
            load_project(path)
    with pytest.raises(ConfigError, match="contraflow init"):
        load_project(directory / "nowhere" / "at-all")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ledgr: x", ["contraflow.yaml:1 (ledgr)", "knows no key 'ledgr'", "did you mean 'ledger'?"]),
        ("source: [a]", ["'source' must be a SQLAlchemy URL", "found: a list of 1"]),
        ("source: shop.db", ["'source' must be the URL of a database", "found: no URL", "sqlite:///shop.db"]),
        ("entities: [a]", ["'entities' must be a mapping", "found: a list of 1"]),
        ("entities: {a: b}", ["found: text 'b'", "a mapped class as 'module:Class'", "a: {table: b}"]),
        ("entities: {a: 'b.c:'}", ["must name a mapped class or a table"]),
        ("entities: {a: {}}", ["the entity 'a' needs 'class' or 'table'"]),
        ("entities: {a: {tabel: b}}", ["knows no key 'tabel'", "did you mean 'table'?"]),
        ("entities: {a: {class: b:C, key: d}}", ["'key' does not go with 'class'"]),
        ("entities: {a: {table: b, key: {c: d}}}", ["'key' must be text or a list of texts", "found: a mapping"]),
        ("integrations: {a: b}", ["the integration 'a' must be a mapping"]),
        ("integrations: {a: {}}", ["the integration 'a' needs 'connector'", "the name of a connector"]),
        ("integrations: {a: {connector: ''}}", ["'connector' must be the name", "found: an empty text"]),
        ("integrations: {a: {connector: b, setings: {}}}", ["did you mean 'settings'?"]),
        ("integrations: {a: {connector: b, settings: c}}", ["'settings' must be a mapping", "found: text"]),
        ("integrations: {a: {connector: b, enabled: maybe}}", ["'enabled' must be true or false", "text 'maybe'"]),
        ("integrations: {a: {connector: b, enabled: 1}}", ["'enabled' must be true or false", "a number '1'"]),
        ("services: {a: [b]}", ["'a' must be the name of a plugin", "found: a list of 1"]),
        ("classes: x", ["'classes' must be a mapping"]),
        ("disable_plugins: [{a: b}]", ["(disable_plugins[0])", "found: a mapping"]),
        ("jobs: [nowhere/*.yml]", ["'nowhere/*.yml' matches no file"]),
        ("jobs: batch_jobs.yaml", ["'batch_jobs.yaml' does not exist", "did you mean 'batch_jobs.yml'?"]),
        ("jobs: more", ["'more' is a directory", "more/*.yml"]),
        ("jobs: 'a\\nb'", ["does not exist"]),
        ("jobs: " + "x" * 5000, ["does not exist"]),
        ("source: ${NOWHERE}", ["contraflow.yaml:1 (source)", "the environment variable NOWHERE is not set"]),
    ],
)
def test_what_cannot_be_honoured_is_said_once(
    project_problems: ProjectProblems, write: Write, text: str, said: list[str]
) -> None:
    write("batch_jobs.yml", "")
    write("more/a.yml", "")
    found = project_problems(text)

    for part in said:
        assert part in str(ConfigError(*found))
    assert len({problem.location for problem in found}) == len(found)


def test_all_problems_come_at_once_in_the_order_of_the_file(project_problems: ProjectProblems) -> None:
    found = project_problems(
        """\
        source: ${A}
        entities: {a: b}
        integrations:
          c:
            connector: ${B}
            enabled: 3
        jobs: nowhere.yml
        whatever: 1
        """
    )

    assert [problem.location.line for problem in found] == [1, 2, 5, 6, 7, 8]


def test_no_message_shows_a_value_from_the_environment(project_problems: ProjectProblems) -> None:
    found = project_problems(
        """
        source: ${MARK}
        entities: {a: "${MARK}"}
        integrations: {b: {connector: c, enabled: "${MARK}", settings: "${MARK}"}, d: "${MARK}"}
        jobs: ${MARK}
        services: ${MARK}
        """,
        MARK="s3cret-marker",
    )

    assert len(found) == 7
    assert "s3cret-marker" not in str(ConfigError(*found))


@pytest.mark.parametrize(("value", "enabled"), [("true", True), ("False", False), ("", True)])
def test_a_variable_may_switch_an_integration(project: LoadProject, value: str, enabled: bool) -> None:
    config = project('integrations: {a: {connector: b, enabled: "${ON:-true}"}}', ON=value)

    assert config.integrations["a"].enabled is enabled


def test_project_and_job_files_report_together(write: Write, directory: Path) -> None:
    write("contraflow.yaml", "ledgr: x\njobs: [a.yml, b.yml]\n")
    write("a.yml", "job: {stepz: {}}\n")
    write("b.yml", "a: [\n")

    with pytest.raises(ConfigError) as raised:
        load_configuration(directory, environ={})
    assert [problem.location.file for problem in raised.value.problems] == ["contraflow.yaml", "a.yml", "b.yml"]


def test_project_and_job_files_load_together(write: Write, directory: Path) -> None:
    write("contraflow.yaml", "jobs: [a.yml]\n")
    write("a.yml", "customers_export: {type: export}\n")

    configuration = load_configuration(directory, environ={})

    assert configuration.project.jobs == (directory / "a.yml",)
    assert list(configuration.jobs) == ["customers_export"]


def test_values_compare(project: LoadProject) -> None:
    assert project("entities: {a: b:C}").entities["a"] == EntityConfig(
        name="a", mapped="b:C", location=project("entities: {a: b:C}").locations["entities.a"]
    )
