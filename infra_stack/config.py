"""The settings of a stack as one typed value. Keys, descriptions and defaults stand in Pulumi.yaml and nowhere else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeAlias

import pulumi

from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.naming import UI_HOSTS, checked_domain, host, prefect_api_url, prefect_host, team_namespace
from platform_lib.infra.base.sizing import SIZES, Size
from platform_lib.infra.storage.database import DATABASES, checked_url
from platform_lib.infra.storage.object_store import ObjectStoreArgs, checked_uri
from platform_lib.infra.team.model_names import checked_models
from platform_lib.infra.team.team import Quota, TeamArgs
from platform_lib.names import SharedOutputs

SecretText: TypeAlias = pulumi.Output[str] | None
"""None where the key is empty."""
SECRET_KEYS = (
    "oidc_client_secret",
    "mlflow_database_url",
    "prefect_database_url",
    "s3_access_key_id",
    "s3_secret_access_key",
    "alerts",
    "team_prefect_database_urls",
)


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """Every key of Pulumi.yaml, under its own name."""

    domain: str
    kubeconfig: str
    context: str
    size: Size
    storage_class: str
    certificate_issuer: Literal["self-signed", "acme"]
    acme_email: str
    acme_server: str
    service_type: str
    trusted_proxies: tuple[str, ...]
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret: SecretText
    oidc_groups_claim: str
    email_domains: tuple[str, ...]
    admin_groups: tuple[str, ...]
    ui_groups: tuple[str, ...]
    mlflow_database_url: SecretText
    prefect_database_url: SecretText
    team_prefect_database_urls: Mapping[str, pulumi.Output[str]]
    database_port: int
    artifacts_uri: str
    request_log_uri: str
    s3_endpoint: str
    s3_region: str
    s3_access_key_id: SecretText
    s3_secret_access_key: SecretText
    teams: tuple[str, ...]
    team_models: tuple[str, ...]
    team_groups: tuple[str, ...]
    team_ci_groups: tuple[str, ...]
    team_cpu: int
    team_memory_gib: int
    team_gpus: int
    alerts: SecretText
    metrics_retention_days: int
    request_rate_scaling: bool
    chart_mirror: str
    image_registry: str
    http_proxy: str
    no_proxy: str
    ca_bundle: str

    def __post_init__(self) -> None:
        checked_domain(self.domain)
        if self.size not in SIZES:
            raise ValueError(f"size is {self.size!r}: use {' or '.join(SIZES)}.")
        if self.certificate_issuer not in ("self-signed", "acme"):
            raise ValueError(f"certificate_issuer is {self.certificate_issuer!r}: use self-signed or acme.")
        if self.certificate_issuer == "acme" and "@" not in self.acme_email:
            raise ValueError(
                "certificate_issuer is acme, but acme_email is no address: the authority writes there before a certificate ends."
            )
        if self.oidc_issuer and not (self.oidc_client_id and self.oidc_client_secret is not None):
            raise ValueError(
                "oidc_issuer is set, but oidc_client_id or oidc_client_secret is not: "
                "`pulumi config set oidc_client_id ID` and `pulumi config set --secret oidc_client_secret SECRET`."
            )
        if not self.oidc_issuer and self.ui_groups:
            raise ValueError(
                "ui_groups is set, but oidc_issuer is not: without an issuer there is one built-in account and no groups."
            )
        if (self.mlflow_database_url is None) != (self.prefect_database_url is None):
            raise ValueError(
                "mlflow_database_url and prefect_database_url belong together: set both, or neither for a Postgres in the cluster."
            )
        wanted = self.teams if self.prefect_database_url is not None else ()
        if set(self.team_prefect_database_urls) != set(wanted):
            raise ValueError(
                f"team_prefect_database_urls names {', '.join(sorted(self.team_prefect_database_urls)) or 'no team'}: "
                f"with prefect_database_url give TEAM=URL for each of {', '.join(wanted) or 'no team'}, a database of its own; without it none."
            )
        checked_uri("artifacts_uri", self.artifacts_uri)
        checked_uri("request_log_uri", self.request_log_uri)
        self._check_teams()
        _ = self.mirrors

    def _check_teams(self) -> None:
        for team in self.teams:
            team_namespace(team)
        if len(set(self.teams)) != len(self.teams):
            raise ValueError(f"teams is {', '.join(self.teams)}: name each once.")
        groups = [group for found in self.groups.values() for group in found]
        if len(set(groups)) != len(groups):
            raise ValueError(
                "team_groups gives one group to two teams: what its people make in MLflow belongs to one team. Use a group for each."
            )
        for key in ("team_models", "team_groups", "team_ci_groups"):
            unknown = set(pairs(key, getattr(self, key))) - set(self.teams)
            if unknown:
                raise ValueError(
                    f"{key} names {', '.join(sorted(unknown))}: the teams are {', '.join(self.teams) or 'none'}."
                )
        unknown = set(pairs("ui_groups", self.ui_groups)) - set(UI_HOSTS)
        if unknown:
            raise ValueError(
                f"ui_groups names {', '.join(sorted(unknown))}: the user interfaces are {', '.join(UI_HOSTS)}."
            )
        _ = self.models

    @property
    def models(self) -> dict[str, tuple[str, ...]]:
        """Team → names or prefixes of the models that it may route."""
        given = pairs("team_models", self.team_models)
        return checked_models({team: given.get(team, []) for team in self.teams})

    @property
    def groups(self) -> dict[str, list[str]]:
        """Team → groups of its people at the issuer and in Kubernetes; the team's own name where nothing is said."""
        given = pairs("team_groups", self.team_groups)
        return {team: given.get(team, [team]) for team in self.teams}

    @property
    def group_teams(self) -> dict[str, str]:
        """Group at the issuer → team, for MLflow. A group of two teams would see both: MLflow maps it to one."""
        return {group: team for team, groups in self.groups.items() for group in groups}

    def team_args(self, outputs: SharedOutputs) -> dict[str, TeamArgs]:
        """Team → what it gets."""
        ci, models = pairs("team_ci_groups", self.team_ci_groups), self.models
        return {
            team: TeamArgs(
                team=team,
                outputs=team_outputs(outputs, team),
                models=models[team],
                people_groups=groups,
                ci_groups=ci.get(team, []),
                quota=self.quota,
            )
            for team, groups in self.groups.items()
        }

    def object_store(self, *namespaces: pulumi.Input[str]) -> ObjectStoreArgs:
        """The bucket, with its keys in these namespaces."""
        return ObjectStoreArgs(
            artifacts_uri=self.artifacts_uri,
            endpoint=self.s3_endpoint,
            region=self.s3_region,
            access_key_id=self.s3_access_key_id,
            secret_access_key=self.s3_secret_access_key,
            namespaces=namespaces,
        )

    @property
    def mirrors(self) -> Mirrors:
        """Where charts, images and the outside world are."""
        return Mirrors(**{field.name: getattr(self, field.name) for field in fields(Mirrors)})

    @property
    def quota(self) -> Quota:
        """Of each team."""
        return Quota(cpu=self.team_cpu, memory_gib=self.team_memory_gib, gpus=self.team_gpus)

    @property
    def database_urls(self) -> dict[str, pulumi.Output[str]]:
        """Of databases elsewhere; empty for a Postgres in the cluster."""
        urls = {"mlflow": self.mlflow_database_url, "prefect": self.prefect_database_url}
        return {
            name: url.apply(_checked_url(name)) for name, url in urls.items() if url is not None and name in DATABASES
        } | {prefect_host(team): url for team, url in self.team_prefect_database_urls.items()}


