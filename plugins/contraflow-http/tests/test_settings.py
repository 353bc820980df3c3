"""The settings are checked before anything is sent, and say what they are able to do."""

from __future__ import annotations

import attrs
import pytest
from cattrs import transform_error
from cattrs.errors import BaseValidationError

from contraflow_hookspecs import Idempotency, SystemicError
from contraflow_http import describe_parameters, provide_export_job
from contraflow_http.connector import choose_endpoint

URL = "url: https://crm.example\n"
ONE = URL + 'endpoints: {c: {upsert: {path: "/c/{key}"}}}\n'


def trouble(error: BaseException) -> str:
    """What a person would read: every message within."""
    return "\n".join([*transform_error(error), *(str(each) for each in _leaves(error))])


def _leaves(error):
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)] if hasattr(error, "exceptions") else [error]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ONE + "urls: x", "urls"),
        (ONE.replace("https:", "ftp:"), "url: expected https://host"),
        (ONE.replace("crm.example", "ana:hunter2@crm.example"), "url holds a user name or password"),
        (ONE.replace("crm.example", "crm.example:99999"), "url is no URL"),
        (ONE.replace("crm.example", "crm.example/?a=hunter2"), "url: expected no query"),
        (URL + "endpoints: {}", "endpoints"),
        (URL + "endpoints: {c: {}}", "expected create, update, upsert, delete, or a batch"),
        (ONE + "timeout: 0", "timeout"),
        (ONE + "request_lifetime: 29.5", "request_lifetime: found 29.5, expected at least timeout (30)"),
        (ONE + "request_lifetime: -1", "request_lifetime"),
        (ONE + "request_lifetime: .nan", "request_lifetime"),
        (ONE + "request_lifetime: .inf", "request_lifetime"),
        (ONE + "auth: {}", "expected exactly one of bearer, basic, header, oauth2; found none"),
        (ONE + "auth: {bearer: hunter2, header: {name: X, value: hunter2}}", "found bearer and header"),
        (ONE + 'auth: {bearer: "hunter2\\nX: y"}', "bearer holds a line break"),
        (ONE + 'auth: {bearer: ""}', "bearer is empty"),
        (ONE + 'headers: {X: "hunter2\\r"}', "headers holds a line break"),
        (ONE + 'headers: {"X Y": a}', "'X Y' is no header name"),
        (ONE + 'idempotency_header: "A:"', "'A:' is no header name"),
        (ONE + "batch: {path: /b, form: records}", "belongs to an endpoint"),
        (ONE + "batch: {path: /b, match: x}", "match need form: records"),
        (ONE + "batch: {path: /b, per_item: false}", "per_item: false needs form: records"),
        (ONE + 'batch: {path: "/b/{key}"}', "one request serves many"),
        (ONE + "batch: {path: /b, size: 0}", "size"),
        (URL + "endpoints: {c: {batch: {path: /b, form: records, match: x}}}", "match needs key_field"),
        (URL + "endpoints: {c: {batch: {path: /b, form: records, extra: {a: 1}}}}", "extra needs list"),
        (URL + "endpoints: {c: {batch: {path: /b, form: records, id_field: i}}}", "id must say where"),
        (URL + "endpoints: {c: {upsert: {path: /c}, create: {path: /c}}}", "instead of create and update"),
        (URL + 'endpoints: {c: {upsert: {path: "/c/{remote_id}"}}}', "which nobody knows yet"),
        (URL + 'endpoints: {c: {delete: {path: "/c/{remote_id}"}}}', "id must say where"),
        (URL + "endpoints: {c: {create: {path: /c}, if_match: true}}", "if_match needs version"),
        (URL + "endpoints: {c: {create: {path: /c}, id: data..id}}", "'data..id' is no place"),
        (URL + 'endpoints: {c: {create: {path: /c}, version: "header:"}}', "names no header"),
        (URL + "endpoints: {c: {create: {path: /c, method: GET}}}", "GET"),
        (URL + "endpoints: {c: {create: {path: /c, only_changed: true}}}", "create: only_changed belongs to update"),
        (URL + 'endpoints: {c: {upsert: {path: "/{key}", only_changed: true}}}', "upsert: only_changed belongs to"),
        (URL + 'endpoints: {c: {update: {path: "/{key}", only_changed: true}}}', "only_changed needs method: PATCH"),
        (URL + "endpoints: {c: {create: {path: /c}, statuses: {409: fine}}}", "fine"),
    ],
)
def test_a_mistake_is_named_and_no_secret_shown(structure, text, said):
    with pytest.raises(BaseValidationError) as caught:
        structure(text)
    assert said in trouble(caught.value)
    assert "hunter2" not in trouble(caught.value)


