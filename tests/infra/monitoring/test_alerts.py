"""Every alert fires when it should, and only then, in the real promtool."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from platform_lib.infra.base.setting_rules import SettingError
from platform_lib.infra.model.alerts import AlertThresholds
from tests.infra.monitoring.alert_rules import MODEL, PLATFORM
from tests.infra.promtool import Story, check_rules, run_stories

AT = 'namespace="team-red",service="churn",pod="churn-1"'
OTHER = 'namespace="team-blue",service="churn",pod="churn-1"'
REQUESTS = f'mlp_requests_total{{{AT},protocol="rows",model="churn",version="3",code="%s"}}'
BUCKET = f'mlp_request_seconds_bucket{{{AT},protocol="rows",model="churn",version="3",le="%s"}}'
INFO = f'mlp_model_info{{{AT},model="churn",version="%s",alias="%s"}}'
CHAMPION = f'mlp_champion_info{{{AT},model="churn",version="%s"}}'
HPA = 'namespace="team-red",horizontalpodautoscaler="churn"'
ME = {"model": "churn", "namespace": "team-red"}


def binned(**counts: str) -> dict[str, str]:
    """Two replicas' counters of one column with two bins that were equally frequent in training."""
    labels = 'namespace="team-red",service="churn",model="churn",version="3",feature="plan"'
    series = {}
    for name, values in counts.items():
        for pod in ("churn-1", "churn-2"):
            series[f'mlp_feature_bin_total{{{labels},bin="{name}",pod="{pod}"}}'] = values
            series[f'mlp_feature_reference_share{{{labels},bin="{name}",pod="{pod}"}}'] = "0.5x5760"
    return series


