"""Stack settings: Pulumi.yaml declares what the program reads; invalid values are one-sentence errors."""

from dataclasses import fields
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from infra_stack.config import SECRET_KEYS, SETTINGS, StackConfig, load_config
from tests.conftest import REPOSITORY
from tests.infra.harness.graph import run_program
from tests.infra.stacks import (
    CA,
    EXAMPLES,
    PROJECT,
    SECRETS,
    documented_secrets,
    example,
    project_file,
    run_stack,
    settings,
)

KEYS: dict[str, Any] = project_file()["config"]
PYTHON_TYPES = {"string": (str,), "integer": (int,), "boolean": (bool,), "array": (list,)}


def test_the_project_file_declares_every_setting_and_no_other() -> None:
    assert set(KEYS) == {field.name for field in fields(StackConfig)}


def test_every_setting_has_a_type_that_pulumi_knows_a_description_and_a_default_of_its_type() -> None:
    assert [
        key for key, entry in KEYS.items() if entry["type"] not in PYTHON_TYPES or len(entry["description"]) < 15
    ] == []
    assert [key for key, entry in KEYS.items() if "default" not in entry] == ["domain"]
    assert [
        key
        for key, entry in KEYS.items()
        if "default" in entry and not isinstance(entry["default"], PYTHON_TYPES[entry["type"]])
    ] == []
    assert [key for key, entry in KEYS.items() if (entry["type"] == "array") != ("items" in entry)] == []


