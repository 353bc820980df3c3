from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from contraflow.config import JobDefinition, StepDefinition, load_jobs, parse_jobs
from contraflow.config.job_model import engine_parameter
from contraflow.errors import ConfigError, Problem

Jobs = Callable[..., dict[str, JobDefinition]]
JobProblems = Callable[..., tuple[Problem, ...]]

EXAMPLE = Path(__file__).parent / "data" / "ancestor_example.yml"


def only(jobs: dict[str, JobDefinition]) -> JobDefinition:
    (job,) = jobs.values()
    return job


def only_step(jobs: dict[str, JobDefinition]) -> StepDefinition:
    (step,) = only(jobs).steps
    return step


def test_the_ancestors_example_loads_verbatim() -> None:
    (job,) = load_jobs([EXAMPLE]).values()

    assert (job.name, job.title, job.type) == ("example_export", "Job title here", "export")
    (step,) = job.steps
    assert (step.key, step.title) == ("export_entity_1", "Step title here")
    assert step.step_class == r"Oro\Bundle\BatchBundle\Step\ItemStep"
    assert dict(step.services) == {
        "reader": "oro_integration.reader.entity.by_id",
        "processor": "YOUR_PROCESSOR",
        "writer": "YOUR_REVERSE_WRITER",
    }
    assert dict(step.parameters) == {}
    assert step.service_locations["writer"].line == 11
    assert (step.location.line, step.location.path) == (5, "example_export.steps.export_entity_1")


# Every shape below occurs in published job files; the content is invented.


def test_jobs_in_a_wrapper(jobs: Jobs) -> None:
    loaded = jobs(
        """
        connector:
            name: Shop Connector
            jobs:
                one: {title: One, type: export}
                two: {title: Two, type: export}
        other:
            jobs:
                three: {}
        """
    )

    assert list(loaded) == ["one", "two", "three"]
    assert loaded["one"].title == "One"


def test_a_wrapper_without_name(jobs: Jobs) -> None:
    assert list(jobs("connector:\n  jobs:\n    one: {type: export}")) == ["one"]


@pytest.mark.parametrize(
    "text",
    [
        "# nothing\n",
        "connector: ~",
        "connector: {name: x}",
        "acme: {name: x}",
        "connector: {name: x, jobs: ~}",
        "connector: {jobs: []}",
        "connector: {jobs: {}}",
        "connector:\n  name: x\n  jobs:\n#    one:\n#        type: export\n",
    ],
)
def test_files_without_jobs(jobs: Jobs, text: str) -> None:
    assert jobs(text) == {}


@pytest.mark.parametrize("steps", ["", "steps: ~", "steps: []", "steps: {}"])
def test_a_job_without_steps(jobs: Jobs, steps: str) -> None:
    assert only(jobs(f"one:\n    type: export\n    {steps}")).steps == ()


def test_a_job_or_step_with_nothing_in_it(jobs: Jobs) -> None:
    job = only(jobs("one:\n  steps:\n    first:\n"))

    assert (job.name, job.type, job.title) == ("one", "export", None)
    assert (job.steps[0].key, job.steps[0].title, job.steps[0].step_class) == ("first", None, None)
    assert not job.steps[0].services


@pytest.mark.parametrize("title", ["title:", "title: ~", "title: null", ""])
def test_titles_may_be_null(jobs: Jobs, title: str) -> None:
    job = only(jobs(f"one:\n  {title}\n  steps:\n    first:\n      {title}\n"))

    assert job.title is None
    assert job.steps[0].title is None


def test_jobs_and_steps_as_lists(jobs: Jobs) -> None:
    job = only(
        jobs(
            """
            connector:
                jobs:
                    -   name: one
                        type: export
                        steps:
                            -
                                title: export
                                services: {reader: a}
                            -
                                title: export
                            -   name: last
                                title: export
                            -   services: {reader: b}
            """
        )
    )

    assert job.name == "one"
    assert [step.key for step in job.steps] == ["export", "2", "last", "4"]


def test_several_steps_keep_their_order_and_may_share_a_title(jobs: Jobs) -> None:
    job = only(
        jobs(
            """
            sync:
                steps:
                    remove:  {title: export}
                    create:  {title: export}
                    archive: {title: export}
            """
        )
    )

    assert [(step.key, step.title) for step in job.steps] == [
        ("remove", "export"),
        ("create", "export"),
        ("archive", "export"),
    ]