MODEL_STORIES = [
    Story(alert="ModelDown", series={f"up{{{AT}}}": "1x9 0x10"}, at="20m", fires=(ME,)),
    Story(alert="ModelDown", series={f"up{{{OTHER}}}": "1x20"}, at="10m", fires=(ME,)),
    Story(alert="ModelDown", series={f"up{{{AT}}}": "1x4 0x3 1x20"}, at="12m", fires=()),
    Story(
        alert="ModelDown",
        series={f"up{{{AT}}}": "0x20", 'up{namespace="team-red",service="churn",pod="churn-2"}': "1x20"},
        at="20m",
        fires=(),
    ),
    Story(
        alert="ModelNotReady",
        series={'kube_deployment_status_replicas_available{namespace="team-red",deployment="churn"}': "0x10"},
        at="10m",
        fires=({**ME, "deployment": "churn"},),
    ),
    Story(
        alert="ModelNotReady",
        series={'kube_deployment_status_replicas_available{namespace="team-red",deployment="churn"}': "1x10"},
        at="10m",
        fires=(),
    ),
    Story(alert="ModelErrors", series={REQUESTS % "200": "0+97x30", REQUESTS % "500": "0+3x30"}, at="20m", fires=(ME,)),
    Story(alert="ModelErrors", series={REQUESTS % "200": "0+99x30", REQUESTS % "500": "0+1x30"}, at="20m", fires=()),
    Story(alert="ModelErrors", series={REQUESTS % "200": "0+99x30", REQUESTS % "422": "0+50x30"}, at="20m", fires=()),
    # One failure among three requests is a large share of very little.
    Story(
        alert="ModelErrors", series={REQUESTS % "200": "0x14 2x20", REQUESTS % "500": "0x14 1x20"}, at="20m", fires=()
    ),
    Story(
        alert="ModelSlow",
        series={
            BUCKET % "0.5": "0+50x40",
            BUCKET % "1": "0+90x40",
            BUCKET % "2": "0+100x40",
            BUCKET % "+Inf": "0+100x40",
        },
        at="30m",
        fires=(ME,),
    ),
    Story(
        alert="ModelSlow",
        series={
            BUCKET % "0.5": "0+100x40",
            BUCKET % "1": "0+100x40",
            BUCKET % "2": "0+100x40",
            BUCKET % "+Inf": "0+100x40",
        },
        at="30m",
        fires=(),
    ),
    Story(alert="ModelSlow", series={BUCKET % "1": "5x40", BUCKET % "+Inf": "9x40"}, at="30m", fires=()),  # no requests
    Story(alert="ModelSaturated", series={f"mlp_in_flight{{{AT}}}": "80x30"}, at="25m", fires=(ME,)),
    Story(alert="ModelSaturated", series={f"mlp_in_flight{{{AT}}}": "3x30"}, at="25m", fires=()),
    Story(alert="ModelSaturated", series={f"mlp_in_flight{{{AT}}}": "3x10 250x1 3x20"}, at="20m", fires=()),
    Story(
        alert="ModelNotChampion",
        series={INFO % ("3", "champion"): "1x30", CHAMPION % "4": "1x30"},
        at="20m",
        fires=({**ME, "version": "3"},),
    ),
    Story(
        alert="ModelNotChampion", series={INFO % ("3", "champion"): "1x30", CHAMPION % "3": "1x30"}, at="20m", fires=()
    ),
    # The previous version stays at 0 after a swap, a canary may differ, and there may be no champion to differ from.
    Story(
        alert="ModelNotChampion",
        series={
            INFO % ("3", "champion"): "0x30",
            INFO % ("4", "champion"): "1x30",
            INFO % ("5", "canary"): "1x30",
            CHAMPION % "4": "1x30",
        },
        at="20m",
        fires=(),
    ),
    Story(alert="ModelNotChampion", series={INFO % ("3", ""): "1x30"}, at="20m", fires=()),
    Story(
        alert="ModelNotChampion",
        series={INFO % ("3", "champion"): "1x30", CHAMPION % "3": "1x9 _x21", CHAMPION % "4": "_x10 1x20"},
        at="20m",
        fires=(),
    ),
    Story(
        alert="ModelVersionRefused",
        series={f'mlp_model_refused_total{{{AT},model="churn"}}': "0x9 1x20"},
        at="15m",
        fires=(ME,),
    ),
    Story(
        alert="ModelVersionRefused",
        series={f'mlp_model_refused_total{{{AT},model="churn"}}': "1x40"},
        at="30m",
        fires=(),
    ),
    Story(
        alert="ModelCanaryOff",
        series={
            f'mlp_canary_off{{{AT},model="churn",version="4"}}': "0x9 1x20",
            f'mlp_canary_off{{{AT},model="churn",version="3"}}': "1x9 0x20",
        },
        at="15m",
        fires=({**ME, "version": "4"},),
    ),
    Story(
        alert="ModelCanaryOff", series={f'mlp_canary_off{{{AT},model="churn",version="4"}}': "0x30"}, at="20m", fires=()
    ),
    Story(
        alert="ModelDrift",
        series=binned(a="0+9x5760", b="0+1x5760"),
        at="50h",
        fires=({**ME, "version": "3", "feature": "plan"},),
    ),
    # One window over the limit may be a weekend.
    Story(alert="ModelDrift", series=binned(a="0+9x5760", b="0+1x5760"), at="24h", fires=()),
    Story(alert="ModelDrift", series=binned(a="0+5x5760", b="0+5x5760"), at="50h", fires=()),
    Story(alert="ModelDrift", series=binned(a="0+9x4320 38880+5x1440", b="0+1x4320 4320+5x1440"), at="96h", fires=()),
    # The last 24 hours have 288 rows of the new kind, too few to judge.
    Story(alert="ModelDrift", series=binned(a="0x2880 0+0.1x2880", b="0x5760"), at="96h", fires=()),
    Story(alert="ModelLogDrops", series={f"mlp_log_dropped_total{{{AT}}}": "0x9 40x20"}, at="15m", fires=(ME,)),
    Story(alert="ModelLogDrops", series={f"mlp_log_dropped_total{{{AT}}}": "40x40"}, at="30m", fires=()),
    Story(
        alert="ModelAtItsLimit",
        series={
            f"kube_horizontalpodautoscaler_status_current_replicas{{{HPA}}}": "6x60",
            f"kube_horizontalpodautoscaler_spec_max_replicas{{{HPA}}}": "6x60",
        },
        at="40m",
        fires=({**ME, "horizontalpodautoscaler": "churn"},),
    ),
    Story(
        alert="ModelAtItsLimit",
        series={
            f"kube_horizontalpodautoscaler_status_current_replicas{{{HPA}}}": "5x60",
            f"kube_horizontalpodautoscaler_spec_max_replicas{{{HPA}}}": "6x60",
        },
        at="40m",
        fires=(),
    ),
]

