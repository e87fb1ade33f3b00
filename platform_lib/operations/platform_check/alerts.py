"""Checks of alerts: Prometheus scrapes and evaluates rules, Alertmanager has receivers and reaches them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import yaml

from platform_lib.findings import Finding, note, ok, problem
from platform_lib.infra.monitoring.alert_routing import CHECK_ALERT

_SENT_WITHIN_S = 60.0


def look_at_prometheus(url: str) -> Iterator[Finding]:
    """Check Prometheus at a forwarded address."""
    with httpx.Client(base_url=url, timeout=15, trust_env=False) as client:
        targets = (
            client.get("/api/v1/targets", params={"state": "active"}).raise_for_status().json()["data"]["activeTargets"]
        )
        down = sorted(
            {
                f"{target['labels'].get('job')} ({target['lastError'] or 'no response'})"
                for target in targets
                if target["health"] == "down"
            }
        )
        if down:
            yield problem(
                "alerts",
                f"Prometheus cannot scrape {', '.join(down):.300}.",
                "A NetworkPolicy blocks it, or the service is down.",
            )
        yield ok("alerts", f"Prometheus scrapes {len(targets) - len(down)} targets.")
        groups = client.get("/api/v1/rules", params={"type": "alert"}).raise_for_status().json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        broken = [rule["name"] for rule in rules if rule.get("health") == "err"]
        if broken:
            yield problem(
                "alerts",
                f"rules that cannot be evaluated: {', '.join(broken):.300}.",
                "Prometheus shows their last error at /rules.",
            )
        if not any(rule["name"] == "PlatformServiceDown" for rule in rules):
            yield problem("alerts", "the platform's own rules are not loaded.", "Run `pulumi up` in infra_stack/.")
        firing = sorted(
            {
                rule["name"]
                for rule in rules
                if rule["state"] == "firing" and rule["name"] not in ("Watchdog", "InfoInhibitor")
            }
        )
        if firing:
            yield note(
                "alerts",
                f"firing now: {', '.join(firing):.300}.",
                "docs/platform/troubleshooting.md has a section for each alert of the platform.",
            )


def look_at_alertmanager(url: str, *, send: bool) -> Iterator[Finding]:
    """Check Alertmanager at a forwarded address.

    Args:
        url: The forwarded address.
        send: Send a test alert to the receivers and wait until it is sent; False checks only earlier alerts.
    """
    with httpx.Client(base_url=url, timeout=15, trust_env=False) as client:
        config = yaml.safe_load(client.get("/api/v2/status").raise_for_status().json()["config"]["original"])
        people = [receiver for receiver in config["receivers"] if any(key.endswith("_configs") for key in receiver)]
        if not people:
            yield problem(
                "alerts",
                "alerts have no receiver.",
                "Run `pulumi config set --secret alerts ADDRESS` in infra_stack/, then `pulumi up`.",
            )
            return
        ways = sorted(
            {key.removesuffix("_configs") for receiver in people for key in receiver if key.endswith("_configs")}
        )
        before = _sent(client)
        if send:
            yield _send(client, before, ways)
        elif before[1]:
            yield problem(
                "alerts",
                f"{before[1]:g} of {before[0]:g} messages by {', '.join(ways)} did not arrive.",
                "Alertmanager's log has the reason; then set `alerts` again.",
            )
        else:
            yield ok(
                "alerts",
                f"alerts are sent by {', '.join(ways)}; none of {before[0]:g} messages failed. --send-alert tests it.",
            )


def _send(client: httpx.Client, before: tuple[float, float], ways: list[str]) -> Finding:
    now = datetime.now(UTC)
    alert = {
        "labels": {"alertname": CHECK_ALERT, "severity": "info", "moment": now.isoformat(timespec="seconds")},
        "annotations": {
            "summary": "A test by `mlp platform check --send-alert`.",
            "description": "Nothing is wrong.",
            "runbook": "",
        },
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(minutes=1)).isoformat(),
    }
    client.post("/api/v2/alerts", json=[alert]).raise_for_status()
    deadline = time.monotonic() + _SENT_WITHIN_S
    while time.monotonic() < deadline:
        total, failed = _sent(client)
        if failed > before[1]:
            return problem(
                "alerts",
                f"a test alert by {', '.join(ways)} could not be sent.",
                "Alertmanager's log has the reason; then set `alerts` of the stack again.",
            )
        if total > before[0]:
            return ok("alerts", f"a test alert was sent by {', '.join(ways)}: check that it arrived.")
        time.sleep(0.5)
    return problem(
        "alerts",
        f"a test alert was not sent within {_SENT_WITHIN_S:g} s.",
        "Alertmanager's log has the reason.",
    )


def _sent(client: httpx.Client) -> tuple[float, float]:
    """Return the number of messages sent, and how many of them failed."""
    counts = {"alertmanager_notifications_total": 0.0, "alertmanager_notifications_failed_total": 0.0}
    for line in client.get("/metrics").raise_for_status().text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in counts:
            counts[name] += float(line.rsplit(" ", 1)[-1])
    return counts["alertmanager_notifications_total"], counts["alertmanager_notifications_failed_total"]
