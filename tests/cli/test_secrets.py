"""A secret never appears: in no output, no JSON, no log line, no traceback, and no byte of the ledger.

The connector here is as careless as can be: it puts its token into everything that it raises, answers and logs. The token
has characters that JSON, URLs and ``repr`` write in ways of their own; what is looked for is its plain beginning.
"""

from __future__ import annotations

import os
import secrets as random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

MARKER = "Mark3r"
TOKEN = f"{MARKER}/ä \"'\\\n&x"
LITERAL = f'"{MARKER}/lit\\"eral&x"'
"""As YAML writes it."""

# How the settings come by the token.
SOURCES = {
    "from the environment": "{path: remote.json, token: '${CRM_TOKEN}'}",
    "within a longer text": "{path: remote.json, token: 'Bearer ${CRM_TOKEN}'}",
    "written literally": f"{{path: remote.json, token: {LITERAL}}}",
}

# Each hook runs in a project whose token it knows.
HOOKS = {
    "configure_job": "def configure_job(job, parameters):\n    raise SystemicError(WORST)",
    "describe_parameters": "def describe_parameters(parameters):\n    raise RuntimeError(WORST)",
    "provide_export_job": "def provide_export_job():\n    raise RuntimeError(WORST)",
    "capabilities": """
def provide_export_job():
    def capabilities(settings):
        raise RuntimeError(worst(settings))
    return ExportJob(name="crm_export", settings=Settings, capabilities=capabilities)
""",
    "check_step": "def check_step(context):\n    raise RuntimeError(worst(context.settings))",
    "check_step objects": "def check_step(context):\n    return [worst(context.settings)]",
    "check_connection": "def check_connection(context):\n    raise RuntimeError(worst(context.settings))",
    "check_connection answers": "def check_connection(context):\n    return worst(context.settings)",
    "open_resources": """
def provide_export_job():
    @contextmanager
    def connection(settings):
        raise RuntimeError(worst(settings))
        yield
    return ExportJob(name="crm_export", settings=Settings, open_resources=connection)
""",
    "closing the resources": """
def provide_export_job():
    @contextmanager
    def connection(settings):
        yield
        raise RuntimeError(worst(settings))
    return ExportJob(name="crm_export", settings=Settings, open_resources=connection)
""",
    "process_item": "def process_item(item, context):\n    raise RuntimeError(worst(context.settings))",
    "process_item, ItemError": "def process_item(item, context):\n    raise ItemError(worst(context.settings), code='bad')",
    "process_item, SystemicError": "def process_item(item, context):\n    raise SystemicError(worst(context.settings))",
    "write_items": "def write_items(items, context):\n    raise RuntimeError(worst(context.settings))",
    "write_items, chained": """
def write_items(items, context):
    try:
        raise KeyError(worst(context.settings))
    except KeyError as error:
        raise OSError(5, worst(context.settings)) from error
""",
    "write_items, TransientError": "def write_items(items, context):\n    raise TransientError(worst(context.settings))",
    "write_items, PermanentError": "def write_items(items, context):\n    raise PermanentError(worst(context.settings))",
    "write_items, SystemicError": "def write_items(items, context):\n    raise SystemicError(worst(context.settings))",
    "Rejected": """
def write_items(items, context):
    return [Rejected(key=each.key, code=worst(context.settings), reason=worst(context.settings)) for each in items]
""",
    "Deferred": """
def write_items(items, context):
    return [Deferred(key=each.key, reason=worst(context.settings)) for each in items]
""",
    "Unknown": """
def write_items(items, context):
    return [Unknown(key=each.key, reason=worst(context.settings)) for each in items]
""",
    "an observer": "def step_finished(execution):\n    raise RuntimeError(WORST)",
    "the log": """
def process_item(item, context):
    context.logger.error("%s", worst(context.settings))
    logging.getLogger("a_library").warning("%r", {"token": context.settings.token})
    return dict(item.data)
""",
}
EARLIEST = ("capabilities", "check_step", "check_connection", "open_resources", "process_item")
"""The first in each command that get the settings: by then the program must know what is secret among them."""

PREFACE = '''
import json, logging, os
from urllib.parse import quote, quote_plus

def worst(settings):
    """The token in every notation that a careless author may use."""
    token = settings.token
    return " | ".join([token, repr(token), json.dumps({"t": token}), quote(token), quote(token, safe=""), quote_plus(token)])

class _Env:
    token = os.environ.get("CRM_TOKEN", "")
WORST = worst(_Env)
'''

COMMANDS = [
    ["check", "--connect"],
    ["--debug", "sync", "acme"],
    ["sync", "acme", "--json"],
    ["--debug", "dead-letters", "retry"],
    ["status"],
    ["jobs", "--json"],
]
"""What the other commands say stands in the ledger, of which every byte is looked at."""
BEFORE_A_RUN = [["check"], ["--debug", "sync", "acme"], ["sync", "acme", "--json"]]


def everything_said(project: Any, commands: list[list[str]] = COMMANDS, **environment: str) -> str:
    """Run these commands; all that they print, and the ledger."""
    said = []
    for command in commands:
        result = project.run(*command, CONTRAFLOW_LOG="DEBUG", **environment)
        said += [result.stdout, result.stderr]
        assert not isinstance(result.exception, Exception), result.exception
    for name in ("ledger.db", "ledger.db-journal"):
        if (project.directory / name).exists():
            said.append((project.directory / name).read_bytes().decode("latin-1"))
    return "\n".join(said)


