"""The settings of a stack: what Pulumi.yaml declares is what the program reads, and what cannot be is said in a sentence."""

from dataclasses import fields
from typing import Any

import pytest

from infra_stack.config import SECRET_KEYS, StackConfig
from tests.conftest import REPOSITORY
from tests.infra.stacks import EXAMPLES, PROJECT, SECRETS, documented_secrets, example, project_file, run_stack

KEYS: dict[str, Any] = project_file()["config"]
PYTHON_TYPES = {"string": (str,), "integer": (int,), "boolean": (bool,), "array": (list,)}


def test_the_project_file_declares_every_setting_and_no_other() -> None:
    assert set(KEYS) == {field.name for field in fields(StackConfig)}


def test_every_setting_has_a_type_that_pulumi_knows_a_description_and_a_default_of_its_type() -> None:
    assert [
        key for key, entry in KEYS.items() if entry["type"] not in PYTHON_TYPES or len(entry["description"]) < 15
    ] == []
    assert [key for key, entry in KEYS.items() if "default" not in entry] == ["domain"]
    assert [
        key
        for key, entry in KEYS.items()
        if "default" in entry and not isinstance(entry["default"], PYTHON_TYPES[entry["type"]])
    ] == []
    assert [key for key, entry in KEYS.items() if (entry["type"] == "array") != ("items" in entry)] == []


def test_secrets_say_that_they_are() -> None:
    assert {key for key, entry in KEYS.items() if "--secret" in entry["description"]} == set(SECRET_KEYS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_holds_known_keys_of_the_declared_type_and_no_secret(name: str) -> None:
    given = example(name)
    assert set(given) <= set(KEYS) - set(SECRET_KEYS)
    assert [key for key, value in given.items() if not isinstance(value, PYTHON_TYPES[KEYS[key]["type"]])] == []


def test_the_reference_in_the_docs_is_the_project_file() -> None:
    text = (REPOSITORY / "docs" / "platform" / "README.md").read_text(encoding="utf-8")
    for key, entry in KEYS.items():
        default = (
            "needed" if "default" not in entry else f"`{entry['default']}`" if entry["default"] not in ("", []) else ""
        )
        assert f"| `{key}` | {entry['type']} | {default} | {entry['description'].replace('|', chr(92) + '|')} |" in text


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "domain": (
        "local",
        {"domain": "Example"},
        "the domain is 'Example': give a lower-case DNS name that you own, such as ml.example.com",
    ),
    "size": ("local", {"size": "huge"}, "size is 'huge': use small or standard."),
    "issuer": ("local", {"certificate_issuer": "acme"}, "certificate_issuer is acme, but acme_email is no address"),
    "oidc": ("team", {"oidc_client_id": ""}, "pulumi config set oidc_client_id ID"),
    "groups without an issuer": ("team", {"oidc_issuer": ""}, "ui_groups is set, but oidc_issuer is not"),
    "one database": (
        "team",
        {"prefect_database_url": ""},
        "mlflow_database_url and prefect_database_url belong together",
    ),
    "bucket": ("team", {"artifacts_uri": "s3:bucket"}, "artifacts_uri is 's3:bucket': give s3://bucket/prefix"),
    "team name": ("local", {"teams": ["Red"], "team_models": []}, "the team name is 'Red': use 1-40 lowercase letters"),
    "team twice": ("local", {"teams": ["red", "red"], "team_models": []}, "name each once"),
    "pair": ("local", {"team_models": ["demo"]}, "team_models has 'demo': write NAME=VALUE, once for every value."),
    "unknown team": ("local", {"team_groups": ["blue=x"]}, "team_groups names blue: the teams are demo."),
    "unknown interface": (
        "team",
        {"ui_groups": ["ray=x"]},
        "ui_groups names ray: the user interfaces are mlflow, prefect, grafana.",
    ),
    "group of two teams": (
        "team",
        {"team_groups": ["churn=all", "fraud=all"]},
        "team_groups gives one group to two teams",
    ),
    "models of two teams": (
        "team",
        {"team_models": ["fraud=churn-*"]},
        "teams churn and fraud would both own models (churn-* and churn-*)",
    ),
    "model name": ("local", {"team_models": ["demo=A b"]}, "team demo has the model 'A b'"),
    "quota": ("local", {"team_cpu": 0}, "quota cpu is 0: give at least 1."),
    "registry": ("local", {"image_registry": "https://x"}, "image_registry is 'https://x': give host and path alone"),
    "proxy": ("local", {"http_proxy": "proxy:1"}, "http_proxy is 'proxy:1'"),
    "authorities": ("local", {"ca_bundle": "x"}, "ca_bundle holds no PEM certificate"),
    "the whole world trusted": ("local", {"trusted_proxies": ["0.0.0.0/0"]}, "trusted_proxies holds the whole world"),
}


@pytest.mark.parametrize(("name", "changes", "sentence"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_said_in_a_sentence(name: str, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Exception) as caught:
        run_stack(name, **changes)
    assert sentence in str(caught.value)


def test_a_secret_in_plain_text_is_refused() -> None:
    with pytest.raises(
        Exception, match="oidc_client_secret is written in plain text: `pulumi config set --secret oidc_client_secret`"
    ):
        run_stack("team", plain_secrets=True)


def test_a_wrong_url_is_said_without_its_password() -> None:
    with pytest.raises(Exception, match="mlflow_database_url is not of the form postgresql://") as caught:
        run_stack("team", mlflow_database_url="mysql://u:hunter2@h/x")
    assert "hunter2" not in str(caught.value)


def test_the_project_is_called_what_its_settings_are() -> None:
    assert project_file()["name"] == PROJECT


def test_the_documented_commands_set_every_secret_of_the_team_example_and_lists_by_path() -> None:
    commands = documented_secrets()
    typed = [arguments[-2].partition("[")[0] for arguments in commands]

    assert set(typed) == set(SECRETS["team"]) == set(SECRET_KEYS)
    for arguments in commands:
        key, bracket, _ = arguments[-2].partition("[")
        assert ("--path" in arguments) == (bracket == "[") == (project_file()["config"][key]["type"] == "array"), (
            arguments
        )