DEPLOYMENT = {"namespace": "mlp-mlflow", "deployment": "mlflow"}
STORE = {"namespace": "mlp-monitoring", "statefulset": "prometheus"}
EDGE = 'traefik_service_requests_total{service="mlp-mlflow-mlflow-5000@kubernetescrd",code="%s"}'
CLAIM = {"namespace": "mlp-monitoring", "persistentvolumeclaim": "prometheus-0"}
POD = {"namespace": "mlp-mlflow", "pod": "mlflow-1", "container": "server"}
CERTIFICATE = {"exported_namespace": "mlp-ingress", "name": "models"}


def labels(values: dict[str, str], **more: str) -> str:
    return ",".join(f'{key}="{value}"' for key, value in {**values, **more}.items())


PLATFORM_STORIES = [
    Story(
        alert="PlatformServiceDown",
        series={
            f"kube_deployment_status_replicas_available{{{labels(DEPLOYMENT)}}}": "0x20",
            f"kube_deployment_spec_replicas{{{labels(DEPLOYMENT)}}}": "2x20",
        },
        at="10m",
        fires=(DEPLOYMENT,),
    ),
    Story(  # scaled to zero on purpose, or owned by someone else
        alert="PlatformServiceDown",
        series={
            f"kube_deployment_status_replicas_available{{{labels(DEPLOYMENT)}}}": "0x20",
            f"kube_deployment_spec_replicas{{{labels(DEPLOYMENT)}}}": "0x20",
            'kube_deployment_status_replicas_available{namespace="default",deployment="x"}': "0x20",
            'kube_deployment_spec_replicas{namespace="default",deployment="x"}': "1x20",
        },
        at="10m",
        fires=(),
    ),
    Story(
        alert="PlatformStoreDown",
        series={
            f"kube_statefulset_status_replicas_ready{{{labels(STORE)}}}": "0x20",
            f"kube_statefulset_replicas{{{labels(STORE)}}}": "1x20",
        },
        at="10m",
        fires=(STORE,),
    ),
    Story(
        alert="PlatformStoreDown",
        series={
            f"kube_statefulset_status_replicas_ready{{{labels(STORE)}}}": "1x20",
            f"kube_statefulset_replicas{{{labels(STORE)}}}": "1x20",
        },
        at="10m",
        fires=(),
    ),
    Story(
        alert="PlatformPodRestarts",
        series={f"kube_pod_container_status_restarts_total{{{labels(POD)}}}": "0+1x40"},
        at="30m",
        fires=(POD,),
    ),
    Story(
        alert="PlatformPodRestarts",
        series={f"kube_pod_container_status_restarts_total{{{labels(POD)}}}": "0x10 1x40"},
        at="30m",
        fires=(),
    ),
    Story(
        alert="PlatformVolumeFills",
        series={
            f"kubelet_volume_stats_available_bytes{{{labels(CLAIM)}}}": "5x40",
            f"kubelet_volume_stats_capacity_bytes{{{labels(CLAIM)}}}": "100x40",
        },
        at="30m",
        fires=(CLAIM,),
    ),
    Story(
        alert="PlatformVolumeFills",
        series={
            f"kubelet_volume_stats_available_bytes{{{labels(CLAIM)}}}": "50x40",
            f"kubelet_volume_stats_capacity_bytes{{{labels(CLAIM)}}}": "100x40",
        },
        at="30m",
        fires=(),
    ),
    Story(
        alert="EdgeErrors",
        series={EDGE % "200": "0+80x30", EDGE % "502": "0+20x30"},
        at="20m",
        fires=({"service": "mlp-mlflow-mlflow-5000@kubernetescrd"},),
    ),
    Story(alert="EdgeErrors", series={EDGE % "200": "0+80x30", EDGE % "404": "0+20x30"}, at="20m", fires=()),
    Story(
        alert="CertificateExpires",
        series={
            f"certmanager_certificate_expiration_timestamp_seconds{{{labels(CERTIFICATE)}}}": "864000x120"
        },  # day 10, last seen on day 0
        at="90m",
        fires=(CERTIFICATE,),
    ),
    Story(
        alert="CertificateExpires",
        series={f"certmanager_certificate_expiration_timestamp_seconds{{{labels(CERTIFICATE)}}}": "5184000x120"},
        at="90m",
        fires=(),
    ),
    Story(
        alert="CertificateNotReady",
        series={f"certmanager_certificate_ready_status{{{labels(CERTIFICATE, condition='True')}}}": "0x60"},
        at="45m",
        fires=({**CERTIFICATE, "condition": "True"},),
    ),
    Story(
        alert="CertificateNotReady",
        series={
            f"certmanager_certificate_ready_status{{{labels(CERTIFICATE, condition='True')}}}": "1x60",
            f"certmanager_certificate_ready_status{{{labels(CERTIFICATE, condition='False')}}}": "0x60",
        },
        at="45m",
        fires=(),
    ),
    Story(
        alert="AlertsNotDelivered",
        series={'alertmanager_notifications_failed_total{integration="slack",pod="a"}': "0x10 3x30"},
        at="17m",
        fires=({"integration": "slack"},),
    ),
    Story(
        alert="AlertsNotDelivered",
        series={'alertmanager_notifications_failed_total{integration="slack",pod="a"}': "3x40"},
        at="17m",
        fires=(),
    ),
    Story(alert="AlertsGoNowhere", series={'up{job="kube-state-metrics"}': "1x40"}, at="30m", fires=({},)),
    Story(
        alert="AlertsGoNowhere",
        series={"alertmanager_build_info": "1x40", 'up{job="kube-state-metrics"}': "1x40"},
        at="30m",
        fires=(),
    ),
]


