"""The stack's settings as one typed value. Pulumi.yaml holds their keys, descriptions and defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin
from urllib.parse import urlsplit

import pulumi

from platform_lib.infra.base import setting_rules as rules
from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.naming import TEAM, UI_HOSTS, host, prefect_api_url, prefect_host
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import Rule, SettingError
from platform_lib.infra.base.sizing import SIZE, Size
from platform_lib.infra.base.stack_settings import Setting, read_settings
from platform_lib.infra.edge.ingress import SERVICE_TYPE
from platform_lib.infra.edge.tls import ISSUER
from platform_lib.infra.mlflow.server import NAMES
from platform_lib.infra.monitoring.alert_routing import ALERT_ADDRESS
from platform_lib.infra.storage.database import DATABASE_URL, DATABASE_URL_FORM, PORT
from platform_lib.infra.storage.object_store import ObjectStoreArgs
from platform_lib.infra.team.model_names import MODEL_PATTERN, checked_models
from platform_lib.infra.team.team import Quota, TeamArgs
from platform_lib.names import SharedOutputs

SecretText: TypeAlias = pulumi.Output[str] | None
"""None if the key is empty."""
SecretTexts: TypeAlias = Mapping[str, pulumi.Output[str]]
"""Set as a list of NAME=SECRET entries."""


def _pair(rule: Rule, form: str) -> Rule:
    """Rule for an entry `NAME=VALUE`: the value must keep the given rule."""

    def accepts(entry: str) -> bool:
        name, _, value = (part.strip() for part in entry.partition("="))
        return bool(name) and rule.accepts(value)

    return Rule(accepts, f"write {form}, one entry for each value")


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """One field per key of Pulumi.yaml, with the rule for its value."""

    domain: Annotated[str, rules.DOMAIN]
    kubeconfig: Annotated[str, rules.FILE]
    context: Annotated[str, rules.LINE]
    size: Annotated[Size, SIZE]
    storage_class: Annotated[str, rules.KUBERNETES_NAME]
    certificate_issuer: Annotated[Literal["self-signed", "acme"], ISSUER]
    acme_email: Annotated[str, rules.EMAIL]
    acme_server: Annotated[str, rules.HTTPS_URL]
    service_type: Annotated[str, SERVICE_TYPE]
    trusted_proxies: Annotated[tuple[str, ...], rules.NETWORK]
    oidc_issuer: Annotated[str, rules.HTTPS_URL]
    oidc_client_id: Annotated[str, rules.TEXT]
    oidc_client_secret: Annotated[SecretText, rules.TEXT]
    oidc_groups_claim: Annotated[str, rules.TEXT]
    email_domains: Annotated[tuple[str, ...], rules.EMAIL_DOMAIN]
    admin_groups: Annotated[tuple[str, ...], rules.GROUP]
    ui_groups: Annotated[tuple[str, ...], _pair(rules.GROUP, "UI=GROUP")]
    mlflow_database_url: Annotated[SecretText, DATABASE_URL]
    prefect_database_url: Annotated[SecretText, DATABASE_URL]
    team_prefect_database_urls: Annotated[SecretTexts, _pair(DATABASE_URL, f"TEAM={DATABASE_URL_FORM}")]
    database_port: Annotated[int, rules.PORT]
    artifacts_uri: Annotated[str, rules.BUCKET_URI]
    request_log_uri: Annotated[str, rules.BUCKET_URI]
    s3_endpoint: Annotated[str, rules.HTTP_URL]
    s3_region: Annotated[str, rules.REGION]
    s3_access_key_id: Annotated[SecretText, rules.TEXT]
    s3_secret_access_key: Annotated[SecretText, rules.TEXT]
    teams: Annotated[tuple[str, ...], TEAM]
    team_models: Annotated[tuple[str, ...], _pair(MODEL_PATTERN, "TEAM=NAME or TEAM=PREFIX*")]
    mlflow_names: Annotated[Literal["first-registration", "team-models"], NAMES]
    champion_roles: Annotated[tuple[str, ...], rules.GROUP]
    team_groups: Annotated[tuple[str, ...], _pair(rules.GROUP, "TEAM=GROUP")]
    team_ci_groups: Annotated[tuple[str, ...], _pair(rules.GROUP, "TEAM=GROUP")]
    team_cpu: Annotated[int, rules.COUNT]
    team_memory_gib: Annotated[int, rules.COUNT]
    team_gpus: Annotated[int, rules.COUNT_OR_NONE]
    alerts: Annotated[SecretText, ALERT_ADDRESS]
    metrics_retention_days: Annotated[int, rules.COUNT]
    request_rate_scaling: bool
    chart_mirror: Annotated[str, rules.CHART_MIRROR]
    image_registry: Annotated[str, rules.IMAGE_REGISTRY]
    http_proxy: Annotated[str, rules.PROXY_URL]
    no_proxy: Annotated[str, rules.HOST_LIST]
    ca_bundle: Annotated[str, rules.PEM]

    def __post_init__(self) -> None:
        """Check settings against each other. Each value already keeps its own rule."""
        if self.certificate_issuer == "acme" and not self.acme_email:
            raise SettingError(
                "certificate_issuer is 'acme', but acme_email is empty: give an address for expiry warnings."
            )
        if self.oidc_issuer and not (self.oidc_client_id and self.oidc_client_secret is not None):
            raise SettingError(
                "oidc_issuer is set, but oidc_client_id or oidc_client_secret is not: "
                "`pulumi config set oidc_client_id ID` and `pulumi config set --secret oidc_client_secret SECRET`."
            )
        if self.oidc_issuer and not self.email_domains:
            raise SettingError(
                "email_domains is empty, so nobody could log in: list your e-mail domains, or * for all."
            )
        if not self.oidc_issuer and self.ui_groups:
            raise SettingError(
                "ui_groups is set, but oidc_issuer is not: set oidc_issuer, which provides groups, or remove ui_groups."
            )
        if (self.mlflow_database_url is None) != (self.prefect_database_url is None):
            raise SettingError(
                "mlflow_database_url and prefect_database_url belong together: set both, or neither to run Postgres in "
                "the cluster."
            )
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise SettingError(
                "s3_access_key_id and s3_secret_access_key belong together: set both, or neither if pods have their "
                "own identity."
            )
        wanted = self.teams if self.prefect_database_url is not None else ()
        if set(self.team_prefect_database_urls) != set(wanted):
            raise SettingError(
                f"team_prefect_database_urls names {', '.join(sorted(self.team_prefect_database_urls)) or 'no team'}: "
                f"with prefect_database_url, give TEAM=URL for each of {', '.join(wanted) or 'no team'}; without it, "
                "leave the list empty."
            )
        self._check_teams()

    def _check_teams(self) -> None:
        if len(set(self.teams)) != len(self.teams):
            raise SettingError(f"teams is {', '.join(self.teams)}: name each team once.")
        groups = [group for found in self.groups.values() for group in found]
        if len(set(groups)) != len(groups):
            raise SettingError(
                "team_groups gives one group to two teams: runs and models in MLflow belong to exactly one team. Use "
                "one group for each team."
            )
        for key in ("team_models", "team_groups", "team_ci_groups"):
            unknown = set(pairs(getattr(self, key))) - set(self.teams)
            if unknown:
                raise SettingError(
                    f"{key} names {', '.join(sorted(unknown))}: the teams are {', '.join(self.teams) or 'none'}."
                )
        unknown = set(pairs(self.ui_groups)) - set(UI_HOSTS)
        if unknown:
            raise SettingError(
                f"ui_groups names {', '.join(sorted(unknown))}: the user interfaces are {', '.join(UI_HOSTS)}."
            )
        _ = self.models

    @property
    def models(self) -> dict[str, tuple[str, ...]]:
        """Team → names or prefixes of the models for which it may create routes."""
        given = pairs(self.team_models)
        return checked_models({team: given.get(team, []) for team in self.teams})

    @property
    def groups(self) -> dict[str, list[str]]:
        """Team → its members' groups, at the issuer and in Kubernetes; by default the team's name."""
        given = pairs(self.team_groups)
        return {team: given.get(team, [team]) for team in self.teams}

    @property
    def group_teams(self) -> dict[str, str]:
        """Group at the issuer → team, for MLflow, which maps each group to one team."""
        return {group: team for team, groups in self.groups.items() for group in groups}

    def team_args(self, outputs: SharedOutputs) -> dict[str, TeamArgs]:
        """Team → arguments of its component."""
        ci, models = pairs(self.team_ci_groups), self.models
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
        """The bucket, with its keys as a Secret in these namespaces."""
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
        """Where charts and images come from, and how pods reach the internet."""
        return Mirrors(**{field.name: getattr(self, field.name) for field in fields(Mirrors)})

    @property
    def placement(self) -> Placement:
        """Size, mirrors and storage class of every component."""
        return Placement(size=self.size, mirrors=self.mirrors, storage_class=self.storage_class)

    @property
    def quota(self) -> Quota:
        """Quota of each team."""
        return Quota(cpu=self.team_cpu, memory_gib=self.team_memory_gib, gpus=self.team_gpus)

    @property
    def database_urls(self) -> dict[str, pulumi.Output[str]]:
        """Database → URL of the external databases; empty for a Postgres in the cluster."""
        urls = {"mlflow": self.mlflow_database_url, "prefect": self.prefect_database_url}
        return {name: url for name, url in urls.items() if url is not None} | {
            prefect_host(team): url for team, url in self.team_prefect_database_urls.items()
        }


_KINDS: Mapping[Any, type] = {int: int, bool: bool, tuple[str, ...]: tuple, SecretTexts: tuple}


def _declared(annotation: Any) -> Setting:
    declared, rule = get_args(annotation) if get_origin(annotation) is Annotated else (annotation, None)
    return Setting(kind=_KINDS.get(declared, str), rule=rule, is_secret=declared in (SecretText, SecretTexts))


SETTINGS: Mapping[str, Setting] = {key.name: _declared(key.type) for key in fields(StackConfig)}
REQUIRED = ("domain", "size", "certificate_issuer", "acme_server", "service_type", "oidc_groups_claim", "mlflow_names")
"""Texts that must not be empty."""
SECRET_KEYS = tuple(key for key, setting in SETTINGS.items() if setting.is_secret)


def load_config() -> StackConfig:
    """Read and check the stack's settings.

    Raises:
        pulumi.RunError: A setting cannot be used. The message is one sentence that names the key and says what to set.
    """
    try:
        values = read_settings(pulumi.Config(), SETTINGS)
        for key, setting in SETTINGS.items():
            if key in REQUIRED and setting.rule is not None:
                setting.rule.check(key, values.get(key, ""))
            elif key not in values and setting.kind is not str:
                raise SettingError(f"{key} is not set: `pulumi config set {key} VALUE` sets it.")
        _check_databases(values)
        values["team_prefect_database_urls"] = {
            team: pulumi.Output.secret(url) for team, [url] in pairs(values["team_prefect_database_urls"]).items()
        }
        texts = {key: values.get(key, "") for key, setting in SETTINGS.items() if setting.kind is str}
        secrets = {key: pulumi.Output.secret(texts[key]) if texts[key] else None for key in SECRET_KEYS if key in texts}
        return StackConfig(**{**values, **texts, **secrets})
    except SettingError as err:
        raise pulumi.RunError(f"Stack {pulumi.get_stack()}: {err}") from err


def _check_databases(values: Mapping[str, Any]) -> None:
    """Check the database URLs against each other while they are plain text."""
    own = values["team_prefect_database_urls"]
    urls = {key: values[key] for key in ("mlflow_database_url", "prefect_database_url") if key in values}
    urls |= {f"team_prefect_database_urls[{index}]": entry.partition("=")[2].strip() for index, entry in enumerate(own)}
    for key, url in urls.items():
        port = urlsplit(url).port or PORT
        if port != values["database_port"]:
            raise SettingError(
                f"{key} has port {port}, but database_port is {values['database_port']}: the network policies open "
                "only that port. Use one port for all databases."
            )
    places = [url.split("@")[-1].split("?")[0] for url in urls.values()]
    if len({entry.partition("=")[0].strip() for entry in own}) < len(own):
        raise SettingError("team_prefect_database_urls names a team twice: give each team one entry.")
    if len(set(places)) < len(places):
        raise SettingError(
            f"{', '.join(urls)} name the same database twice: give MLflow, Prefect and each team a separate database."
        )


def pairs(entries: tuple[str, ...]) -> dict[str, list[str]]:
    """`("red=churn", "red=fraud")` as `{"red": ["churn", "fraud"]}`."""
    made: dict[str, list[str]] = {}
    for entry in entries:
        name, _, value = (part.strip() for part in entry.partition("="))
        made.setdefault(name, []).append(value)
    return made


def team_outputs(outputs: SharedOutputs, team: str) -> SharedOutputs:
    """The outputs that a team reads: with the addresses of its own Prefect."""
    return replace(
        outputs,
        prefect_api_url=prefect_api_url(team),
        prefect_ui_url=f"https://{host(prefect_host(team), outputs.domain)}",
    )
