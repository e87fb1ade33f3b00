"""What a policy is made of: a declared resource, a rule, an exemption from it and a violation of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource of a Pulumi program, as the rules see it."""

    type: str
    name: str
    urn: str
    inputs: Mapping[str, Any]
    protect: bool = False
    provider: str = ""
    """Name of the explicit provider; empty for the default one."""

    @property
    def kind(self) -> str:
        """`kind` of a Kubernetes object; empty for other resources."""
        return str(self.inputs.get("kind") or "")

    @property
    def metadata(self) -> Mapping[str, Any]:
        """`metadata` of a Kubernetes object."""
        found = self.inputs.get("metadata")
        return found if isinstance(found, Mapping) else {}

    @property
    def namespace(self) -> str:
        """Namespace of a Kubernetes object or of a Helm release."""
        return str(self.metadata.get("namespace") or self.inputs.get("namespace") or "")

    @property
    def spec(self) -> Mapping[str, Any]:
        """`spec` of a Kubernetes object."""
        found = self.inputs.get("spec")
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One rule: `check` inspects a single resource, `check_all` the whole stack."""

    name: str
    description: str
    check: Callable[[Declared], Iterator[str]] | None = None
    check_all: Callable[[Sequence[Declared]], Iterator[tuple[Declared, str]]] | None = None


@dataclass(frozen=True, kw_only=True)
class Exemption:
    """A resource to which a rule does not apply, and the reason."""

    policy: str
    kind: str
    namespace: str = ""
    object_name: str
    reason: str

    def covers(self, policy: str, resource: Declared) -> bool:
        """Whether the rule does not apply to this resource."""
        object_name = resource.metadata.get("name") or resource.inputs.get("name")
        return (policy, resource.kind, resource.namespace, object_name) == (
            self.policy,
            self.kind,
            self.namespace,
            self.object_name,
        )


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A resource that breaks a rule."""

    policy: str
    resource: Declared = field(repr=False)
    message: str