def test_secrets_are_declared_as_secret() -> None:
    assert {key for key, entry in KEYS.items() if "--secret" in entry["description"]} == set(SECRET_KEYS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_known_keys_of_the_declared_type_and_no_secret(name: str) -> None:
    given = example(name)
    assert set(given) <= set(KEYS) - set(SECRET_KEYS)
    assert [key for key, value in given.items() if not isinstance(value, PYTHON_TYPES[KEYS[key]["type"]])] == []


def test_the_documented_settings_equal_the_project_file() -> None:
    text = (REPOSITORY / "docs" / "platform" / "README.md").read_text(encoding="utf-8")
    for key, entry in KEYS.items():
        default = (
            "needed" if "default" not in entry else f"`{entry['default']}`" if entry["default"] not in ("", []) else ""
        )
        assert f"| `{key}` | {entry['type']} | {default} | {entry['description'].replace('|', chr(92) + '|')} |" in text


TOGETHER: dict[str, tuple[str, dict[str, Any], str]] = {
    "a setting of AWS without the target": (
        "local",
        {"aws_region": "eu-central-1"},
        "aws_region is set, but target is 'kubernetes': `pulumi config set target aws` creates",
    ),
    "AWS without an account": (
        "aws",
        {"aws_account_id": ""},
        "target is 'aws', but aws_account_id is not set: `pulumi config set aws_account_id VALUE`",
    ),
    "AWS without an administrator": (
        "aws",
        {"aws_admin_roles": []},
        "aws_admin_roles is not set: `pulumi config set --path 'aws_admin_roles[0]' VALUE`",
    ),
    "AWS with what it creates": (
        "aws",
        {"artifacts_uri": "s3://bucket/prefix"},
        "artifacts_uri is set, but target is 'aws', which creates the cluster, its databases and its buckets",
    ),
    "two zones": ("aws", {"aws_zones": ["eu-central-1a", "eu-central-1b"]}, "give three different zones"),
    "zones of another region": (
        "aws",
        {"aws_zones": ["eu-central-1a", "eu-central-1b", "eu-west-1c"]},
        "aws_zones has eu-west-1c: give zones of the region eu-central-1.",
    ),
    "a budget without a reader": ("aws", {"aws_monthly_usd": 100}, "aws_monthly_usd and aws_budget_emails belong"),
    "a repository of no team": ("aws", {"aws_repositories": ["blue=x"]}, "aws_repositories names blue: the teams are"),
    "a job of no team": ("aws", {"aws_github": ["blue=a/b:c"]}, "aws_github names blue: the teams are churn, fraud."),
    "a repository twice": ("aws", {"aws_repositories": ["churn=x", "churn=x"]}, "aws_repositories has an entry twice"),
    "issuer": ("local", {"certificate_issuer": "acme"}, "certificate_issuer is 'acme', but acme_email is empty"),
    "issuer without a name": (
        "local",
        {"certificate_issuer": "existing", "use_existing": ["cert-manager"]},
        "set certificate_issuer to existing and cluster_issuer to its name",
    ),
    "name without the issuer": ("local", {"cluster_issuer": "company"}, "cluster_issuer is 'company': for an issuer"),
    "issuer of another cert-manager": (
        "local",
        {"certificate_issuer": "existing", "cluster_issuer": "company"},
        "use_existing does not name cert-manager",
    ),
    "certificate without a key": ("local", {"certificate_issuer": "own", "certificate": CA}, "belong together"),
    "solver without acme": (
        "local",
        {"acme_dns_solver": "route53: {region: eu-central-1}"},
        "acme_dns_solver is set, but certificate_issuer is 'self-signed': set it to acme.",
    ),
    "keda unused": ("local", {"use_existing": ["keda"]}, "but request_rate_scaling is false: set it to true."),
    "operator unused": ("team", {"use_existing": ["cloudnative-pg"]}, "the databases are external"),
    "oidc": ("team", {"oidc_client_id": ""}, "pulumi config set oidc_client_id ID"),
    "nobody may log in": ("team", {"email_domains": []}, "email_domains is empty, so nobody could log in"),
    "everyone at Google": (
        "team",
        {"oidc_issuer": "https://accounts.google.com", "email_domains": ["*"]},
        "let everyone with a Google account in",
    ),
    "groups without an issuer": ("team", {"oidc_issuer": ""}, "ui_groups is set, but oidc_issuer is not"),
    "one database": (
        "team",
        {"prefect_database_url": ""},
        "mlflow_database_url and prefect_database_url belong together",
    ),
    "half a key of the bucket": (
        "team",
        {"s3_access_key_id": ""},
        "s3_access_key_id and s3_secret_access_key belong together",
    ),
    "another port": ("team", {"database_port": 6432}, "mlflow_database_url has port 5432, but database_port is 6432"),
    "team twice": ("local", {"teams": ["red", "red"], "team_models": []}, "name each team once"),
    "unknown team": ("local", {"team_groups": ["blue=x"]}, "team_groups names blue: the teams are demo."),
    "unknown interface": (
        "team",
        {"ui_groups": ["ray=x"]},
        "ui_groups names ray: the user interfaces are mlflow, prefect, grafana.",
    ),
    "group of two teams": (
        "team",
        {"team_groups": ["churn=all", "fraud=all"]},
        "team_groups gives one group to two teams",
    ),
    "backup of an external database": ("team", {"backup_uri": "s3://backups/mlp"}, "but the databases are external"),
    "keys of no backup": ("local", {"backup_keys": "a:b"}, "backup_keys is set, but backup_uri is empty"),
    "time of no backup": (
        "local",
        {"backup_uri": "s3://backups/mlp", "restore_time": "2026-11-30T08:15:00+00:00"},
        "restore_time is set, but restore_backup_of is empty",
    ),
    "over its own backup": (
        "local",
        {"backup_uri": "s3://backups/mlp", "restore_backup_of": "postgres"},
        "restore_backup_of and backup_name are both 'postgres'",
    ),
    "login twice": (
        "local",
        {"image_pull_logins": ["a.example.com=b:c", "a.example.com=d:e"]},
        "image_pull_logins names a registry twice: give each registry one entry.",
    ),
    "account of nobody": (
        "local",
        {"service_account_annotations": ["team-red=a/b=c"]},
        "service_account_annotations[0] names team-red: the service accounts are mlflow, postgres, team-demo.",
    ),
    "two values of a label": (
        "local",
        {"node_selector": ["pool=a", "pool=b"]},
        "node_selector gives pool the values 'a' and 'b': keep one of them.",
    ),
    "models of two teams": (
        "team",
        {"team_models": ["fraud=churn-*"]},
        "team_models lets churn and fraud own the same models (churn-* and churn-*)",
    ),
}
# Key, an invalid value for it, and the sentence.
WRONG: list[tuple[str, Any, str]] = [
    ("domain", "Example", "domain is 'Example': give a lower-case DNS name that you own, such as ml.example.com."),
    ("domain", "", "domain is '': give a lower-case DNS name that you own, such as ml.example.com."),
    ("kubeconfig", "/no/such/file", "kubeconfig is '/no/such/file': give the absolute path of a file that exists."),
    ("context", "two\nlines", "context is 'two\\nlines': give one line of text."),
    ("size", "huge", "size is 'huge': use small, standard or large."),
    ("size", "", "size is '': use small, standard or large."),
    ("target", "azure", "target is 'azure': use kubernetes or aws."),
    ("aws_region", "frankfurt", "aws_region is 'frankfurt': give a region of the commercial partition"),
    ("aws_region", "cn-north-1", "aws_region is 'cn-north-1': give a region of the commercial partition"),
    ("aws_account_id", "1234", "aws_account_id is '1234': give the 12 digits of the account"),
    ("aws_owner", "<ml>", "aws_owner is '<ml>': give 1-256 letters"),
    ("aws_admin_roles", ["admin"], "aws_admin_roles[0] is 'admin': give a role such as arn:aws:iam::"),
    ("aws_zones", ["a"], "aws_zones[0] is 'a': give an availability zone such as eu-central-1a."),
    ("aws_network", "8.8.0.0/16", "aws_network is '8.8.0.0/16': give a private IPv4 network"),
    ("aws_network", "10.0.0.0/8", "aws_network is '10.0.0.0/8': give a private IPv4 network from /16 to /20"),
    ("aws_api_networks", ["0.0.0.0/0"], "aws_api_networks[0] is '0.0.0.0/0': give an IPv4 network from which people"),
    ("aws_kubernetes_version", "1.20", "aws_kubernetes_version is '1.20': give a version that EKS supports"),
    ("aws_permissions_boundary", "x", "aws_permissions_boundary is 'x': give a policy of your account"),
    ("aws_github", ["churn=example/*:production"], "aws_github[0] is 'churn=example/*:production': write TEAM=OWNER/"),
    ("aws_github", ["churn=example/churn"], "aws_github[0] is 'churn=example/churn': write TEAM=OWNER/REPOSITORY:"),
    ("aws_github_provider", "github", "aws_github_provider is 'github': give arn:aws:iam::ACCOUNT:oidc-provider/"),
    ("aws_repositories", ["churn=Churn"], "aws_repositories[0] is 'churn=Churn': write TEAM=MODEL"),
    ("aws_monthly_usd", -1, "aws_monthly_usd is -1: give 0 or more."),
    ("aws_budget_emails", ["me"], "aws_budget_emails[0] is 'me': give an e-mail address"),
    ("storage_class", "Fast SSD", "storage_class is 'Fast SSD': give the name of a Kubernetes object"),
    ("certificate_issuer", "letsencrypt", "certificate_issuer is 'letsencrypt': use self-signed, acme,"),
    ("use_existing", ["istio"], "use_existing[0] is 'istio': name a part that the cluster has already: cert-manager,"),
    ("use_existing", ["cert-manager=x"], "use_existing[0] is 'cert-manager=x': name a part that the cluster has"),
    ("ingress_class", "", "ingress_class is '': give the name of a Kubernetes object"),
    ("cluster_issuer", "Company CA", "cluster_issuer is 'Company CA': give the name of a Kubernetes object"),
    ("certificate", "/etc/tls.crt", "certificate is '/etc/tls.crt': give the text of PEM certificates"),
    ("certificate_key", "hunter2", "certificate_key is not of the expected form: give the text of a PEM private key"),
    ("acme_dns_solver", "cloudflare", "acme_dns_solver is 'cloudflare': give cert-manager's dns01 settings as YAML"),
    ("acme_dns_solver", "route 53: {region: x}", "the providers are acmeDNS, akamai, azureDNS, cloudDNS, cloudflare,"),
    ("acme_dns_token", "hunter2 x", "acme_dns_token is not of the expected form: give text without spaces."),
    ("acme_email", "me", "acme_email is 'me': give an e-mail address, such as platform@example.com."),
    ("acme_email", "a@b.example,c@d.example", "acme_email is 'a@b.example,c@d.example': give an e-mail address"),
    ("acme_server", "acme.example.com", "acme_server is 'acme.example.com': give an https:// address."),
    ("service_type", "ClusterIP", "service_type is 'ClusterIP': use LoadBalancer or NodePort."),
    (
        "trusted_proxies",
        ["nonsense"],
        "trusted_proxies[0] is 'nonsense': give the network of a proxy, such as 10.0.0.0/8",
    ),
    ("trusted_proxies", ["10.0.0.0/8", "0.0.0.0/0"], "trusted_proxies[1] is '0.0.0.0/0': give the network of a proxy"),
    ("trusted_proxies", ["::/0"], "with the whole internet in it, callers could choose their own address."),
    ("trusted_proxies", ["10.0.0.0/33"], "trusted_proxies[0] is '10.0.0.0/33'"),
    ("oidc_issuer", "http://login.example.com", "oidc_issuer is 'http://login.example.com': give an https:// address."),
    ("oidc_issuer", "https://", "oidc_issuer is 'https://': give an https:// address."),
    ("egress", ["mlflow=storage"], "egress[0] is 'mlflow=storage': write PODS=CIDR:PORT or PODS=NAMESPACE:PORT"),
    ("oidc_client_id", "two words", "oidc_client_id is 'two words': give text without spaces."),
    ("oidc_groups_claim", "", "oidc_groups_claim is '': give text without spaces."),
    (
        "email_domains",
        ["me@example.com"],
        "email_domains[0] is 'me@example.com': give the part of an e-mail address after the @",
    ),
    ("oidc_scopes", ["openid email"], "oidc_scopes[0] is 'openid email': give text without spaces."),
    ("oidc_email_claim", "", "oidc_email_claim is '': give text without spaces."),
    ("oidc_logout_url", "http://x.example", "oidc_logout_url is 'http://x.example': give an https:// address."),
    ("oidc_refresh_minutes", 0, "oidc_refresh_minutes is 0: give 1 or more."),
    ("email_addresses", ["ada"], "email_addresses[0] is 'ada': give an e-mail address"),
    (
        "team_request_log_keys",
        ["churn=hunter2"],
        "team_request_log_keys[0] is not of the expected form: write TEAM=ACCESS_KEY_ID:SECRET_ACCESS_KEY",
    ),
    ("admin_groups", [""], "admin_groups[0] is '': give the name of one group, without commas."),
    ("admin_groups", ["a,b"], "admin_groups[0] is 'a,b': give the name of one group, without commas."),
    ("ui_groups", ["grafana"], "ui_groups[0] is 'grafana': write UI=GROUP, one entry for each value."),
    (
        "mlflow_database_url",
        "mysql://u:hunter2@h/x",
        "mlflow_database_url is not of the expected form: give postgresql://user:password@",
    ),
    (
        "prefect_database_url",
        "postgresql://u:hunter2@h:0/x",
        "prefect_database_url is not of the expected form: give postgresql://",
    ),
    (
        "team_prefect_database_urls",
        ["demo=hunter2"],
        "team_prefect_database_urls[0] is not of the expected form: write TEAM=postgresql://",
    ),
    ("database_port", 0, "database_port is 0: give a port from 1 to 65535."),
    ("database_port", 65536, "database_port is 65536: give a port from 1 to 65535."),
    ("artifacts_uri", "s3:bucket", "artifacts_uri is 's3:bucket': give s3://bucket/prefix"),
    ("request_log_uri", "gs://bucket", "request_log_uri is 'gs://bucket': give s3://bucket/prefix"),
    (
        "s3_endpoint",
        "s3.example.com",
        "s3_endpoint is 's3.example.com': give an address with its scheme, such as https://s3.example.com.",
    ),
    ("s3_endpoint", "https://s3.example.com:99999", "s3_endpoint is 'https://s3.example.com:99999': give an address"),
    ("s3_region", "eu central", "s3_region is 'eu central': give a region such as eu-central-1."),
    ("s3_access_key_id", "hunter2 ", "s3_access_key_id is not of the expected form: give text without spaces."),
    ("teams", ["Red"], "teams[0] is 'Red': use 1-40 lowercase letters, digits and dashes"),
    (
        "teams",
        ["metrics"],
        "teams[0] is 'metrics': use 1-40 lowercase letters, digits and dashes, starting with a letter, such as churn; metrics and",
    ),
    ("team_models", ["demo"], "team_models[0] is 'demo': write TEAM=NAME or TEAM=PREFIX*, one entry for each value."),
    ("team_models", ["demo=A b"], "team_models[0] is 'demo=A b': write TEAM=NAME or TEAM=PREFIX*"),
    ("team_groups", ["demo="], "team_groups[0] is 'demo=': write TEAM=GROUP"),
    ("mlflow_names", "prefix", "mlflow_names is 'prefix': use first-registration or team-models."),
    ("champion_roles", ["a,b"], "champion_roles[0] is 'a,b': give the name of one group, without commas."),
    ("team_ci_groups", ["=ci"], "team_ci_groups[0] is '=ci': write TEAM=GROUP"),
    ("team_cpu", 0, "team_cpu is 0: give 1 or more."),
    ("team_memory_gib", -1, "team_memory_gib is -1: give 1 or more."),
    ("team_gpus", -1, "team_gpus is -1: give 0 or more."),
    ("alerts", "hunter2", "alerts is not of the expected form: give https://hooks.slack.com/services/… (Slack)"),
    ("alerts", "smtp://u:hunter2@mail.example.com", "alerts is not of the expected form"),
    ("metrics_retention_days", 0, "metrics_retention_days is 0: give 1 or more."),
    ("node_selector", ["pool"], "node_selector[0] is 'pool': write KEY=VALUE, a label of the nodes"),
    ("tolerations", ["gpu"], "tolerations[0] is 'gpu': write the taint as kubectl does, KEY=VALUE:EFFECT or"),
    ("tolerations", ["gpu:Never"], "EFFECT is NoSchedule, PreferNoSchedule, NoExecute."),
    ("pod_annotations", ["=true"], "pod_annotations[0] is '=true': write KEY=VALUE, an annotation"),
    ("image_pull_secrets", ["My_Login"], "image_pull_secrets[0] is 'My_Login': give the name of a Kubernetes object"),
    (
        "image_pull_logins",
        ["registry.example.com=hunter2"],
        "image_pull_logins[0] is not of the expected form: write REGISTRY=USER:PASSWORD, one entry for each value.",
    ),
    (
        "service_account_annotations",
        ["mlflow"],
        "service_account_annotations[0] is 'mlflow': write PODS=KEY=VALUE, one entry for each value.",
    ),
    ("volume_gib", ["artifacts=200Gi"], "volume_gib[0] is 'artifacts=200Gi': write PART=GIB, such as artifacts=200"),
    ("volume_gib", ["mlflow=200"], "the parts are postgres, artifacts, prometheus, alertmanager, grafana"),
    ("volume_gib", ["prometheus=1"], "(prometheus: 2 or more)."),
    ("load_balancer_annotations", ["x"], "load_balancer_annotations[0] is 'x': write KEY=VALUE, an annotation"),
    (
        "load_balancer_sources",
        ["office"],
        "load_balancer_sources[0] is 'office': give a network such as 203.0.113.0/24",
    ),
    ("external_traffic_policy", "", "external_traffic_policy is '': use Cluster or Local."),
    (
        "proxy_protocol_networks",
        ["0.0.0.0/0"],
        "proxy_protocol_networks[0] is '0.0.0.0/0': give the network of a proxy",
    ),
    ("backup_uri", "/backups", "backup_uri is '/backups': give s3://bucket/prefix"),
    ("backup_keys", "hunter2", "backup_keys is not of the expected form: give ACCESS_KEY_ID:SECRET_ACCESS_KEY."),
    ("backup_schedule", "daily", "backup_schedule is 'daily': give a cron expression with five fields, in UTC"),
    ("backup_schedule", "", "backup_schedule is '': give a cron expression with five fields, in UTC"),
    ("backup_retention_days", 0, "backup_retention_days is 0: give 1 or more."),
    ("backup_name", "My Backup", "backup_name is 'My Backup': give the name of a Kubernetes object"),
    ("restore_backup_of", "Old_One", "restore_backup_of is 'Old_One': give the name of a Kubernetes object"),
    ("restore_time", "yesterday", "restore_time is 'yesterday': give a time with its zone, such as 2026-11-30T08:15"),
    ("restore_time", "2026-11-30T08:15:00", "restore_time is '2026-11-30T08:15:00': give a time with its zone"),
    ("chart_mirror", "ftp://charts", "chart_mirror is 'ftp://charts': give a folder, or an https:// or oci:// address"),
    ("image_registry", "https://x", "image_registry is 'https://x': give host and path without a scheme"),
    ("http_proxy", "proxy:1", "http_proxy is 'proxy:1': give an address such as http://proxy.example.com:3128."),
    ("no_proxy", "a b", "no_proxy is 'a b': give hosts, domains or networks, comma-separated"),
    ("ca_bundle", "x", "ca_bundle is 'x': give the text of PEM certificates"),
]
WRONG_TYPES: dict[str, tuple[Any, ...]] = {
    "string": ({"a": "map"}, ["a", "list"]),
    "integer": ("three", "", "1.5", True, ["1"]),
    "boolean": ("yes", "", 1, []),
    "array": ("text", "", 1, {"a": "map"}, [1], [["nested"]]),
}


def refusal(name: str, **changes: Any) -> str:
    """The sentence with which a stack refuses its settings."""
    with pytest.raises(pulumi.RunError) as caught:
        load(name, **changes)
    said = str(caught.value)
    assert said.startswith(f"Stack {name}: ") and said.endswith(".") and "\n" not in said
    assert "hunter2" not in said
    return said.removeprefix(f"Stack {name}: ")


def load(name: str, **changes: Any) -> None:
    run_program(
        program,
        config=settings(name, **changes),
        secret_config=[f"{PROJECT}:{key}" for key in SECRET_KEYS],
        project=PROJECT,
        stack=name,
    )


def program() -> None:
    load_config()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_settings_of_the_examples_are_accepted(name: str) -> None:
    load(name)


@pytest.mark.parametrize(("key", "value", "sentence"), WRONG, ids=lambda value: str(value)[:40])
def test_an_invalid_value_is_refused_in_one_sentence_that_names_the_key(key: str, value: Any, sentence: str) -> None:
    said = refusal("local", **{key: value})
    assert sentence in said and said.startswith(key)


def test_every_key_with_a_rule_is_tested_with_a_wrong_value() -> None:
    tested = {key for key, _, _ in WRONG}
    same_rule = {"oidc_client_secret": "oidc_client_id", "s3_secret_access_key": "s3_access_key_id"}
    assert {key for key, setting in SETTINGS.items() if setting.rule} - tested == set(same_rule)


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, entry in KEYS.items() for value in WRONG_TYPES[entry["type"]]]
)
def test_a_value_of_the_wrong_type_is_refused_in_one_sentence_that_names_the_key(key: str, value: Any) -> None:
    said = refusal("local", **{key: value})
    assert said.startswith(f"{key} is ")