@pytest.mark.parametrize(
    ("source", "hook"),
    [
        *(("from the environment", hook) for hook in HOOKS),
        *(("written literally", hook) for hook in EARLIEST),
        ("within a longer text", "process_item"),
    ],
)
def test_a_careless_connector_gives_nothing_away(project: Any, source: str, hook: str) -> None:
    project.replace("contraflow.yaml", "{path: remote.json}", SOURCES[source])
    project.connector(PREFACE, f"@hookimpl\n{HOOKS[hook].strip()}")
    said = everything_said(project, CRM_TOKEN=TOKEN)
    assert MARKER not in said
    assert "***" in said, "the hook was called, and what it said was masked"


@pytest.mark.parametrize("file", ["crm.py", "shop_models.py"])
def test_a_module_that_fails_at_import(project: Any, file: str) -> None:
    project.replace("contraflow.yaml", "{path: remote.json}", SOURCES["from the environment"])
    project.replace("contraflow.yaml", "{table: order_line}", "shop_models:Line")
    project.write("shop_models.py", "class Line: pass")
    project.write(file, "import os\nraise RuntimeError(os.environ['CRM_TOKEN'])")
    said = everything_said(project, [*BEFORE_A_RUN, ["plugins"], ["plugins", "--json"]], CRM_TOKEN=TOKEN)
    assert MARKER not in said
    assert "RuntimeError: ***" in said


@pytest.mark.parametrize(
    "settings",
    [
        "{path: remote.json, tokn: '${CRM_TOKEN}'}",
        "{path: remote.json, token: ['${CRM_TOKEN}']}",
        "{path: remote.json, retries: '${CRM_TOKEN}'}",
        "{path: remote.json, region: '${CRM_TOKEN}'}",
        f"{{path: remote.json, token: {LITERAL}, retries: often}}",
        f"{{path: remote.json, token: {{a: {LITERAL}}}}}",
        f"{{path: remote.json, pin: {LITERAL}}}",
        f"{{path: remote.json, inner: {{pin: {LITERAL}}}}}",
        f"{{path: remote.json, others: [{{pin: {LITERAL}}}]}}",
        "{path: remote.json, region: *Mark3r}",
        '{path: remote.json, token: "Mark3r}',
    ],
)
def test_settings_that_are_not_valid(project: Any, settings: str) -> None:
    project.replace("contraflow.yaml", "{path: remote.json}", settings)
    project.connector(
        """
        @attrs.frozen
        class Inner:
            pin: str = attrs.field(default="", metadata={"secret": True}, validator=attrs.validators.matches_re(r"[0-9]*"))

        @attrs.frozen
        class Settings(Settings):
            pin: str = attrs.field(default="", metadata={"secret": True}, validator=attrs.validators.matches_re(r"[0-9]*"))
            inner: Inner | None = None
            others: list[Inner] = attrs.field(factory=list)
        """
    )
    said = everything_said(project, BEFORE_A_RUN, CRM_TOKEN=TOKEN)
    assert MARKER not in said
    assert '"path": "integrations.acme.settings' in said or "not valid YAML" in said
    assert '"exit": 2' in said


@pytest.mark.parametrize("key", ["source", "ledger"])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana:${CRM_TOKEN}@127.0.0.1:1/shop",
        "postgresql://ana@127.0.0.1:1/shop?password=${CRM_TOKEN}",
        f"postgresql://ana:{MARKER}@127.0.0.1:1/shop",
        f"postgresql://ana:{MARKER}@127.0.0.1:1/shop?application_name={MARKER}",
        f"mysql://ana:{MARKER}@127.0.0.1:1/shop",
        f"oddsql://ana:{MARKER}@127.0.0.1:1/shop",
        f"postgresql://ana:{MARKER}@127.0.0.1:port/shop",
        f"postgresql//ana:{MARKER}@127.0.0.1/shop",
        "${CRM_TOKEN}",
    ],
)
def test_the_password_of_a_database(project: Any, key: str, url: str) -> None:
    old = "sqlite:///shop.db" if key == "source" else "sqlite:///ledger.db"
    project.replace("contraflow.yaml", f"{key}: {old}", f'{key}: "{url}"')
    said = everything_said(project, BEFORE_A_RUN, CRM_TOKEN=quote(TOKEN, safe=""))
    assert MARKER not in said
    assert '"error": ' in said


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The URL of a schema of its own on a real server, with a password, which a server that trusts us does not mind."""
    url = make_url(
        os.environ.get("CONTRAFLOW_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
    )
    schema = f"contraflow_{random.token_hex(6)}"
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    except OperationalError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no PostgreSQL: {error.orig}")
    if url.password:
        pytest.skip("this server has a password of its own")
    own = url.set(drivername="postgresql", password=TOKEN).update_query_dict({"options": f"-csearch_path={schema}"})
    yield own.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")


def test_a_ledger_in_postgresql_holds_no_secret(project: Any, postgresql: str) -> None:
    project.replace("contraflow.yaml", "ledger: sqlite:///ledger.db", "ledger: ${LEDGER_URL}")
    project.replace("contraflow.yaml", "{path: remote.json}", "{path: remote.json, token: '${CRM_TOKEN}'}")
    project.connector(PREFACE, f"@hookimpl\n{HOOKS['process_item'].strip()}")
    said = everything_said(project, LEDGER_URL=postgresql, CRM_TOKEN=TOKEN)
    assert MARKER not in said
    assert "***" in said
    engine = create_engine(make_url(postgresql).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        rows = {name: connection.execute(text(f"SELECT * FROM {name}")).all() for name in tables}  # noqa: S608
    assert len(rows["cf_dead_letter"]) == 6
    assert MARKER not in str(rows)
    assert "***" in str(rows["cf_dead_letter"])