@pytest.mark.parametrize("groups", [MODEL, PLATFORM], ids=["model", "platform"])
def test_promtool_accepts_every_rule(
    engine: Callable[[str], str], tmp_path: Path, groups: list[dict[str, Any]]
) -> None:
    assert f"SUCCESS: {sum(len(group['rules']) for group in groups)} rules found" in check_rules(
        engine("promtool"), groups, tmp_path
    )


@pytest.mark.parametrize(
    ("groups", "stories"), [(MODEL, MODEL_STORIES), (PLATFORM, PLATFORM_STORIES)], ids=["model", "platform"]
)
def test_every_alert_fires_when_it_should_and_only_then(
    engine: Callable[[str], str], tmp_path: Path, groups: list[dict[str, Any]], stories: list[Story]
) -> None:
    run_stories(engine("promtool"), groups, stories, tmp_path)


@pytest.mark.parametrize(
    ("groups", "stories"), [(MODEL, MODEL_STORIES), (PLATFORM, PLATFORM_STORIES)], ids=["model", "platform"]
)
def test_every_alert_has_a_story_that_fires_it_and_one_that_does_not(
    groups: list[dict[str, Any]], stories: list[Story]
) -> None:
    names = sorted(rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule)
    assert sorted({story.alert for story in stories if story.fires}) == names
    assert sorted({story.alert for story in stories if not story.fires}) == names


def test_a_wrong_story_fails(engine: Callable[[str], str], tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="FAILED"):
        run_stories(
            engine("promtool"),
            MODEL,
            [Story(alert="ModelDown", series={f"up{{{AT}}}": "1x20"}, at="10m", fires=(ME,))],
            tmp_path,
        )


def test_every_alert_links_to_an_existing_runbook_section() -> None:
    from tests.conftest import REPOSITORY

    rules = [rule for group in [*MODEL, *PLATFORM] for rule in group["rules"] if "alert" in rule]
    for rule in rules:
        page, anchor = rule["annotations"]["runbook"].split("#")
        headings = [
            line.lstrip("# ").strip().lower()
            for line in (REPOSITORY / page).read_text(encoding="utf-8").splitlines()
            if line.startswith("#")
        ]
        assert anchor in headings, f"{page} has no heading {rule['alert']}"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"error_share": 2.0}, "error_share is 2.0: give a share between 0 and 1"),
        ({"latency_p99_s": 0.0}, "latency_p99_s is 0.0: give a number above 0"),
    ],
    ids=["share", "seconds"],
)
def test_an_invalid_limit_is_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        AlertThresholds(**wrong)  # type: ignore[arg-type]
