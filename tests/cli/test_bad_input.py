"""What a user can write wrongly into the files of a project.

Each gets one clear message and a non-zero exit, and leaves remote and ledger as they were. Every case breaks a project that
has run once, so that there is a remote and a ledger to be left alone, and that has something to write.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Refused = Callable[..., str]
Tells = Callable[[str, str], None]

TEN_MEGABYTES = "# " + "x" * (10 * 1024 * 1024) + "\n"


def edit(file: str, old: str, new: str) -> Callable[[Any], None]:
    return lambda project: project.replace(file, old, new)


YAML: dict[str, tuple[str | bytes, str]] = {
    "tab": (
        "source: a\n\tledger: b\n",
        """
        contraflow.yaml:2: not valid YAML: a tab where YAML takes only blanks
        indent with blanks
    """,
    ),
    "duplicate key": (
        "ledger: sqlite:///a.db\nledger: sqlite:///b.db\n",
        """
        contraflow.yaml:2 (ledger): the key 'ledger' is written twice
        first on line 1, again on line 2
    """,
    ),
    "anchor": (
        "entities: &all {}\n",
        """
        contraflow.yaml:1 (entities): anchors are not allowed
    """,
    ),
    "alias": (
        "source: a\nledger: *source\n",
        """
        contraflow.yaml:2 (ledger): aliases are not allowed
        quote a text that begins with '*'
    """,
    ),
    "merge key": (
        "a: {}\n<<: {}\n",
        """
        contraflow.yaml:2 (<<): merge keys are not allowed
        write the values out
    """,
    ),
    "tag": (
        "source: !!python/object/apply:os.system [true]\n",
        """
        contraflow.yaml:1 (source): tags are not allowed
    """,
    ),
    "list": (
        "- a\n- b\n",
        """
        contraflow.yaml:1: the file must hold a mapping
        found: a list of 2
        expected: names with values
    """,
    ),
    "text": (
        "just words\n",
        """
        contraflow.yaml:1: the file must hold a mapping
        found: one text
    """,
    ),
    "quote": (
        "source: 'a\n",
        """
        contraflow.yaml:2: not valid YAML: a quoted text is not closed
    """,
    ),
    "bracket": (
        "source: [a\n",
        """
        not valid YAML: a list in [ ] is not closed
    """,
    ),
    "two documents": (
        "source: a\n---\nledger: b\n",
        """
        contraflow.yaml:2: several documents in one file
    """,
    ),
    "not UTF-8": (
        b"source: \xff\n",
        """
        contraflow.yaml:1:
        UTF-8
    """,
    ),
    "NUL": (
        "source: a\x00b\n",
        """
        contraflow.yaml:1: a character that a configuration file must not hold
    """,
    ),
    "10 MB": (
        TEN_MEGABYTES,
        """
        contraflow.yaml: the file is too large
        expected: at most 1 MiB
    """,
    ),
    "depth 1000": (
        "a: " + "[" * 1000 + "]" * 1000 + "\n",
        """
        contraflow.yaml:1: the file nests too deeply
        at most 64 levels
    """,
    ),
    "depth 1000 by lines": (
        "".join(f"{' ' * level}k:\n" for level in range(1000)),
        """
        the file nests too deeply
    """,
    ),
}


@pytest.mark.parametrize(
    ("file", "case"),
    [
        *(("contraflow.yaml", case) for case in YAML),
        *(("jobs.yml", case) for case in ("tab", "duplicate key", "alias", "tag", "list", "10 MB", "depth 1000")),
    ],
)
def test_broken_or_hostile_yaml(exported: Any, refused: Refused, tells: Tells, file: str, case: str) -> None:
    text, said = YAML[case]
    exported.write(file, text)
    message = refused("sync", "acme")
    tells(message, said.replace("contraflow.yaml", file))
    assert len(message) < 1000


NAMES: dict[str, tuple[Callable[[Any], None], str]] = {
    "key of the project file": (
        edit("contraflow.yaml", "entities:", "entitys:"),
        """
        contraflow.yaml:3 (entitys): the project file knows no key 'entitys'
        expected: one of source, ledger, entities,
        did you mean 'entities'?
    """,
    ),
    "key of an integration": (
        edit("contraflow.yaml", "settings:", "setings:"),
        """
        contraflow.yaml:10 (integrations.acme.setings): the integration 'acme' knows no key 'setings'
        did you mean 'settings'?
    """,
    ),
    "key of an entity": (
        edit("contraflow.yaml", "{table: customer}", "{tabel: customer}"),
        """
        contraflow.yaml:4 (entities.customer.tabel):
        did you mean 'table'?
    """,
    ),
    "key of a job": (
        edit("jobs.yml", "    title:", "    titel:"),
        """
        jobs.yml:2 (crm_export.titel): the job 'crm_export' knows no key 'titel'
        did you mean 'title'?
    """,
    ),
    "key of a step": (
        edit("jobs.yml", "        lines:\n", "        lines:\n            clas: item\n"),
        """
        jobs.yml:8 (crm_export.steps.lines.clas): a step knows no key 'clas'
        did you mean 'class'?
    """,
    ),
    "plugin of a stage": (
        edit(
            "jobs.yml",
            "processor: crm, writer: crm}\n            parameters: {entity: customer}",
            "processor: crmm, writer: crm}\n            parameters: {entity: customer}",
        ),
        """
        jobs.yml:5 (crm_export.steps.customers.services.processor): step 'customers': processor 'crmm' is not provided
        found: no plugin of that name
        did you mean 'crm'?
        looked for an entry point 'crmm' in the group 'contraflow'
    """,
    ),
    "connector": (
        edit("contraflow.yaml", "connector: crm", "connector: crn"),
        """
        contraflow.yaml:8 (integrations.acme): integration 'acme': connector 'crn' is not provided
        found: no plugin of that name
        did you mean 'crm'?
    """,
    ),
    "module of a plugin": (
        edit("contraflow.yaml", "{crm: crm}", "{crm: crmm}"),
        """
        connector 'crm' is not provided
        found: a plugin of contraflow.yaml, plugins that cannot be used
        cannot be imported from 'crmm': ModuleNotFoundError: No module named 'crmm'
    """,
    ),
    "entity": (
        edit("jobs.yml", "entity: customer", "entity: custommer"),
        """
        jobs.yml:6 (crm_export.steps.customers.parameters.entity): step 'customers': unknown entity 'custommer'
        expected: customer, line
        did you mean 'customer'?
    """,
    ),
    "table": (
        edit("contraflow.yaml", "{table: customer}", "{table: custommer}"),
        """
        contraflow.yaml:4 (entities.customer):
        the source database has no table 'custommer'
        did you mean 'customer'?
    """,
    ),
    "column": (
        edit("contraflow.yaml", "{table: customer}", "{table: customer, key: [idd]}"),
        """
        contraflow.yaml:4 (entities.customer):
        entity 'customer' has no column 'idd' for its key
        did you mean 'id'?
    """,
    ),
    "module of a mapped class": (
        edit("contraflow.yaml", "{table: customer}", "shop_models:Customer"),
        """
        contraflow.yaml:4 (entities.customer):
        module 'shop_models' cannot be imported
    """,
    ),
    "step type": (
        edit("jobs.yml", "        lines:\n", "        lines:\n            class: itme\n"),
        """
        jobs.yml:7 (crm_export.steps.lines): step 'lines': class 'itme' is not provided
        did you mean 'item'?
    """,
    ),
    "parameter": (
        edit("jobs.yml", "entity: line}", "entity: line, batchsize: 5}"),
        """
        jobs.yml:9 (crm_export.steps.lines.parameters.batchsize): step 'lines' does not understand the parameter 'batchsize'
        did you mean 'batch_size'?
    """,
    ),
    "parameter of the wrong type": (
        edit("jobs.yml", "entity: line}", "entity: line, batch_size: many}"),
        """
        jobs.yml:9 (crm_export.steps.lines.parameters.batch_size): parameter 'batch_size'
        found: 'many'
        expected: a whole number from 1 on
    """,
    ),
    "job file": (
        edit("contraflow.yaml", "jobs: [jobs.yml]", "jobs: [job.yml]"),
        """
        contraflow.yaml:11 (jobs[0]):
        did you mean 'jobs.yml'?
    """,
    ),
    "job": (
        edit("jobs.yml", "crm_export:", "crm_exprt:"),
        """
        contraflow.yaml:8 (integrations.acme): integration 'acme': there is no job 'crm_export'
        did you mean 'crm_exprt'?
    """,
    ),
    "service": (
        edit(
            "jobs.yml",
            "writer: crm}\n            parameters: {entity: line}",
            "wirter: crm}\n            parameters: {entity: line}",
        ),
        """
        jobs.yml:8 (crm_export.steps.lines.services.wirter): step 'lines': an item step has no service 'wirter'
        did you mean 'writer'?
    """,
    ),
    "setting": (
        edit("contraflow.yaml", "{path: remote.json}", "{path: remote.json, tokn: a}"),
        """
        contraflow.yaml:10 (integrations.acme.settings.tokn): unknown setting 'tokn'
        expected: path, token, retries, region
        did you mean 'token'?
    """,
    ),
    "setting missing": (
        edit("contraflow.yaml", "{path: remote.json}", "{retries: 3}"),
        """
        contraflow.yaml:10 (integrations.acme.settings): the setting 'path' is missing
        expected: text
    """,
    ),
    "settings missing": (
        edit("contraflow.yaml", "    settings: {path: remote.json}\n", ""),
        """
        contraflow.yaml:8 (integrations.acme): the setting 'path' is missing
    """,
    ),
    "setting of the wrong type": (
        edit("contraflow.yaml", "{path: remote.json}", "{path: remote.json, retries: often}"),
        """
        contraflow.yaml:10 (integrations.acme.settings.retries): the setting 'retries' is not valid
        found: text
        expected: a whole number
    """,
    ),
    "setting that is a list": (
        edit("contraflow.yaml", "{path: remote.json}", "{path: [remote.json]}"),
        """
        contraflow.yaml:10 (integrations.acme.settings.path): the setting 'path' is not valid
        found: a list
        expected: text
    """,
    ),
    "setting out of range": (
        edit("contraflow.yaml", "{path: remote.json}", "{path: remote.json, region: eus}"),
        """
        contraflow.yaml:10 (integrations.acme.settings.region): the setting 'region' is not valid
        'region' must be in ['eu', 'us'] (got 'eus')
    """,
    ),
    "environment variable": (
        edit("contraflow.yaml", "{path: remote.json}", "{path: '${CRM_PATHH}'}"),
        """
        contraflow.yaml:10 (integrations.acme.settings.path): the environment variable CRM_PATHH is not set
        did you mean 'CRM_PATH'?
    """,
    ),
    "environment variable of the source": (
        edit("contraflow.yaml", "source: sqlite:///shop.db", "source: ${SHOP_DATABASE}"),
        """
        contraflow.yaml:1 (source): the environment variable SHOP_DATABASE is not set
        set it, or write ${SHOP_DATABASE:-default}
    """,
    ),
    "reference to the environment": (
        edit("contraflow.yaml", "{path: remote.json}", "{path: '${CRM PATH}'}"),
        """
        contraflow.yaml:10 (integrations.acme.settings.path): a reference to an environment variable cannot be read
        expected: ${NAME} or ${NAME:-default}
    """,
    ),
    "disabled integration": (
        edit("contraflow.yaml", "connector: crm\n", "connector: crm\n    enabled: false\n"),
        """
        contraflow.yaml:8 (integrations.acme): integration 'acme' is disabled
        found: enabled: false
        expected: enabled: true
    """,
    ),
    "neither enabled nor disabled": (
        edit("contraflow.yaml", "connector: crm\n", "connector: crm\n    enabled: perhaps\n"),
        """
        contraflow.yaml:10 (integrations.acme.enabled): 'enabled' must be true or false
        found: text 'perhaps'
    """,
    ),
    "table without primary key": (
        edit("contraflow.yaml", "{table: customer}", "{table: memo}"),
        """
        contraflow.yaml:4 (entities.customer):
        table 'memo' has no primary key
        key: [column, ...]
    """,
    ),
    "source that is no URL": (
        edit("contraflow.yaml", "sqlite:///shop.db", "shop.db"),
        """
        contraflow.yaml:1 (source): 'source' must be the URL of a database
        expected: a SQLAlchemy URL, such as sqlite:///shop.db
    """,
    ),
    "kind of database": (
        edit("contraflow.yaml", "sqlite:///shop.db", "postgre://localhost/shop"),
        """
        unknown kind of database 'postgre'
        did you mean 'postgres'?
    """,
    ),
}


@pytest.mark.parametrize("case", NAMES)
def test_what_a_project_cannot_mean(exported: Any, refused: Refused, tells: Tells, case: str) -> None:
    spoil, said = NAMES[case]
    spoil(exported)
    tells(refused("sync", "acme", CRM_PATH="remote.json"), said)


@pytest.mark.parametrize("case", NAMES.keys() - {"disabled integration"})
def test_check_finds_it_too(project: Any, tells: Tells, case: str) -> None:
    spoil, said = NAMES[case]
    spoil(project)
    result = project.run("check", CRM_PATH="remote.json")
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    tells(result.output, said)
    assert set(project.state().values()) == {None}


def test_a_disabled_integration_can_still_be_checked(project: Any) -> None:
    NAMES["disabled integration"][0](project)
    result = project.run("check")
    assert result.exit_code == 0
    assert "integration acme, job crm_export: 2 steps, disabled" in result.stdout


def test_all_problems_of_all_files_are_told_at_once(exported: Any) -> None:
    exported.replace("contraflow.yaml", "entities:", "entitys:")
    exported.replace("contraflow.yaml", "{path: remote.json}", "{path: '${CRM_PATH}'}")
    exported.replace("jobs.yml", "    title:", "    titel:")
    result = exported.run("sync", "acme", "--json")
    problems = json.loads(result.stdout)["problems"]
    assert [(each["file"], each["line"], each["path"]) for each in problems] == [
        ("contraflow.yaml", 3, "entitys"),
        ("contraflow.yaml", 10, "integrations.acme.settings.path"),
        ("jobs.yml", 2, "crm_export.titel"),
    ]


def test_there_is_no_project(project: Any) -> None:
    (project.directory / "contraflow.yaml").rename(project.directory / "contraflow.yml")
    result = project.run("check")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: .: there is no project file here")
    assert "expected: a file contraflow.yaml" in result.stderr
    assert "did you mean 'contraflow.yml'?" in result.stderr
    assert "there is no project file here" in project.run("-C", "elsewhere", "sync", "acme").stderr


def test_a_project_that_never_ran_gets_no_ledger_by_a_refused_run(refused: Refused, project: Any) -> None:
    project.replace("jobs.yml", "entity: line", "entity: lnie")
    refused("sync", "acme")
    assert project.state() == {"remote.json": None, "ledger.db": None, "ledger.db-journal": None}