UPSERT = 'upsert: {path: "/c/{key}"}'
PAIR = 'create: {path: /c}, update: {path: "/c/{key}"}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"c: {{{UPSERT}}}", Idempotency.UPSERT),
        (f"c: {{{UPSERT}, version: header:ETag, if_match: true}}", Idempotency.VERSIONED),
        (f"c: {{{PAIR}}}", Idempotency.NONE),
        (f"c: {{{UPSERT}}}, d: {{{PAIR}}}", Idempotency.NONE),
        ("c: {batch: {path: /b, form: records, upsert: true}}", Idempotency.UPSERT),
        ("c: {batch: {path: /b, form: records}}", Idempotency.NONE),
    ],
)
def test_what_a_second_sending_does_follows_from_the_routes(structure, text, expected):
    assert _capabilities(structure(f"{URL}endpoints: {{{text}}}")).idempotency is expected


def test_an_idempotency_header_reaches_all_but_records(structure):
    text = f"{URL}idempotency_header: Key\nendpoints: {{c: {{{PAIR}}}%s}}"
    assert _capabilities(structure(text % "")).idempotency is Idempotency.KEY
    records = ", d: {batch: {path: /b, form: records, upsert: true}}"
    assert _capabilities(structure(text % records)).idempotency is Idempotency.UPSERT


def test_every_endpoint_must_be_able_to(structure):
    delete = 'delete: {path: "/c/{key}"}, read: {path: "/c/{key}"}'
    able = _capabilities(structure(f"{URL}timeout: 10\nendpoints: {{c: {{{PAIR}, {delete}}}}}"))
    assert (able.upsert, able.delete, able.confirm, able.max_batch, able.request_lifetime) == (
        True,
        True,
        True,
        None,
        25,
    )
    text = f"{URL}batch: {{path: /b, size: 40}}\nendpoints: {{c: {{{PAIR}, {delete}}}, d: {{create: {{path: /d}}}}}}"
    unable = _capabilities(structure(text))
    assert (unable.upsert, unable.delete, unable.confirm, unable.max_batch) == (False, False, False, 40)


def test_the_life_of_a_request_can_be_said(structure):
    said = ONE + "timeout: 0.5\nrequest_lifetime: %s"
    assert [_capabilities(structure(said % seconds)).request_lifetime for seconds in (0.5, 120)] == [0.5, 120]


def _capabilities(settings):
    return provide_export_job().capabilities(settings)


THREE = "endpoints: {customers: {create: {path: /a}}, tracks: {create: {path: /b}}, invoices: {create: {path: /c}}}"


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({}, "/a"),
        ({"entity": "tracks"}, "/b"),
        ({"entity": "tracks", "endpoint": "invoices"}, "/c"),
        ({"entity": "other"}, "/a"),
    ],
)
def test_a_step_finds_its_endpoint(connect, parameters, path):
    assert choose_endpoint(connect(THREE, parameters=parameters)).create.path == path


def test_the_only_endpoint_serves_every_step(connect):
    assert choose_endpoint(connect("endpoints: {any: {create: {path: /a}}}")).create.path == "/a"


@pytest.mark.parametrize(
    ("text", "parameters", "said"),
    [
        (THREE, {"endpoint": "track"}, "no endpoint 'track'; did you mean 'tracks'?"),
        (THREE.replace("customers", "people"), {}, "one of people, tracks, invoices"),
    ],
)
def test_a_step_without_an_endpoint_is_refused(connect, text, parameters, said):
    with pytest.raises(SystemicError) as caught:
        choose_endpoint(connect(text, parameters=parameters))
    assert said in str(caught.value)


def test_the_step_parameter_is_described():
    assert list(describe_parameters(parameters={})) == ["endpoint"]


def test_a_stage_of_http_in_an_integration_of_another_connector_is_refused(connect):
    context = attrs.evolve(connect(THREE), settings=object())
    with pytest.raises(SystemicError, match="need an integration of the connector http; integration 'crm' has another"):
        choose_endpoint(context)
