"""Roles for GitHub Actions through OIDC: jobs of one repository in one environment push and deploy for one team."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from platform_lib.infra.aws.account import Site
from platform_lib.infra.aws.documents import GITHUB_ISSUER, allow, document, trust_github
from platform_lib.infra.aws.names import GITHUB, PROVIDER_ARN, ROLE_LIMIT, aws_name
from platform_lib.infra.base.naming import TEAM

SESSION_S: Final = 3600
PUSH: Final = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)


def ci_group(team: str) -> str:
    """Return the Kubernetes group of a team's jobs on GitHub."""
    return f"mlp-ci-{team}"


@dataclass(frozen=True, kw_only=True)
class GithubAccessArgs:
    """Which jobs get a role."""

    site: Site
    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    jobs: Mapping[str, Sequence[str]]
    """Team → `OWNER/REPOSITORY:ENVIRONMENT`."""
    repository_arns: Mapping[str, Sequence[pulumi.Input[str]]] = field(default_factory=dict)
    """Team → ARNs of the image repositories that its jobs may push to."""
    provider_arn: str = ""
    """ARN of the account's OIDC provider for GitHub; empty creates it. An account has at most one."""

    def __post_init__(self) -> None:
        if self.provider_arn:
            PROVIDER_ARN.check("aws_github_provider", self.provider_arn)
        for team, jobs in self.jobs.items():
            TEAM.check("the team name", team)
            for job in jobs:
                GITHUB.check("aws_github", job)


class GithubAccess(pulumi.ComponentResource):
    """One role per team, repository and environment. No key exists; a session lasts one hour."""

    role_arns: dict[str, pulumi.Output[str]]
    """`TEAM=OWNER/REPOSITORY:ENVIRONMENT` → ARN of its role."""

    def __init__(self, name: str, args: GithubAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:GithubAccess", name, None, opts)
        self._prefix, self._args = name, args
        provider: Any = args.provider_arn or self._oidc_provider()
        self.role_arns = {
            f"{team}={job}": self._role(team, job, provider) for team, jobs in args.jobs.items() for job in jobs
        }
        self.register_outputs({"role_arns": self.role_arns})

    def _oidc_provider(self) -> pulumi.Output[str]:
        made = aws.iam.OpenIdConnectProvider(
            self._prefix,
            url=f"https://{GITHUB_ISSUER}",
            client_id_lists=["sts.amazonaws.com"],
            opts=pulumi.ResourceOptions(parent=self),
        )
        return made.arn

    def _role(self, team: str, job: str, provider_arn: Any) -> pulumi.Output[str]:
        args, child = self._args, pulumi.ResourceOptions(parent=self)
        repository, _, environment = job.partition(":")
        name = f"{self._prefix}-{team}-{re.sub(r'[/:]', '-', job)}"
        role = aws.iam.Role(
            name,
            name=aws_name(args.site.stack, "ci", team, job, limit=ROLE_LIMIT),
            assume_role_policy=trust_github(provider_arn, f"repo:{repository}:environment:{environment}"),
            max_session_duration=SESSION_S,
            opts=child,
            **args.site.role_options,
        )
        repositories = list(args.repository_arns.get(team, []))
        push = [allow(PUSH, repositories), allow(["ecr:GetAuthorizationToken"], ["*"])] if repositories else []
        aws.iam.RolePolicy(
            name,
            role=role.name,
            policy=document(allow(["eks:DescribeCluster"], [args.cluster_arn]), *push),
            opts=child,
        )
        aws.eks.AccessEntry(
            name,
            cluster_name=args.cluster_name,
            principal_arn=role.arn,
            kubernetes_groups=[ci_group(team)],
            opts=child,
        )
        return role.arn