TEXTS = st.text(max_size=12) | st.sampled_from(["0", "-1", "1e3", "a=b", "x@y", "https://h", "s3://bucket", "[]", "{}"])


@pytest.mark.parametrize("key", KEYS)
@settings_of_hypothesis(max_examples=10, deadline=None)
@given(value=TEXTS | st.integers() | st.booleans() | st.lists(TEXTS | st.integers(), max_size=2))
def test_any_value_is_accepted_or_refused_in_one_sentence_that_names_the_key(key: str, value: Any) -> None:
    try:
        load("local", **{key: value})
    except pulumi.RunError as err:
        said = str(err).removeprefix("Stack local: ")
        assert key in said and said.endswith(".") and "\n" not in said


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("team_cpus", " (did you mean team_cpu?)"),
        ("minReplicas", ""),
        ("storageClass", " (did you mean storage_class?)"),
        ("xyz", ""),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str, hint: str) -> None:
    assert (
        refusal("local", **{key: "1"})
        == f"{key} is not a setting of this stack{hint}: remove it with `pulumi config rm {key}`."
    )


@pytest.mark.parametrize("key", [key for key, entry in KEYS.items() if entry["type"] != "string"] + ["domain"])
def test_a_missing_required_key_is_named(key: str) -> None:
    given = {name: value for name, value in settings("local").items() if name != f"{PROJECT}:{key}"}
    with pytest.raises(pulumi.RunError, match=f"Stack local: {key} is "):
        run_program(program, config=given, project=PROJECT, stack="local")


@pytest.mark.parametrize(("name", "changes", "sentence"), TOGETHER.values(), ids=TOGETHER)
def test_contradictory_settings_are_refused_in_one_sentence(name: str, changes: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(name, **changes)


def test_a_secret_in_plain_text_is_refused() -> None:
    with pytest.raises(
        Exception, match="oidc_client_secret is written in plain text: `pulumi config set --secret oidc_client_secret`"
    ):
        run_stack("team", plain_secrets=True)


def test_the_project_name_is_the_settings_namespace() -> None:
    assert project_file()["name"] == PROJECT


def test_the_documented_commands_set_every_secret_of_the_team_example_and_lists_by_path() -> None:
    commands = documented_secrets()
    typed = [arguments[-2].partition("[")[0] for arguments in commands]

    assert set(typed) == set(SECRETS["team"])
    # The pages about clusters, nodes and backups set these.
    assert {*typed, "certificate_key", "acme_dns_token", "image_pull_logins", "backup_keys"} == set(SECRET_KEYS)
    for arguments in commands:
        key, bracket, _ = arguments[-2].partition("[")
        assert ("--path" in arguments) == (bracket == "[") == (project_file()["config"][key]["type"] == "array"), (
            arguments
        )
