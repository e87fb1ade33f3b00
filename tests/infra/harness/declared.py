"""A graph as input of the policies: for the plain functions, and as objects of Pulumi's policy engine."""

from typing import Any

from platform_lib.infra.policy.definitions import Declared
from tests.infra.harness.graph import Graph, Resource


def declared(graph: Graph) -> list[Declared]:
    """Every real resource of a graph."""
    return [
        Declared(
            type=r.type,
            name=r.name,
            urn=r.urn,
            inputs=r.inputs,
            protect=bool(r.opts.get("protect")),
            provider=r.provider,
        )
        for r in graph.resources
        if r.custom and not r.read
    ]


def run_pack(graph: Graph, policies: list[Any]) -> list[tuple[str, str]]:
    """(policy, URN) of every report of a pack's policies, run as the engine would, without its server."""
    import pulumi_policy as pp

    def options(resource: Resource) -> Any:
        return pp.PolicyResourceOptions(
            bool(resource.opts.get("protect")), [], None, [], pp.PolicyCustomTimeouts(0, 0, 0), [], None
        )

    def provider(resource: Resource) -> Any:
        return (
            pp.PolicyProviderResource("pulumi:providers:kubernetes", {}, "", resource.provider)
            if resource.provider
            else None
        )

    found: list[tuple[str, str]] = []
    resources = [r for r in graph.resources if r.custom and not r.read]
    whole = [
        pp.PolicyResource(r.type, r.inputs, r.urn, r.name, options(r), provider(r), None, [], {}) for r in resources
    ]
    for policy in policies:
        if isinstance(policy, pp.StackValidationPolicy):
            policy.validate(
                pp.StackValidationArgs(whole),
                lambda message, urn=None, name=policy.name: found.append((name, urn or "")),
            )
            continue
        for r in resources:
            arguments = pp.ResourceValidationArgs(r.type, r.inputs, r.urn, r.name, options(r), provider(r))
            policy.validate(
                arguments, lambda message, urn=None, name=policy.name, at=r.urn: found.append((name, urn or at))
            )
    return found