def test_stages_directly_below_the_step(jobs: Jobs) -> None:
    step = only_step(
        jobs(
            """
            one:
                steps:
                    export:
                        title: export
                        reader: shop.reader
                        processor: shop.processor
                        services: {job_executor: shop.executor}
                        writer: shop.writer
            """
        )
    )

    assert dict(step.services) == {
        "job_executor": "shop.executor",
        "reader": "shop.reader",
        "processor": "shop.processor",
        "writer": "shop.writer",
    }
    assert step.service_locations["writer"].line == 9


def test_step_classes_of_one_s_own_without_a_reader(jobs: Jobs) -> None:
    archive, post, check = only(
        jobs(
            r"""
            one:
                steps:
                    archive:
                        class:      %shop.step.archive.class%
                        services:
                            metadata:   shop.handler.metadata
                            archive:    shop.handler.archive
                    post:
                        class: "%shop.step.post.class%"
                        services:
                            post: shop.handler.post
                    check:
                        class: Shop\Connector\CheckStep
                        services:
                            charsetValidator: Shop\Connector\Charset
            """
        )
    ).steps

    assert archive.step_class == "%shop.step.archive.class%"
    assert dict(archive.services) == {"metadata": "shop.handler.metadata", "archive": "shop.handler.archive"}
    assert post.step_class == "%shop.step.post.class%"
    assert check.step_class == r"Shop\Connector\CheckStep"
    assert dict(check.services) == {"charsetValidator": r"Shop\Connector\Charset"}


@pytest.mark.parametrize("nothing", ["~", "", "[]", "{}", "null"])
def test_services_and_parameters_may_be_empty(jobs: Jobs, nothing: str) -> None:
    step = only_step(jobs(f"a:\n  steps:\n    b:\n      services: {nothing}\n      parameters: {nothing}\n"))

    assert (dict(step.services), dict(step.parameters)) == ({}, {})


def test_carriage_returns_alone_end_lines(jobs: Jobs) -> None:
    job = only(jobs(b"connector:\r  name: x\r  jobs:\r    one:\r      title: One # first\r      type:  export\r"))

    assert (job.title, job.location.line) == ("One", 4)


def test_large_blocks_may_be_commented_out_with_any_indentation(jobs: Jobs) -> None:
    job = only(
        jobs(
            """\
connector:
    jobs:

        # one by one
#        old_export:
 #           type:  export
#            steps: ~
        one:
            steps:
                first:
                     services:
                         reader:    shop.reader #shop.other_reader # and: more
#                second:
#                     title: x
"""
        )
    )

    assert job.name == "one"
    assert [(step.key, step.services["reader"]) for step in job.steps] == [("first", "shop.reader")]


def test_templates_are_left_out_with_a_warning(jobs: Jobs) -> None:
    job = only(
        jobs(
            """
            one:
                templates:
                    show: 'Shop:Export:show.html.twig'
                    edit: Shop:Export:edit.html.twig
                steps:
                    first: {templates: {}}
            """
        )
    )

    assert [warning.location.line for warning in job.warnings] == [3, 7]
    assert "'templates'" in job.warnings[0].message


def test_names_are_text_as_written(jobs: Jobs) -> None:
    job = only(
        jobs("no:\n  title: 010\n  type: on\n  steps:\n    1:30:\n      title: 2020-01-01\n      services: {yes: off}")
    )

    assert (job.name, job.title, job.type) == ("no", "010", "on")
    assert (job.steps[0].key, job.steps[0].title, dict(job.steps[0].services)) == (
        "1:30",
        "2020-01-01",
        {"yes": "off"},
    )


def test_parameters_are_typed_and_may_be_nested(jobs: Jobs) -> None:
    step = only_step(
        jobs(
            """
            one:
                steps:
                    first:
                        parameters:
                            batch_size: 25
                            add_to_job_summary: true
                            mode: on
                            code: 010
                            ratio: 0.5
                            quoted: '25'
                            nothing: ~
                            shared: customerIds,orderIds
                            load: [orders, orders.lines]
                            map: {a: {b: 1}}
            """
        )
    )

    assert dict(step.parameters) == {
        "batch_size": 25,
        "add_to_job_summary": True,
        "mode": "on",
        "code": "010",
        "ratio": 0.5,
        "quoted": "25",
        "nothing": None,
        "shared": "customerIds,orderIds",
        "load": ["orders", "orders.lines"],
        "map": {"a": {"b": 1}},
    }