def load_config() -> StackConfig:
    """Read the stack's settings.

    Raises:
        pulumi.RunError: A value cannot be; the message is a sentence that names the key and what to give.
    """
    config = pulumi.Config()
    readers: Mapping[Any, Callable[[str], Any]] = {
        str: config.require,
        int: config.require_int,
        bool: config.require_bool,
    }
    values: dict[str, Any] = {}
    try:
        for field in fields(StackConfig):
            if field.name == "team_prefect_database_urls":
                values[field.name] = _secret_urls(config, field.name)
            elif field.name in SECRET_KEYS:
                values[field.name] = _secret(config, field.name)
            elif field.type == tuple[str, ...]:
                values[field.name] = tuple(str(item) for item in config.require_object(field.name))
            else:
                values[field.name] = readers.get(field.type, config.require)(field.name)
        return StackConfig(**values)
    except ValueError as err:
        raise pulumi.RunError(f"Stack {pulumi.get_stack()}: {err}") from err


def _secret(config: pulumi.Config, key: str) -> SecretText:
    if not config.get(key):
        return None
    _refuse_plain_text(config, key, key)
    return config.require_secret(key)


def _refuse_plain_text(config: pulumi.Config, key: str, typed: str) -> None:
    if not pulumi.runtime.is_config_secret(f"{config.name}:{key}"):
        raise ValueError(
            f"{key} is written in plain text: `pulumi config set --secret {typed}` encrypts it (and change it, if the file was shared)."
        )


def _secret_urls(config: pulumi.Config, key: str) -> dict[str, pulumi.Output[str]]:
    entries = config.require_object(key)
    if not entries:
        return {}
    _refuse_plain_text(config, key, f"--path '{key}[0]'")
    made: dict[str, pulumi.Output[str]] = {}
    places = set()
    for entry in entries:
        team, _, url = str(entry).partition("=")
        places.add(url.split("@")[-1].split("?")[0])
        made[team] = pulumi.Output.secret(
            checked_url(f"{key}, of {team if '/' not in team else 'an entry without TEAM='},", url)
        )
    if len(places) < len(entries):
        raise ValueError(f"{key} names one team or one database twice: give each team a database of its own.")
    return made


def pairs(key: str, entries: tuple[str, ...]) -> dict[str, list[str]]:
    """`("red=churn", "red=fraud")` as `{"red": ["churn", "fraud"]}`.

    Raises:
        ValueError: An entry is not of the form NAME=VALUE.
    """
    made: dict[str, list[str]] = {}
    for entry in entries:
        name, equals, value = (part.strip() for part in entry.partition("="))
        if not equals or not name or not value:
            raise ValueError(f"{key} has {entry!r}: write NAME=VALUE, once for every value.")
        made.setdefault(name, []).append(value)
    return made


def team_outputs(outputs: SharedOutputs, team: str) -> SharedOutputs:
    """The outputs as one team reads them: Prefect is its own."""
    return replace(
        outputs,
        prefect_api_url=prefect_api_url(team),
        prefect_ui_url=f"https://{host(prefect_host(team), outputs.domain)}",
    )


def _checked_url(name: str) -> Callable[[str], str]:
    return lambda url: checked_url(f"{name}_database_url", url)
