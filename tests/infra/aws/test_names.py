"""Names on AWS keep each service's limits for every stack, team and model that is allowed."""

import ipaddress
import re

from hypothesis import given
from hypothesis import strategies as st

from platform_lib.infra.aws.names import (
    BUDGET_LIMIT,
    CLUSTER_LIMIT,
    GITHUB,
    IDENTIFIER_LIMIT,
    REPOSITORY,
    ROLE_LIMIT,
    aws_name,
    bucket_name,
    subnets,
)
from platform_lib.infra.aws.registry import repository_name
from platform_lib.infra.base.naming import TEAM

STACKS = st.from_regex(r"[A-Za-z0-9_.-]{1,100}", fullmatch=True)  # what Pulumi allows
TEAMS = st.from_regex(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True).filter(TEAM.accepts)
MODELS = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+){0,9}", fullmatch=True).filter(lambda text: len(text) <= 100)
JOBS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}:[A-Za-z0-9._-]{1,100}", fullmatch=True)
LABEL = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"


@given(STACKS, TEAMS, JOBS)
def test_names_keep_the_limits_of_each_service(stack: str, team: str, job: str) -> None:
    assert GITHUB.accepts(job)
    for limit in (ROLE_LIMIT, CLUSTER_LIMIT, IDENTIFIER_LIMIT, BUDGET_LIMIT):
        for parts in ((stack,), (stack, "eks-control"), (stack, "ci", team, job)):
            name = aws_name(*parts, limit=limit)
            assert len(name) <= limit and re.fullmatch(LABEL, name)
    assert len(f"{aws_name(stack)}-final-00000000") <= 255


@given(STACKS, st.sampled_from(["access-logs", "artifacts", "data", "request-logs", "backups"]))
def test_bucket_names_are_labels_of_dns_and_end_with_the_account(stack: str, purpose: str) -> None:
    name = bucket_name(stack, purpose, "111122223333")
    assert 3 <= len(name) <= 63 and re.fullmatch(LABEL, name) and name.endswith("-111122223333")


@given(STACKS, TEAMS, MODELS)
def test_repositories_are_within_ecrs_limits(stack: str, team: str, model: str) -> None:
    name = repository_name(stack, team, model)
    assert REPOSITORY.accepts(model) and len(name) <= 256
    assert name.startswith(f"{aws_name(stack)}/{team}/")


@given(STACKS, STACKS)
def test_two_stacks_never_share_a_name(one: str, other: str) -> None:
    if one != other:
        assert aws_name(one) != aws_name(other)
        assert bucket_name(one, "data", "111122223333") != bucket_name(other, "data", "111122223333")


def test_subnets_are_in_the_vpc_and_do_not_overlap() -> None:
    for network in ("10.60.0.0/16", "172.16.0.0/18", "192.168.0.0/20"):
        found = [ipaddress.IPv4Network(part) for parts in subnets(network, 3).values() for part in parts]
        assert len(found) == 9 and all(one.subnet_of(ipaddress.IPv4Network(network)) for one in found)
        assert not any(one.overlaps(other) for one in found for other in found if one is not other)
        assert min(one.num_addresses for one in found) >= 64
