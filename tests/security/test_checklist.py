"""The security checklist: each rule that applies to what there is, and the tests that prove it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROVEN = {
    "S1": [
        "tests/config/test_document.py::test_refuses_what_is_beyond_the_limits",
        "tests/cli/test_bad_input.py::test_broken_or_hostile_yaml",
    ],
    "S2": ["tests/security/test_code.py::test_s2_s15_nothing_makes_code_or_objects_out_of_data"],
    "S3": ["tests/config/test_environment.py::test_a_value_is_text_whatever_it_holds"],
    "S4": ["tests/cli/test_secrets.py::test_a_careless_connector_gives_nothing_away"],
    "S5": ["tests/security/test_secrets.py::test_s5_base64_wherever_the_secret_begins"],
    "S6": ["tests/cli/test_secrets.py::test_the_password_of_a_database"],
    "S8": [
        "tests/ledger/test_opening.py::test_a_new_file_is_readable_by_its_owner_alone",
        "tests/ledger/test_opening.py::test_settings_on_which_safety_rests_are_in_force",
        "tests/ledger/test_mounts.py::test_s8_a_symbolic_link_is_refused_and_leads_nowhere",
    ],
    "S10": ["plugins/contraflow-http/tests/test_client.py::test_a_client_talks_to_its_own_origin_only"],
    "S11": [
        "plugins/contraflow-http/tests/test_client.py::test_the_environment_names_no_proxy",
        "plugins/contraflow-http/tests/test_client.py::test_a_certificate_of_an_unknown_authority_is_refused",
        "plugins/contraflow-http/tests/test_client.py::test_a_certificate_for_another_name_is_refused",
    ],
    "S12": [
        "plugins/contraflow-http/tests/test_client.py::test_no_redirect_leads_to_another_host",
        "plugins/contraflow-http/tests/test_client.py::test_an_oversized_answer_is_left_unread",
        "plugins/contraflow-http/tests/test_client.py::test_a_compressed_answer_is_neither_asked_for_nor_read",
        "plugins/contraflow-http/tests/test_client.py::test_an_answer_that_drips_is_given_up",
    ],
    "S13": ["plugins/contraflow-http/tests/test_security.py::test_s13_no_value_splits_a_request"],
    "S14": ["tests/security/test_names.py::test_s14_hostile_names_of_tables_and_columns"],
    "S15": ["tests/security/test_ledger_rows.py::test_s15_a_tampered_row_gives_a_clean_error"],
    "S18": ["tests/security/test_names.py::test_s18_the_source_is_opened_for_reading_alone"],
    "S19": [
        "tests/security/test_output.py::test_s19_reasons_codes_and_log_lines",
        "tests/security/test_output.py::test_s19_keys",
    ],
    "S21": ["tests/security/test_network.py::test_s21_s23_only_the_remote_is_spoken_to"],
    "S22": ["tests/delivery/test_fault_matrix.py::test_fault"],
    "S23": ["tests/security/test_code.py::test_s23_there_is_no_server"],
    "S29": ["tests/config/test_project.py::test_no_message_shows_a_value_from_the_environment"],
    "S30": ["tests/config/test_scalars.py::test_nothing_but_config_error_comes_out"],
}
NOT_HELD = {
    "S7": "payloads stand in intents until they are settled, unencrypted",
    "S9": "private and link-local addresses may be remotes: many are",
    "S16": "what is installed in the environment is imported, unless the project disables it",
    "S17": "a plugin is trusted code",
    "S20": "keys are shown and logged as they are",
    "S24": "the options of database URLs are the project's own",
    "S25": "there is no log of what operators did",
    "S26": "job files are named by the project file alone, and may lie anywhere",
    "S27": "the supply chain of releases",
    "S28": "approvals are proven with the guards",
}
"""With what is so instead."""


def test_every_rule_has_an_answer() -> None:
    assert PROVEN.keys() | NOT_HELD.keys() == {f"S{number}" for number in range(1, 31)}
    assert not PROVEN.keys() & NOT_HELD.keys()


def exists(place: str) -> bool:
    file, _, name = place.partition("::")
    return (ROOT / file).is_file() and f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", PROVEN)
def test_the_tests_of_each_rule_exist(rule: str) -> None:
    assert [place for place in PROVEN[rule] if not exists(place)] == []


def test_the_page_on_security_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "explanation" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|plugins)/[\w/.-]+\.py::\w+)`", page)
    assert len(named) > 15
    assert [place for place in named if not exists(place)] == []
