"""Run the shared stack's program with the settings of its example stacks."""

import re
import runpy
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from tests.conftest import REPOSITORY
from tests.infra.harness.graph import Graph, run_program

FOLDER = REPOSITORY / "infra_stack"
PROJECT = "infra-stack"
EXAMPLES = ("local", "team", "aws")
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"


def prefect_urls(*teams: str) -> list[str]:
    """URLs of external databases for the teams' Prefect servers."""
    return [
        f"{team}=postgresql://prefect-{team}:db-secret@db.example.com:5432/prefect-{team}?sslmode=require"
        for team in teams
    ]


# Secrets of an example, which a person sets with `pulumi config set --secret`.
SECRETS: Mapping[str, Mapping[str, Any]] = {
    "local": {},
    "aws": {},
    "team": {
        "oidc_client_secret": "issuer-secret",
        "mlflow_database_url": "postgresql://mlflow:db-secret@db.example.com:5432/mlflow?sslmode=require",
        "prefect_database_url": "postgresql://prefect:db-secret@db.example.com:5432/prefect?sslmode=require",
        "team_prefect_database_urls": prefect_urls("churn", "fraud"),
        "team_request_log_keys": ["churn=LOGKEY:log-secret-1", "fraud=LOGKEY2:log-secret-2"],
        "s3_access_key_id": "key-secret",
        "s3_secret_access_key": "store-secret",
        "alerts": "https://hooks.slack.com/services/T/B/alert-secret",
    },
}
# Every optional part of the target `aws`.
AWS_OPTIONS: Mapping[str, Any] = {
    "team_gpus": 4,
    "aws_github": ["churn=example/churn:production"],
    "aws_repositories": ["churn=churn", "fraud=card-limits"],
    "aws_monthly_usd": 2000,
    "aws_budget_emails": ["platform@example.com"],
    "aws_permissions_boundary": "arn:aws:iam::111122223333:policy/platform-boundary",
}
MIRRORED: Mapping[str, Any] = {
    "chart_mirror": "/charts",
    "image_registry": "registry.internal/mirror",
    "http_proxy": "http://proxy.internal:3128",
    "no_proxy": ".internal",
    "ca_bundle": CA,
}
POD_SETTINGS: Mapping[str, Any] = {
    "node_selector": ["pool=platform"],
    "tolerations": ["dedicated=ml:NoSchedule", "spot:NoExecute"],
    "pod_annotations": ["karpenter.sh/do-not-disrupt=true"],
    "image_pull_logins": ["registry.example.com=robot:pull:secret"],
    "image_pull_secrets": ["company-registry"],
    "service_account_annotations": [
        "mlflow=eks.amazonaws.com/role-arn=arn:aws:iam::1:role/mlflow",
        "postgres=eks.amazonaws.com/role-arn=arn:aws:iam::1:role/postgres",
        "team-churn=eks.amazonaws.com/role-arn=arn:aws:iam::1:role/churn",
    ],
    "volume_gib": ["postgres=11", "prometheus=13", "alertmanager=14", "grafana=15"],
    "load_balancer_annotations": ["service.beta.kubernetes.io/aws-load-balancer-scheme=internal"],
    "load_balancer_sources": ["203.0.113.0/24"],
    "external_traffic_policy": "Local",
    "proxy_protocol_networks": ["10.0.0.0/8"],
}
"""Settings of pods, volumes and the load balancer; `image_pull_logins` is secret."""


def project_file() -> dict[str, Any]:
    """Pulumi.yaml as data."""
    made: dict[str, Any] = yaml.safe_load((FOLDER / "Pulumi.yaml").read_text(encoding="utf-8"))
    return made


def example(name: str) -> dict[str, Any]:
    """The settings of an example stack's file, without their namespace."""
    found = yaml.safe_load((FOLDER / f"Pulumi.{name}.yaml").read_text(encoding="utf-8"))["config"]
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in found.items() if key.startswith(PROJECT)}


def settings(name: str, **changes: Any) -> dict[str, Any]:
    """Defaults of Pulumi.yaml, the example's own values, its secrets, then changes; as keys with their namespace."""
    defaults = {key: entry["default"] for key, entry in project_file()["config"].items() if "default" in entry}
    return {
        f"{PROJECT}:{key}": value for key, value in {**defaults, **example(name), **SECRETS[name], **changes}.items()
    }


def documented_secrets() -> list[list[str]]:
    """Arguments of each `pulumi …` command that the documentation gives for the secrets of the team example."""
    text = (REPOSITORY / "docs/platform/README.md").read_text(encoding="utf-8")
    return [shlex.split(line) for line in re.findall(r"^pulumi (config set --secret .*)$", text, re.MULTILINE)]


def program() -> Callable[[], None]:
    def main() -> None:
        runpy.run_path(str(FOLDER / "__main__.py"))

    return main


def run_stack(
    name: str, *, preview: bool = False, plain_secrets: bool = False, secrets: Sequence[str] = (), **changes: Any
) -> Graph:
    """The graph of an example stack, with changed settings; `secrets` are the secret ones among them."""
    secret = [] if plain_secrets else [f"{PROJECT}:{key}" for key in (*SECRETS[name], *secrets)]
    return run_program(
        program(), config=settings(name, **changes), secret_config=secret, project=PROJECT, stack=name, preview=preview
    )
