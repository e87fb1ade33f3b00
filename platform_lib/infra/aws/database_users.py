"""The services' own users and databases on RDS, made by a job inside the cluster."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.aws.account import Site
from platform_lib.infra.aws.database import PORT
from platform_lib.infra.aws.documents import allow
from platform_lib.infra.aws.workload_identity import WorkloadIdentity, WorkloadIdentityArgs
from platform_lib.infra.base.access import AWS_URL
from platform_lib.infra.base.labels import labels, selector
from platform_lib.infra.base.naming import DATABASE_NAMESPACE
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.sizing import resources
from platform_lib.infra.base.versions import image
from platform_lib.infra.kubernetes import service_pod
from platform_lib.infra.kubernetes.network_policy import (
    policy_spec,
    to_dns,
    to_outside,
    to_pod_identity,
    to_urls,
    with_labels,
)
from platform_lib.infra.kubernetes.secret_store import random_password

NAME: Final = "database-users"
_USERS: Final = "/etc/mlp/users"
_KEY: Final = "users.json"
DEADLINE_S: Final = 900
"""Longer than RDS needs to answer after its creation."""


@dataclass(frozen=True, kw_only=True)
class DatabaseUsersArgs:
    """The instance, and the users to make."""

    site: Site
    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    namespace: pulumi.Input[str]
    """Namespace `mlp-database`, as an Output, so that the job waits for it."""
    address: pulumi.Input[str]
    """Host name of the instance."""
    master_secret_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    """Encrypts the master password."""
    users: Sequence[str]
    """Each gets a password, and a database of its own name that nobody else can open."""
    placement: Placement = field(default_factory=Placement)


class DatabaseUsers(pulumi.ComponentResource):
    """Users and databases. Pods in the cluster read the master password with their own identity; Pulumi never does."""

    urls: dict[str, pulumi.Output[str]]
    """User → URL of its database, secret. Known only after the job has made the user."""

    def __init__(self, name: str, args: DatabaseUsersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:DatabaseUsers", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        identity = WorkloadIdentity(
            f"{name}-identity",
            WorkloadIdentityArgs(
                site=args.site,
                cluster_name=args.cluster_name,
                cluster_arn=args.cluster_arn,
                namespace=DATABASE_NAMESPACE,
                service_account=NAME,
                statements=[
                    allow(["secretsmanager:GetSecretValue"], [args.master_secret_arn]),
                    allow(["kms:Decrypt"], [args.key_arn]),
                ],
            ),
            child,
        )
        meta = {"namespace": args.namespace, "labels": labels(NAME, "job")}
        account = k8s.core.v1.ServiceAccount(
            name, metadata={"name": NAME, **meta}, automount_service_account_token=False, opts=child
        )
        passwords = {user: random_password(f"{name}-{user}", child).result for user in args.users}
        secret = k8s.core.v1.Secret(
            name, metadata=meta, string_data={_KEY: pulumi.Output.json_dumps(passwords)}, opts=child
        )
        closed = k8s.networking.v1.NetworkPolicy(
            name,
            metadata={"name": NAME, **meta},
            spec=policy_spec(
                with_labels(selector(NAME, "job")),
                ingress=[],
                egress=[*to_dns(), to_pod_identity(), *to_urls(AWS_URL), to_outside(PORT)],
            ),
            opts=child,
        )
        template = self._pod(args, account.metadata["name"], secret.metadata["name"])
        job = k8s.batch.v1.Job(
            name,
            metadata=meta,
            spec={"backoffLimit": 6, "activeDeadlineSeconds": DEADLINE_S, "template": template},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[identity, closed]),
        )
        self.urls = {
            user: pulumi.Output.secret(
                pulumi.Output.all(job.id, password, args.address).apply(
                    lambda known, user=user: f"postgresql://{user}:{known[1]}@{known[2]}:{PORT}/{user}?sslmode=require"
                )
            )
            for user, password in passwords.items()
        }
        self.register_outputs({"urls": self.urls})

    def _pod(self, args: DatabaseUsersArgs, account: Any, secret: Any) -> dict[str, Any]:
        code = (files("platform_lib.infra.aws") / "in_image" / "database_users.py").read_text(encoding="utf-8")
        proxy = args.placement.mirrors.proxy_environment()
        values = {
            "HOME": "/tmp",
            "AWS_DEFAULT_REGION": args.site.region,
            "MASTER_SECRET_ARN": args.master_secret_arn,
            "DATABASE_HOST": args.address,
            "DATABASE_PORT": str(PORT),
            "USERS_FILE": f"{_USERS}/{_KEY}",
            **proxy,
        }
        container = service_pod.container(
            NAME,
            image("mlflow", args.placement.mirrors),
            ["python", "-c", code],
            service_pod.environment(values, {}),
            {"users": _USERS, "tmp": "/tmp"},
            resources("prefect-worker", args.placement.size),
        )
        made = service_pod.pod_template(
            labels(NAME, "job"),
            selector(NAME, "job"),
            [container],
            {"users": {"secret": {"secretName": secret, "defaultMode": 0o440}}, "tmp": {"emptyDir": {}}},
            service_account=account,
            settings=args.placement.pods,
        )
        made["spec"]["restartPolicy"] = "Never"
        return made
