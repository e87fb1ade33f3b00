"""The stack's settings as one typed value. Pulumi.yaml holds their keys, descriptions and defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal, get_args, get_origin

import pulumi

from infra_stack.aws_settings import AwsSettings, check_target
from infra_stack.backup_settings import BackupConfig
from infra_stack.checks import check_databases, check_together
from infra_stack.cluster_settings import ClusterSettings, SecretText, SecretTexts
from infra_stack.pairs import pair, pairs
from infra_stack.pod_settings import PodConfig
from platform_lib.infra.base import setting_rules as rules
from platform_lib.infra.base.addresses import EGRESS, Destination, parse_destination
from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.naming import TEAM, host, prefect_api_url, prefect_host, team_namespace
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import SettingError
from platform_lib.infra.base.sizing import SIZE, Size
from platform_lib.infra.base.stack_settings import Setting, read_settings
from platform_lib.infra.edge.ingress import SERVICE_TYPE
from platform_lib.infra.mlflow.server import NAMES
from platform_lib.infra.monitoring.alert_routing import ALERT_ADDRESS
from platform_lib.infra.storage.database import DATABASE_URL, DATABASE_URL_FORM
from platform_lib.infra.storage.object_store import ObjectStoreArgs
from platform_lib.infra.team.model_names import MODEL_PATTERN, checked_models
from platform_lib.infra.team.request_log import REQUEST_LOG_KEYS, REQUEST_LOG_SECRET
from platform_lib.infra.team.team import Quota, TeamArgs
from platform_lib.names import SharedOutputs


@dataclass(frozen=True, kw_only=True)
class StackConfig(ClusterSettings, PodConfig, BackupConfig, AwsSettings):
    """One field per key of Pulumi.yaml, with the rule for its value."""

    domain: Annotated[str, rules.DOMAIN]
    kubeconfig: Annotated[str, rules.FILE]
    context: Annotated[str, rules.LINE]
    size: Annotated[Size, SIZE]
    storage_class: Annotated[str, rules.KUBERNETES_NAME]
    service_type: Annotated[str, SERVICE_TYPE]
    trusted_proxies: Annotated[tuple[str, ...], rules.NETWORK]
    oidc_issuer: Annotated[str, rules.HTTPS_URL]
    oidc_client_id: Annotated[str, rules.TEXT]
    oidc_client_secret: Annotated[SecretText, rules.TEXT]
    oidc_groups_claim: Annotated[str, rules.TEXT]
    oidc_scopes: Annotated[tuple[str, ...], rules.TEXT]
    oidc_email_claim: Annotated[str, rules.TEXT]
    oidc_unverified_email: bool
    oidc_logout_url: Annotated[str, rules.HTTPS_URL]
    oidc_refresh_minutes: Annotated[int, rules.COUNT]
    email_domains: Annotated[tuple[str, ...], rules.EMAIL_DOMAIN]
    email_addresses: Annotated[tuple[str, ...], rules.EMAIL]
    admin_groups: Annotated[tuple[str, ...], rules.GROUP]
    ui_groups: Annotated[tuple[str, ...], pair(rules.GROUP, "UI=GROUP")]
    mlflow_database_url: Annotated[SecretText, DATABASE_URL]
    prefect_database_url: Annotated[SecretText, DATABASE_URL]
    team_prefect_database_urls: Annotated[SecretTexts, pair(DATABASE_URL, f"TEAM={DATABASE_URL_FORM}")]
    database_port: Annotated[int, rules.PORT]
    artifacts_uri: Annotated[str, rules.BUCKET_URI]
    request_log_uri: Annotated[str, rules.BUCKET_URI]
    team_request_log_keys: Annotated[SecretTexts, pair(REQUEST_LOG_KEYS, "TEAM=ACCESS_KEY_ID:SECRET_ACCESS_KEY")]
    s3_endpoint: Annotated[str, rules.HTTP_URL]
    s3_region: Annotated[str, rules.REGION]
    s3_access_key_id: Annotated[SecretText, rules.TEXT]
    s3_secret_access_key: Annotated[SecretText, rules.TEXT]
    teams: Annotated[tuple[str, ...], TEAM]
    team_models: Annotated[tuple[str, ...], pair(MODEL_PATTERN, "TEAM=NAME or TEAM=PREFIX*")]
    mlflow_names: Annotated[Literal["first-registration", "team-models"], NAMES]
    champion_roles: Annotated[tuple[str, ...], rules.GROUP]
    team_groups: Annotated[tuple[str, ...], pair(rules.GROUP, "TEAM=GROUP")]
    team_ci_groups: Annotated[tuple[str, ...], pair(rules.GROUP, "TEAM=GROUP")]
    team_cpu: Annotated[int, rules.COUNT]
    team_memory_gib: Annotated[int, rules.COUNT]
    team_gpus: Annotated[int, rules.COUNT_OR_NONE]
    alerts: Annotated[SecretText, ALERT_ADDRESS]
    metrics_retention_days: Annotated[int, rules.COUNT]
    request_rate_scaling: bool
    egress: Annotated[tuple[str, ...], EGRESS]
    chart_mirror: Annotated[str, rules.CHART_MIRROR]
    image_registry: Annotated[str, rules.IMAGE_REGISTRY]
    http_proxy: Annotated[str, rules.PROXY_URL]
    no_proxy: Annotated[str, rules.HOST_LIST]
    ca_bundle: Annotated[str, rules.PEM]

    def __post_init__(self) -> None:
        """Check settings against each other. Each value already keeps its own rule."""
        check_together(self)

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
                outputs=team_outputs(outputs, team, self.team_request_log_keys),
                request_log_keys=self.team_request_log_keys.get(team),
                image_pull_logins=self.image_pull_logins,
                models=models[team],
                people_groups=groups,
                ci_groups=ci.get(team, []),
                quota=self.quota,
                egress=self.destinations("teams", team_namespace(team)),
            )
            for team, groups in self.groups.items()
        }

    def destinations(self, *pods: str) -> list[Destination]:
        """More destinations of pods, which entries of `egress` name by one of these words or by `all`."""
        found = map(parse_destination, self.egress)
        return [one for one in found if one is not None and one.pods in ("all", *pods)]

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
        """Size, mirrors, volumes and pods of every component."""
        return Placement(
            size=self.size,
            mirrors=self.mirrors,
            storage_class=self.storage_class,
            volumes_gib=self.volumes_gib,
            pods=self.pods,
        )

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
REQUIRED = (
    "domain",
    "target",
    "size",
    "ingress_class",
    "certificate_issuer",
    "acme_server",
    "service_type",
    "external_traffic_policy",
    "backup_schedule",
    "backup_name",
    "oidc_groups_claim",
    "oidc_email_claim",
    "mlflow_names",
)
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
        check_target(values)
        check_databases(values)
        for key, setting in SETTINGS.items():
            if not (setting.is_secret and setting.kind is tuple):
                continue
            values[key] = {team: pulumi.Output.secret(text) for team, [text] in pairs(values[key]).items()}
        texts = {key: values.get(key, "") for key, setting in SETTINGS.items() if setting.kind is str}
        secrets = {key: pulumi.Output.secret(texts[key]) if texts[key] else None for key in SECRET_KEYS if key in texts}
        return StackConfig(**{**values, **texts, **secrets})
    except SettingError as err:
        raise pulumi.RunError(f"Stack {pulumi.get_stack()}: {err}") from err


def team_outputs(outputs: SharedOutputs, team: str, log_keys: SecretTexts) -> SharedOutputs:
    """The outputs that a team reads: with the addresses of its own Prefect, and its own keys for request logs."""
    return replace(
        outputs,
        request_log_store=REQUEST_LOG_SECRET if team in log_keys else "",
        prefect_api_url=prefect_api_url(team),
        prefect_ui_url=f"https://{host(prefect_host(team), outputs.domain)}",
    )
