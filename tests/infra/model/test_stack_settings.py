"""Settings of a generated `deploy/`: an invalid value is refused in one sentence that names its key."""

from typing import Any

import pulumi
import pytest

from platform_lib.infra.base.stack_settings import read_settings
from platform_lib.infra.model.stack import SETTINGS
from tests.infra.harness.graph import run_program

KINDS: dict[str, tuple[Any, ...]] = {
    "str": ({"a": "map"}, ["a", "list"]),
    "int": ("three", "", "1.5", True),
    "float": ("three", "0,02", [1]),
    "tuple": ("https://app.example.com", 3, [1], {"a": 1}),
}
# Key, an invalid value for it, and the sentence.
WRONG: list[tuple[str, Any, str]] = [
    ("namespace", "Team_Red", "namespace is 'Team_Red': give the name of a Kubernetes namespace"),
    ("context", "a\nb", "context is 'a\\nb': give one line of text."),
    ("image", "churn:latest", "image is 'churn:latest': name it by its digest, NAME@sha256:…"),
    ("version", "champion", "version is 'champion': give the number of a registered version"),
    ("exposure", "world", "exposure is 'world': use cluster or public."),
    ("signatures", "on", "signatures is 'on': use off, warn or require."),
    ("min_replicas", 0, "min_replicas is 0: give 1 or more."),
    ("max_replicas", -1, "max_replicas is -1: give 1 or more."),
    ("cpu_target_percent", 0, "cpu_target_percent is 0: give 1 or more."),
    ("requests_per_s_per_replica", "0", "requests_per_s_per_replica is 0.0: give a number above 0."),
    ("requests_per_s_per_replica", "nan", "requests_per_s_per_replica is nan: give a number above 0."),
    ("workers", 0, "workers is 0: give 1 or more."),
    ("cpu_request", "0", "cpu_request is '0': give CPUs above 0, such as 500m or 2."),
    ("cpu_limit", "two", "cpu_limit is 'two': give CPUs above 0, such as 500m or 2."),
    ("memory", "512", "memory is '512': give an amount with its unit, such as 512Mi or 2Gi."),
    ("memory", "1GB", "memory is '1GB': give an amount with its unit, such as 512Mi or 2Gi."),
    ("gpus", -1, "gpus is -1: give 0 or more."),
    ("node_selector", ["gpu"], "node_selector[0] is 'gpu': write KEY=VALUE, a label of the nodes"),
    ("tolerations", ["gpu=yes"], "tolerations[0] is 'gpu=yes': write the taint as kubectl does"),
    ("pod_annotations", ["safe"], "pod_annotations[0] is 'safe': write KEY=VALUE, an annotation"),
    ("image_pull_secrets", ["a b"], "image_pull_secrets[0] is 'a b': give the name of a Kubernetes object"),
    ("service_account_annotations", ["arn"], "service_account_annotations[0] is 'arn': write KEY=VALUE"),
    ("rate_limit_per_s", 0, "rate_limit_per_s is 0: give 1 or more."),
    ("rate_limit_burst", -5, "rate_limit_burst is -5: give 1 or more."),
    ("request_log", "s3", "request_log is 's3': use auto, volume or off."),
    ("request_log_gib", 0, "request_log_gib is 0: give 1 or more."),
    ("request_log_storage_class", "Shared Files", "request_log_storage_class is 'Shared Files': give the name of"),
    ("request_log_secret", "my_secret", "request_log_secret is 'my_secret': give the name of a Kubernetes object"),
    ("oidc_issuer", "http://issuer.example", "oidc_issuer is 'http://issuer.example': give an https:// address."),
    ("oidc_audience", "two words", "oidc_audience is 'two words': give text without spaces."),
    (
        "cors_allowed_origins",
        ["https://app.example.com", "https://app.example.com/"],
        "cors_allowed_origins[1] is 'https://app.example.com/': give an origin as browsers send it",
    ),
    ("alert_error_share", "2", "alert_error_share is 2.0: give a share between 0 and 1, such as 0.02."),
    ("alert_latency_p99_s", "-1", "alert_latency_p99_s is -1.0: give a number above 0."),
    ("alert_psi", 0, "alert_psi is 0.0: give a number above 0."),
    ("alert_drift_window_h", 0, "alert_drift_window_h is 0: give 1 or more."),
    ("alert_drift_rows", 0, "alert_drift_rows is 0: give 1 or more."),
    ("alert_in_flight", 0, "alert_in_flight is 0: give 1 or more."),
]


def refusal(**given: Any) -> str:
    def program() -> None:
        read_settings(pulumi.Config(), SETTINGS)

    with pytest.raises(Exception) as caught:
        run_program(program, project="churn", config={f"churn:{key}": value for key, value in given.items()})
    said = str(caught.value)
    assert said.endswith(".") and "\n" not in said
    return said


@pytest.mark.parametrize(("key", "value", "sentence"), WRONG, ids=lambda value: str(value)[:40])
def test_an_invalid_value_is_refused_in_one_sentence_that_names_the_key(key: str, value: Any, sentence: str) -> None:
    assert refusal(**{key: value}).startswith(sentence)


def test_every_key_is_tested_with_a_wrong_value() -> None:
    assert {key for key, _, _ in WRONG} == SETTINGS.keys()


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, setting in SETTINGS.items() for value in KINDS[setting.kind.__name__]]
)
def test_a_value_of_the_wrong_type_is_refused_in_one_sentence_that_names_the_key(key: str, value: Any) -> None:
    assert refusal(**{key: value}).startswith(f"{key} is ")


@pytest.mark.parametrize(("key", "near"), [("minReplicas", "min_replicas"), ("rate_limit", "rate_limit_per_s")])
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str, near: str) -> None:
    said = f"{key} is not a setting of this stack (did you mean {near}?): remove it with `pulumi config rm {key}`."
    assert refusal(**{key: "3"}) == said


def test_keys_of_other_programs_are_ignored() -> None:
    run_program(
        lambda: read_settings(pulumi.Config(), SETTINGS),
        project="churn",
        config={"kubernetes:context": "x", "pulumi:tags": {}, "churn:min_replicas": 3},
    )
