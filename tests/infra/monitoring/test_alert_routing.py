"""One address determines the destination of alerts."""

import re
from typing import Any

import pytest
import yaml

from platform_lib.infra.base.setting_rules import SettingError
from platform_lib.infra.monitoring.alert_routing import alertmanager_config

SLACK = "https://hooks.slack.com/services/T0/B0/secret"


def config(destination: str, **more: str) -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(alertmanager_config(destination, **more))
    return made


def people(destination: str) -> dict[str, Any]:
    return next(receiver for receiver in config(destination)["receivers"] if receiver["name"] == "people")


def test_a_slack_address_gives_a_slack_receiver() -> None:
    (slack,) = people(SLACK)["slack_configs"]
    assert slack["api_url"] == SLACK
    assert ".Annotations.summary" in slack["text"]


def test_a_webhook_address_gives_a_webhook_receiver() -> None:
    assert people("https://alerts.example.com/hook?token=x") == {
        "name": "people",
        "webhook_configs": [{"url": "https://alerts.example.com/hook?token=x", "send_resolved": True}],
    }


def test_a_mail_address_gives_an_email_receiver() -> None:
    (mail,) = people(
        "smtp://robot%40example.com:p%2Fw@mail.example.com:2525/?from=ml@example.com&to=red@example.com&to=blue@example.com"
    )["email_configs"]
    assert mail == {
        "smarthost": "mail.example.com:2525",
        "from": "ml@example.com",
        "to": "red@example.com, blue@example.com",
        "send_resolved": True,
        "require_tls": True,
        "auth_username": "robot@example.com",
        "auth_password": "p/w",
    }
    (plain,) = people("smtps://mail.example.com/?from=a@b&to=c@d")["email_configs"]
    assert (plain["smarthost"], "auth_password" in plain) == ("mail.example.com:465", False)


def test_without_an_address_alerts_stay_in_grafana() -> None:
    assert people("") == {"name": "people"}


def test_every_route_leads_to_an_existing_receiver() -> None:
    made = config(SLACK)
    names = {receiver["name"] for receiver in made["receivers"]}
    assert {made["route"]["receiver"], *(route["receiver"] for route in made["route"]["routes"])} == names


def test_the_test_alert_is_sent_at_once() -> None:
    route = next(route for route in config(SLACK)["route"]["routes"] if "MlpPlatformCheck" in route["matchers"][0])
    assert (route["receiver"], route["group_wait"]) == ("people", "1s")


def test_external_receivers_use_the_proxy() -> None:
    assert config(SLACK, http_proxy="http://proxy:3128", no_proxy=".svc")["global"]["http_config"] == {
        "proxy_url": "http://proxy:3128",
        "no_proxy": ".svc",
    }
    assert "http_config" not in config(SLACK)["global"]


@pytest.mark.parametrize(
    "destination",
    [
        "#alerts",
        "http://alerts.example.com",
        "smtp://mail.alerts.example.com",
        "smtp://alerts.example.com/?from=a@b.example",
        "smtp://alerts.example.com/?from=me&to=you",
    ],
)
def test_an_invalid_address_is_refused_without_showing_it(destination: str) -> None:
    with pytest.raises(
        SettingError, match=re.escape("alerts is not of the expected form: give https://hooks.slack.com")
    ) as caught:
        alertmanager_config(destination)
    assert "alerts.example.com" not in str(caught.value)  # it may hold a password
