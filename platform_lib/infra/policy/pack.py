"""Wrap the rules as policies of a Pulumi policy pack. Needs pulumi-policy, which only the pack and tests install."""

from collections.abc import Callable
from typing import Any

from platform_lib.infra.policy.definitions import Declared, Policy
from platform_lib.infra.policy.exemptions import EXEMPTIONS
from platform_lib.infra.policy.rules import POLICIES


def pack_policies() -> list[Any]:
    """Return every rule as a mandatory policy: a preview with a violation fails."""
    from pulumi_policy import EnforcementLevel, ResourceValidationPolicy, StackValidationPolicy

    made = []
    for policy in POLICIES:
        kind, validate = (
            (ResourceValidationPolicy, _one(policy))
            if policy.check is not None
            else (StackValidationPolicy, _all(policy))
        )
        made.append(
            kind(
                name=policy.name,
                description=policy.description,
                validate=validate,
                enforcement_level=EnforcementLevel.MANDATORY,
            )
        )
    return made


def declared(resource: Any) -> Declared:
    """Convert a resource of pulumi_policy (validation arguments or a resource of a stack) for the rules."""
    provider = getattr(resource, "provider", None)
    name = provider.name if provider is not None else ""
    return Declared(
        type=resource.resource_type,
        name=resource.name,
        urn=resource.urn,
        inputs=dict(resource.props),
        protect=bool(resource.opts.protect),
        # Pulumi calls its implicit provider `default`, or `default_` and a version.
        provider="" if name.startswith("default") else name,
    )


def _one(policy: Policy) -> Callable[[Any, Callable[..., None]], None]:
    def validate(args: Any, report: Callable[..., None]) -> None:
        resource = declared(args)
        assert policy.check is not None
        for message in policy.check(resource):
            if not any(exemption.covers(policy.name, resource) for exemption in EXEMPTIONS):
                report(message)

    return validate


def _all(policy: Policy) -> Callable[[Any, Callable[..., None]], None]:
    def validate(args: Any, report: Callable[..., None]) -> None:
        assert policy.check_all is not None
        for resource, message in policy.check_all([declared(one) for one in args.resources]):
            if not any(exemption.covers(policy.name, resource) for exemption in EXEMPTIONS):
                report(message, resource.urn)

    return validate
