"""The platform's rules as a Pulumi policy pack: `pulumi preview --policy-pack policy`."""

from pulumi_policy import PolicyPack

from platform_lib.infra.policy.pack import pack_policies

PolicyPack(name="cloud-ml-platform", policies=pack_policies())