def test_camel_case_parameters_keep_their_name_and_are_known(jobs: Jobs) -> None:
    step = only_step(
        jobs(
            """
            one:
                steps:
                    first:
                        parameters:
                            batchSize: 1
                            entityName: customer
                            ActionName: create
            """
        )
    )

    assert dict(step.parameters) == {"batchSize": 1, "entityName": "customer", "ActionName": "create"}
    assert [engine_parameter(name) for name in step.parameters] == ["batch_size", "entity", None]
    assert step.parameter_location("batch_size").line == step.parameter_location("batchSize").line == 6
    assert step.parameter_location("ActionName").line == 8
    assert step.parameter_location("missing") == step.location


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("batch_size", "batch_size"),
        ("batchSize", "batch_size"),
        ("BatchSize", "batch_size"),
        ("skipLimit", "skip_limit"),
        ("entity_name", "entity"),
        ("entityName", "entity"),
        ("inDoubt", "in_doubt"),
        ("addToJobSummary", "add_to_job_summary"),
        ("batchsize", None),
        ("actionName", None),
    ],
)
def test_parameter_names_of_the_engine(written: str, name: str | None) -> None:
    assert engine_parameter(written) == name


def test_several_files_append_steps_and_the_first_title_wins(jobs: Jobs) -> None:
    job = only(
        jobs(
            "one: {title: First, steps: {export: {services: {reader: a}}}}",
            "connector: {jobs: {one: {title: Second, steps: {export: {services: {reader: b}}, tidy: {}}}}}",
            "one: {steps: {export: {services: {reader: c}}}}",
        )
    )

    assert job.title == "First"
    assert [step.key for step in job.steps] == ["export", "export_2", "tidy", "export_3"]
    assert [step.services.get("reader") for step in job.steps] == ["a", "b", None, "c"]
    assert job.steps[1].location.file == "jobs_1.yml"


def test_a_missing_title_is_taken_from_a_later_file(jobs: Jobs) -> None:
    assert only(jobs("one: {title: ~}", "one: {title: Second}")).title == "Second"


def test_the_same_name_with_another_type_is_another_job(jobs: Jobs) -> None:
    loaded = jobs(
        "users: {type: import, title: In, steps: {a: ~}}\nonly: {type: import}",
        "users: {type: export, title: Out, steps: {b: ~}}",
        "users: {type: import, steps: {c: ~}}",
    )

    assert {name: (job.name, job.type, len(job.steps)) for name, job in loaded.items()} == {
        "import:users": ("users", "import", 2),
        "only": ("only", "import", 0),
        "users": ("users", "export", 1),
    }


def test_without_an_export_the_first_type_has_the_bare_name(jobs: Jobs) -> None:
    loaded = jobs("users: {type: import}", "users: {type: import_validation}")

    assert {name: job.type for name, job in loaded.items()} == {
        "users": "import",
        "import_validation:users": "import_validation",
    }


def test_two_jobs_never_share_a_name(job_problems: JobProblems) -> None:
    (problem,) = job_problems("a: {type: export}\nimport:a: {type: export}", "a: {type: import}")

    assert problem.message == "two jobs would be called 'import:a'"
    assert problem.location.file == "jobs_1.yml"


def test_a_file_named_twice_is_read_once(directory: Path) -> None:
    (directory / "a.yml").write_text("one: {steps: {first: ~}}")

    (job,) = load_jobs(["a.yml", directory / "a.yml", "./a.yml"]).values()

    assert len(job.steps) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one: text", ["the job 'one' must be a mapping", "found: text"]),
        ("one: {step: {}}", ["(one.step)", "the job 'one' knows no key 'step'", "did you mean 'steps'?"]),
        ("one: {steps: x}", ["'steps' must be a mapping"]),
        ("one: {steps: {a: x}}", ["(one.steps.a)", "a step must be a mapping"]),
        ("one: {steps: [x]}", ["(one.steps[0])", "a step must be a mapping"]),
        ("one: {steps: {a: {servises: {}}}}", ["a step knows no key 'servises'", "did you mean 'services'?"]),
        ("one: {steps: {a: {class:Acme: x}}}", ["a step knows no key 'class:Acme'", "did you mean 'class'?"]),
        ("one: {steps: {a: {services: [x]}}}", ["'services' must be a mapping"]),
        ("one: {steps: {a: {services: {reader: [x]}}}}", ["'reader' must be the name of a service", "a list of 1"]),
        ("one: {steps: {a: {services: {reader: ~}}}}", ["'reader' must be the name of a service", "found: nothing"]),
        ("one: {steps: {a: {reader: {x: y}}}}", ["'reader' must be the name of a service", "a mapping"]),
        ("one: {steps: {a: {reader: x, services: {reader: y}}}}", ["'a' has two services 'reader'"]),
        ("one: {steps: {a: {parameters: 3}}}", ["'parameters' must be a mapping", "found: a number"]),
        ("one: {steps: {a: {parameters: {batchSize: 1, batch_size: 2}}}}", ["'batch_size' is given twice"]),
        ("one: {steps: {a: {class: [x]}}}", ["'class' must be the name of a step type"]),
        ("one: {title: {a: b}}", ["'title' must be text", "found: a mapping"]),
        ("one: {steps: [{name: a}, {name: a}]}", ["the step 'a' is there twice"]),
        ("one: {steps: {a: {parameters: {x: '${TOKEN}'}}}}", ["environment variables are for the project file only"]),
        ("connector: x", ["'connector' must be a mapping with 'jobs'"]),
        ("connector: {jobz: {}}", ["'connector' knows no key 'jobz'", "did you mean 'jobs'?"]),
        ("x: {jobs: y}", ["'jobs' must be a mapping"]),
        ("x: {jobs: [y]}", ["a job in a list must be a mapping"]),
        ("x: {jobs: [{type: export}]}", ["a job in a list needs a name"]),
        ("x: {jobs: [{name: a}, {name: a}]}", ["the job 'a' is there twice"]),
        ("- one", ["the file must hold a mapping"]),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(job_problems: JobProblems, text: str, said: list[str]) -> None:
    (problem,) = job_problems(text)

    assert problem.location.file == "jobs_0.yml"
    assert problem.location.line == 1
    for part in said:
        assert part in str(problem)


