"""Alertmanager's configuration for one destination of alerts. It holds credentials, so keep it in a Secret."""

from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from platform_lib.infra.base.setting_rules import Rule, is_url

CHECK_ALERT: Final = "MlpPlatformCheck"
"""Alert that `mlp platform check` sends to test the delivery; it is not grouped with others."""
_FORMS = (
    "https://hooks.slack.com/services/… (Slack), smtp://USER:PASSWORD@HOST:587/?from=A@B&to=C@D (e-mail), "
    "or https://… (webhook)"
)


def _is_alert_address(value: str) -> bool:
    if not is_url(value, "smtp", "smtps"):
        return is_url(value, "https")
    query = parse_qs(urlsplit(value).query)
    sender, receivers = query.get("from", []), query.get("to", [])
    return len(sender) == 1 and bool(receivers) and all("@" in address for address in (*sender, *receivers))


ALERT_ADDRESS: Final = Rule(_is_alert_address, f"give {_FORMS}")
"""Destination of alerts; may contain a password or a token."""


def alertmanager_config(destination: str, *, http_proxy: str = "", no_proxy: str = "") -> str:
    """Return Alertmanager's configuration file.

    Args:
        destination: Slack's incoming webhook, `smtp://` or `smtps://` with `from` and `to`, or any other https address
            for a webhook; empty sends nothing, so that alerts are visible in Grafana and Alertmanager only.
        http_proxy: Proxy for Slack and webhooks.
        no_proxy: Hosts that bypass the proxy, comma-separated.
    Raises:
        SettingError: The destination has none of these forms.
    """
    if destination:
        ALERT_ADDRESS.check("alerts", destination, is_secret=True)
    receiver = {"name": "people", **_receiver(destination)} if destination else {"name": "people"}
    settings: dict[str, Any] = {"resolve_timeout": "5m"}
    if http_proxy:
        settings["http_config"] = {"proxy_url": http_proxy, **({"no_proxy": no_proxy} if no_proxy else {})}
    config = {
        "global": settings,
        "route": {
            "receiver": "people",
            "group_by": ["alertname", "namespace", "model"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "12h",
            "routes": [
                {"receiver": "nobody", "matchers": ['alertname =~ "Watchdog|InfoInhibitor"']},
                {
                    "receiver": "people",
                    "matchers": [f'alertname = "{CHECK_ALERT}"'],
                    "group_wait": "1s",
                    "group_interval": "1m",
                },
                {"receiver": "people", "matchers": ['severity = "critical"'], "repeat_interval": "4h"},
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['severity = "critical"'],
                "target_matchers": ['severity =~ "warning|info"'],
                "equal": ["namespace", "alertname"],
            },
            # A model that is down is also slow, saturated and not the champion: one notification is enough.
            {
                "source_matchers": ['alertname = "ModelDown"'],
                "target_matchers": ['alertname =~ "Model.*"', 'alertname != "ModelDown"'],
                "equal": ["namespace", "model"],
            },
        ],
        "receivers": [{"name": "nobody"}, receiver],
    }
    return yaml.safe_dump(config, sort_keys=False)


def _receiver(destination: str) -> dict[str, Any]:
    parts = urlsplit(destination)
    if parts.scheme in ("smtp", "smtps"):
        return {"email_configs": [_email(destination)]}
    if parts.hostname == "hooks.slack.com":
        slack = {
            "api_url": destination,
            "send_resolved": True,
            "title": "{{ .Status | toUpper }}: {{ .CommonLabels.alertname }}"
            "{{ with .CommonLabels.model }} of {{ . }}{{ end }}",
            "text": "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.description }}\n"
            "{{ .Annotations.runbook }}\n{{ end }}",
        }
        return {"slack_configs": [slack]}
    return {"webhook_configs": [{"url": destination, "send_resolved": True}]}


def _email(destination: str) -> dict[str, Any]:
    parts = urlsplit(destination)
    query = parse_qs(parts.query)
    sender, receivers = query.get("from", [""])[0], query.get("to", [])
    made: dict[str, Any] = {
        "smarthost": f"{parts.hostname}:{parts.port or (465 if parts.scheme == 'smtps' else 587)}",
        "from": sender,
        "to": ", ".join(receivers),
        "send_resolved": True,
        "require_tls": True,
    }
    if parts.username:
        made |= {"auth_username": unquote(parts.username), "auth_password": unquote(parts.password or "")}
    return made
