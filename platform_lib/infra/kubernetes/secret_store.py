"""Generated passwords and the Secrets that hold them. A cloud target would use its secret manager instead."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from platform_lib.infra.base.labels import labels
from platform_lib.infra.base.pod_settings import IMAGE_PULL_SECRET

PASSWORD_LENGTH = 43
"""Letters and digits: 256 random bits, without characters that are special in a URL, a shell or an ini file."""


def random_password(name: str, opts: pulumi.ResourceOptions, *, rotation: str | None = None) -> random.RandomPassword:
    """Generate a password and keep it in the stack's state, encrypted.

    Args:
        name: Name of the Pulumi resource.
        opts: Options of the Pulumi resource.
        rotation: Any text; another text generates another password at the next `pulumi up`.
    """
    keepers = None if rotation is None else {"rotation": rotation}
    return random.RandomPassword(name, length=PASSWORD_LENGTH, special=False, keepers=keepers, opts=opts)


def password_hash(password: pulumi.Input[str]) -> pulumi.Output[str]:
    """Hash a generated password with SHA-256. Without salt and stretching it is safe for 256 random bits only."""
    return pulumi.Output.from_input(password).apply(lambda text: hashlib.sha256(text.encode()).hexdigest())


def image_pull_secret(
    name: str, namespace: pulumi.Input[str], logins: Mapping[str, pulumi.Input[str]], parent: pulumi.Resource
) -> None:
    """Create the Secret with logins to registries in a namespace.

    Args:
        name: Name of the Pulumi resource.
        namespace: Where pods use it.
        logins: Registry → `USER:PASSWORD` (secret).
        parent: Component that the Secret belongs to.
    """

    def docker_config(given: Mapping[str, str]) -> str:
        auths = {}
        for registry, login in given.items():
            user, _, password = login.partition(":")
            auth = base64.b64encode(login.encode()).decode()
            auths[registry] = {"username": user, "password": password, "auth": auth}
        return json.dumps({"auths": auths})

    k8s.core.v1.Secret(
        name,
        metadata={"name": IMAGE_PULL_SECRET, "namespace": namespace, "labels": labels(IMAGE_PULL_SECRET, "credential")},
        type="kubernetes.io/dockerconfigjson",
        string_data={".dockerconfigjson": pulumi.Output.all(**logins).apply(docker_config)},
        opts=pulumi.ResourceOptions(parent=parent),
    )


@dataclass(frozen=True, kw_only=True)
class CredentialArgs:
    """A user name, and the namespaces that need the credential."""

    username: str
    secret_name: str
    """Fixed, so that pods can refer to it."""
    namespaces: Sequence[pulumi.Input[str]]
    type: str = "Opaque"
    """Type of the Secret, such as `kubernetes.io/basic-auth` if the reader requires it."""
    extra: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """More keys of the Secret."""
    rotation: str = "1"
    """Any text; another text generates another password at the next `pulumi up`."""
    more_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that the reader looks for, in addition to the platform's own."""

    def __post_init__(self) -> None:
        if not self.namespaces:
            raise ValueError(
                f"credential {self.secret_name} has no namespace: name at least one, so that a pod can read it."
            )


class Credential(pulumi.ComponentResource):
    """A generated password, in a Secret with the keys `username` and `password` in each namespace that needs it."""

    password: pulumi.Output[str]
    """Secret value."""
    password_sha256: pulumi.Output[str]
    """Secret too, although 256 random bits cannot be recovered from their hash."""
    secret_name: str

    def __init__(self, name: str, args: CredentialArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:Credential", name, None, opts)
        made = random_password(name, pulumi.ResourceOptions(parent=self), rotation=args.rotation)
        self.password = made.result
        self.password_sha256 = password_hash(made.result)
        self.secret_name = args.secret_name
        for index, namespace in enumerate(args.namespaces):
            k8s.core.v1.Secret(
                f"{name}-{namespace}" if isinstance(namespace, str) else f"{name}-{index}",
                metadata={
                    "name": args.secret_name,
                    "namespace": namespace,
                    "labels": labels(args.secret_name, "credential", args.more_labels),
                },
                type=args.type,
                string_data={"username": args.username, "password": made.result, **args.extra},
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs(
            {"password": self.password, "password_sha256": self.password_sha256, "secret_name": self.secret_name}
        )
