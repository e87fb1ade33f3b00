"""Checks of the stack's settings against each other. Each value already keeps its own rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra_stack.pairs import pairs
from platform_lib.infra.base.addresses import EGRESS_PODS, parse_destination
from platform_lib.infra.base.naming import UI_HOSTS, team_namespace
from platform_lib.infra.base.setting_rules import SettingError
from platform_lib.infra.edge.login import GOOGLE
from platform_lib.infra.storage.database import PORT

if TYPE_CHECKING:
    from infra_stack.config import StackConfig


def check_together(config: StackConfig) -> None:
    """Check settings against each other.

    Raises:
        SettingError: Two settings contradict each other; the sentence names both.
    """
    config.check_cluster_settings(
        scales_on_requests=config.request_rate_scaling, has_database_urls=config.mlflow_database_url is not None
    )
    if config.oidc_issuer and not (config.oidc_client_id and config.oidc_client_secret is not None):
        raise SettingError(
            "oidc_issuer is set, but oidc_client_id or oidc_client_secret is not: "
            "`pulumi config set oidc_client_id ID` and `pulumi config set --secret oidc_client_secret SECRET`."
        )
    if config.oidc_issuer and not (config.email_domains or config.email_addresses):
        raise SettingError("email_domains is empty, so nobody could log in: list your e-mail domains, or * for all.")
    if config.oidc_issuer.rstrip("/") == GOOGLE and "*" in config.email_domains:
        raise SettingError(
            f"email_domains has *, and {GOOGLE} would let everyone with a Google account in: list your own domains, "
            "or the people in email_addresses with email_domains empty."
        )
    if not config.oidc_issuer and config.ui_groups:
        raise SettingError(
            "ui_groups is set, but oidc_issuer is not: set oidc_issuer, which provides groups, or remove ui_groups."
        )
    if (config.mlflow_database_url is None) != (config.prefect_database_url is None):
        raise SettingError(
            "mlflow_database_url and prefect_database_url belong together: set both, or neither to run Postgres in "
            "the cluster."
        )
    if (config.s3_access_key_id is None) != (config.s3_secret_access_key is None):
        raise SettingError(
            "s3_access_key_id and s3_secret_access_key belong together: set both, or neither if pods have their "
            "own identity."
        )
    wanted = config.teams if config.prefect_database_url is not None else ()
    if set(config.team_prefect_database_urls) != set(wanted):
        raise SettingError(
            f"team_prefect_database_urls names {', '.join(sorted(config.team_prefect_database_urls)) or 'no team'}: "
            f"with prefect_database_url, give TEAM=URL for each of {', '.join(wanted) or 'no team'}; without it, "
            "leave the list empty."
        )
    config.check_aws_settings(config.teams)
    _check_teams(config)
    config.check_pods(config.teams)
    config.check_backup(has_database_urls=config.mlflow_database_url is not None)


def _check_teams(config: StackConfig) -> None:
    if len(set(config.teams)) != len(config.teams):
        raise SettingError(f"teams is {', '.join(config.teams)}: name each team once.")
    groups = [group for found in config.groups.values() for group in found]
    if len(set(groups)) != len(groups):
        raise SettingError(
            "team_groups gives one group to two teams: runs and models in MLflow belong to exactly one team. Use "
            "one group for each team."
        )
    for key in ("team_models", "team_groups", "team_ci_groups"):
        unknown = set(pairs(getattr(config, key))) - set(config.teams)
        if unknown:
            raise SettingError(
                f"{key} names {', '.join(sorted(unknown))}: the teams are {', '.join(config.teams) or 'none'}."
            )
    if unknown := set(config.team_request_log_keys) - set(config.teams):
        raise SettingError(
            f"team_request_log_keys names {', '.join(sorted(unknown))}: the teams are "
            f"{', '.join(config.teams) or 'none'}."
        )
    unknown = set(pairs(config.ui_groups)) - set(UI_HOSTS)
    if unknown:
        raise SettingError(
            f"ui_groups names {', '.join(sorted(unknown))}: the user interfaces are {', '.join(UI_HOSTS)}."
        )
    _ = config.models
    namespaces = {*EGRESS_PODS, *map(team_namespace, config.teams)}
    for index, entry in enumerate(config.egress):
        found = parse_destination(entry)
        if found is not None and found.pods not in namespaces:
            raise SettingError(
                f"egress[{index}] names {found.pods}: the teams are {', '.join(config.teams) or 'none'}; write "
                "team-NAME."
            )


def check_databases(values: Mapping[str, Any]) -> None:
    """Check the database URLs against each other while they are plain text.

    Args:
        values: Key → value, as `read_settings` returns them.
    Raises:
        SettingError: Two URLs name one database, or a port that the network policies do not open.
    """
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
    for key in ("team_prefect_database_urls", "team_request_log_keys"):
        if len({entry.partition("=")[0].strip() for entry in values[key]}) < len(values[key]):
            raise SettingError(f"{key} names a team twice: give each team one entry.")
    logins = [entry.partition("=")[0].strip() for entry in values["image_pull_logins"]]
    if len(set(logins)) < len(logins):
        raise SettingError("image_pull_logins names a registry twice: give each registry one entry.")
    places = [url.split("@")[-1].split("?")[0] for url in urls.values()]
    if len(set(places)) < len(places):
        raise SettingError(
            f"{', '.join(urls)} name the same database twice: give MLflow, Prefect and each team a separate database."
        )