def test_problems_of_all_files_come_at_once(directory: Path, job_problems: JobProblems) -> None:
    found = job_problems("one: {a: b, c: d}", "[", "two: {steps: {x: {y: z}}}")

    assert [problem.location.file for problem in found] == ["jobs_0.yml", "jobs_0.yml", "jobs_1.yml", "jobs_2.yml"]
    with pytest.raises(ConfigError, match=r"missing\.yml: cannot be read"):
        load_jobs(["missing.yml"])


def test_a_literal_reference_may_be_escaped(jobs: Jobs) -> None:
    assert only_step(jobs("a: {steps: {b: {parameters: {x: 'y$${Z}'}}}}")).parameters["x"] == "y${Z}"


def test_a_connector_s_own_definition_as_text() -> None:
    (job,) = parse_jobs(EXAMPLE.read_bytes(), name="acme.customers").values()
    with pytest.raises(ConfigError) as raised:
        parse_jobs("one: {stepz: ~}", name="acme.customers")

    assert job.location.file == "acme.customers"
    assert str(raised.value).startswith("acme.customers:1 (one.stepz): ")


def test_a_connector_s_own_definition_as_a_mapping() -> None:
    selectable = object()
    step = only_step(
        dict(
            parse_jobs(
                {
                    "one": {
                        "title": None,
                        "steps": {
                            "first": {
                                "services": {"reader": "query"},
                                "parameters": {"query": selectable, "batchSize": 5, "flag": True, "names": ("a", 1.5)},
                            }
                        },
                    }
                },
                name="acme",
            )
        )
    )

    assert step.parameters == {"query": selectable, "batchSize": 5, "flag": True, "names": ["a", 1.5]}
    assert str(step.location) == "acme (one.steps.first)"


def test_a_mapping_that_cannot_be_honoured() -> None:
    endless: dict[str, object] = {}
    endless["one"] = endless

    for definition, said in [
        ({"one": {"stepz": 1}}, "did you mean 'steps'"),
        ({"one": {"title": object()}}, "found: an object of type object"),
        ({1: {}}, "a key must be text"),
        (endless, "nests too deeply"),
    ]:
        with pytest.raises(ConfigError, match=said):
            parse_jobs(definition, name="acme")  # type: ignore[arg-type]


def test_jobs_of_two_connectors_are_two_jobs(tmp_path) -> None:
    job = "j: {{type: export, steps: {{{step}: {{services: {{run: x}}}}}}}}"
    text = f"connector:\n    name: {{name}}\n    jobs:\n        {job}\n"
    files = []
    for name, step in (("one", "a"), ("two", "b"), ("one", "c")):
        file = tmp_path / f"{step}.yml"
        file.write_text(text.format(name=name, step=step))
        files.append(file)
    bare = tmp_path / "bare.yml"
    bare.write_text("j: {type: export, steps: {d: {services: {run: x}}}}\n")
    jobs = load_jobs([*files, bare])
    assert {name: [step.key for step in job.steps] for name, job in jobs.items()} == {
        "j": ["a", "c", "d"],
        "two:j": ["b"],
    }
