"""ECR repositories of the teams' models: immutable tags, scanned, encrypted, without old untagged images."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from platform_lib.infra.aws.account import Site
from platform_lib.infra.aws.names import REPOSITORY, aws_name
from platform_lib.infra.base.naming import TEAM

UNTAGGED_DAYS: Final = 14
_LIFE_CYCLE: Final = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Untagged images",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": UNTAGGED_DAYS,
                },
                "action": {"type": "expire"},
            }
        ]
    }
)


def repository_name(stack: str, team: str, model: str) -> str:
    """Return the path of a repository below the account's registry."""
    return f"{aws_name(stack)}/{team}/{model}"


@dataclass(frozen=True, kw_only=True)
class AwsRegistryArgs:
    """Which repositories to make."""

    site: Site
    key_arn: pulumi.Input[str]
    repositories: Mapping[str, Sequence[str]]
    """Team → names of its models."""

    def __post_init__(self) -> None:
        for team, models in self.repositories.items():
            TEAM.check("the team name", team)
            for model in models:
                REPOSITORY.check("aws_repositories", model)


class AwsRegistry(pulumi.ComponentResource):
    """The repositories. A tag, once pushed, always means the same image; a repository with images is never deleted."""

    arns: dict[str, list[pulumi.Output[str]]]
    """Team → ARNs of its repositories."""

    def __init__(self, name: str, args: AwsRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:AwsRegistry", name, None, opts)
        self.arns = {}
        for team, models in args.repositories.items():
            for model in models:
                repository = aws.ecr.Repository(
                    f"{name}-{team}-{model}",
                    name=repository_name(args.site.stack, team, model),
                    image_tag_mutability="IMMUTABLE",
                    image_scanning_configuration={"scan_on_push": True},
                    encryption_configurations=[{"encryption_type": "KMS", "kms_key": args.key_arn}],
                    force_delete=False,
                    opts=pulumi.ResourceOptions(parent=self),
                )
                aws.ecr.LifecyclePolicy(
                    f"{name}-{team}-{model}",
                    repository=repository.name,
                    policy=_LIFE_CYCLE,
                    opts=pulumi.ResourceOptions(parent=self),
                )
                self.arns.setdefault(team, []).append(repository.arn)
        self.register_outputs({"arns": self.arns})
