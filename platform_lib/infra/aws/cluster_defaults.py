"""What a new EKS cluster needs before the platform: a storage class, enforced network policies and a pool of GPUs."""

from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.labels import labels
from platform_lib.infra.base.setting_rules import COUNT_OR_NONE

STORAGE_CLASS: Final = "encrypted-gp3"
GPU: Final = "nvidia.com/gpu"
LOAD_BALANCER_ANNOTATIONS: Final = {
    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing",
    "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip",
    # Traefik's rate limits count callers by address.
    "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes": "preserve_client_ip.enabled=true",
}


@dataclass(frozen=True, kw_only=True)
class ClusterDefaultsArgs:
    """Limits of the extra node pools."""

    gpus: int = 0
    """GPUs that all nodes may have together; 0 creates no pool for them."""

    def __post_init__(self) -> None:
        COUNT_OR_NONE.check("team_gpus", self.gpus)


class ClusterDefaults(pulumi.ComponentResource):
    """Objects of the whole cluster, created before any namespace."""

    def __init__(self, name: str, args: ClusterDefaultsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:ClusterDefaults", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        k8s.storage.v1.StorageClass(
            f"{name}-storage",
            metadata={
                "name": STORAGE_CLASS,
                "labels": labels(STORAGE_CLASS, "storage"),
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            provisioner="ebs.csi.eks.amazonaws.com",
            parameters={"type": "gp3", "encrypted": "true"},
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            opts=child,
        )
        # Without it, EKS accepts NetworkPolicies and enforces none of them.
        k8s.core.v1.ConfigMap(
            f"{name}-network-policies",
            metadata={
                "name": "amazon-vpc-cni",
                "namespace": "kube-system",
                "labels": labels("amazon-vpc-cni", "network"),
            },
            data={"enable-network-policy-controller": "true"},
            opts=child,
        )
        if args.gpus:
            k8s.apiextensions.CustomResource(
                f"{name}-gpus",
                api_version="karpenter.sh/v1",
                kind="NodePool",
                metadata={"name": "gpu", "labels": labels("gpu", "nodes")},
                spec=gpu_pool_spec(args.gpus),
                opts=child,
            )
        self.register_outputs({})


def gpu_pool_spec(gpus: int) -> dict[str, Any]:
    """Build the spec of a Karpenter NodePool with GPUs: it starts from zero, and ends nodes that are empty.

    Args:
        gpus: How many GPUs all its nodes may have together.
    """
    return {
        "template": {
            "spec": {
                "nodeClassRef": {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"},
                "taints": [{"key": GPU, "value": "true", "effect": "NoSchedule"}],
                "requirements": [
                    {"key": "eks.amazonaws.com/instance-gpu-manufacturer", "operator": "In", "values": ["nvidia"]},
                    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"]},
                    {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                ],
                "expireAfter": "336h",
                "terminationGracePeriod": "24h0m0s",
            }
        },
        "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "5m"},
        "limits": {GPU: str(gpus)},
    }
