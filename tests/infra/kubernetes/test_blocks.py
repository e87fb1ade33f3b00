"""The pure parts of the infrastructure: names, images, mirrors, sizes and model names."""

import pytest

from platform_lib.infra.base.access import S3Access
from platform_lib.infra.base.labels import labels, selector
from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.naming import short, team_namespace
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import DOMAIN, SettingError
from platform_lib.infra.base.sizing import RESOURCES, SIZES, STORAGE_GIB
from platform_lib.infra.base.versions import CHARTS, IMAGES, image, mirrored
from platform_lib.infra.kubernetes.helm_service import HelmServiceArgs, chart_source
from platform_lib.infra.storage.database import DATABASE_URL
from platform_lib.infra.team.model_names import checked_models, overlap
from platform_lib.infra.team.team import Quota

MIRROR = Mirrors(image_registry="registry.internal/mirror")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("docker.io/library/traefik:v3", "registry.internal/mirror/library/traefik:v3"),
        ("ghcr.io/a/b@sha256:" + "0" * 64, "registry.internal/mirror/a/b@sha256:" + "0" * 64),
        ("localhost:5000/a:1", "registry.internal/mirror/a:1"),
        ("prefecthq/prefect:3", "registry.internal/mirror/prefecthq/prefect:3"),
        ("redis:7", "registry.internal/mirror/redis:7"),
    ],
)
def test_a_mirror_replaces_the_registrys_host(reference: str, expected: str) -> None:
    assert mirrored(reference, MIRROR) == expected
    assert mirrored(reference, Mirrors()) == reference


@pytest.mark.parametrize("name", IMAGES)
def test_images_have_a_registry_and_an_exact_tag(name: str) -> None:
    path, _, tag = image(name, Mirrors()).rpartition(":")
    assert "." in path.split("/")[0] and any(character.isdigit() for character in tag)


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        ("", ("keda", "https://kedacore.github.io/charts")),
        ("https://charts.internal", ("keda", "https://charts.internal")),
        ("oci://registry.internal/charts/", ("oci://registry.internal/charts/keda", "")),
        ("/srv/charts/", ("/srv/charts/keda-2.20.2.tgz", "")),
        ("file:///srv/charts", ("/srv/charts/keda-2.20.2.tgz", "")),
    ],
)
def test_charts_come_from_upstream_a_repository_a_registry_or_a_folder(mirror: str, expected: tuple[str, str]) -> None:
    assert chart_source(CHARTS["keda"], Mirrors(chart_mirror=mirror)) == expected


def test_cluster_internal_names_bypass_the_proxy() -> None:
    environment = Mirrors(http_proxy="http://proxy:3128", no_proxy=" .internal , ").proxy_environment()
    assert environment["HTTPS_PROXY"] == environment["https_proxy"] == "http://proxy:3128"
    assert {"localhost", ".svc", ".cluster.local", ".internal"} <= set(environment["NO_PROXY"].split(","))
    assert Mirrors().proxy_environment() == {} and Mirrors().go_environment() == [] and Mirrors().ca_volumes() == []


def test_names_are_shortened_to_fit_and_stay_distinct() -> None:
    assert short("churn") == "churn"
    one, other = short("a" * 70 + "b"), short("a" * 70 + "c")
    assert len(one) == 63 and one != other
    assert selector("x" * 80, "server")["app.kubernetes.io/name"] == short("x" * 80)
    assert selector("a", "b").items() <= labels("a", "b").items()


@pytest.mark.parametrize("team", ["", "1a", "a_b", "-a", "a-", "A", "a" * 41])
def test_a_team_name_must_fit_into_a_namespace_name(team: str) -> None:
    with pytest.raises(SettingError, match="use 1-40 lowercase letters"):
        team_namespace(team)


@pytest.mark.parametrize(
    "domain", ["", "localhost", "ML.example.com", "https://ml.example.com", "a..b", "ml.example.com/", "-a.b"]
)
def test_a_domain_is_a_lower_case_name_with_a_dot(domain: str) -> None:
    with pytest.raises(SettingError, match="give a lower-case DNS name"):
        DOMAIN.check("domain", domain)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a*", "ab", True),
        ("ab", "a*", True),
        ("a-*", "a", False),
        ("a*", "ab*", True),
        ("a*", "b*", False),
        ("*", "x", True),
    ],
)
def test_model_patterns_overlap_if_a_name_matches_both(one: str, other: str, *, expected: bool) -> None:
    assert overlap(one, other) is expected and overlap(other, one) is expected


def test_a_team_owns_the_models_with_its_prefix_by_default() -> None:
    assert checked_models({"red": [], "blue": ["sky"]}) == {"red": ("red", "red-*"), "blue": ("sky",)}
    with pytest.raises(
        SettingError, match=r"team_models lets red and red-hot own the same models \(red-\* and red-hot\)"
    ):
        checked_models({"red": [], "red-hot": []})


def test_every_component_has_every_size_and_limits_are_at_least_requests() -> None:
    for table in (*RESOURCES.values(), *STORAGE_GIB.values()):
        assert set(table) == set(SIZES)
    every = [resources for sizes in RESOURCES.values() for resources in sizes.values()]
    assert [
        r for r in every if r.cpu_limit_millis < r.cpu_millis or r.memory_limit_mib < r.memory_mib or r.replicas < 1
    ] == []
    assert sum(sizes["small"].memory_mib for sizes in RESOURCES.values()) < 8 * 1024


def test_invalid_arguments_are_refused_before_any_resource_exists() -> None:
    with pytest.raises(SettingError, match="size is 'huge': use small, standard or large"):
        Placement(size="huge")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="uri is 'gs://bucket': give s3://bucket/prefix"):
        S3Access(uri="gs://bucket")
    with pytest.raises(SettingError, match="gpus is -1: give 0 or more"):
        Quota(gpus=-1)
    with pytest.raises(ValueError, match="timeout_s is 5: images have to be pulled"):
        HelmServiceArgs(chart=CHARTS["keda"], namespace="x", values={}, timeout_s=5)
    for url in ("http://u:p@h/d", "postgresql://h/d", "postgresql://u:p@h"):
        with pytest.raises(SettingError, match="mlflow_database_url is not of the expected form: give postgresql://"):
            DATABASE_URL.check("mlflow_database_url", url, is_secret=True)
