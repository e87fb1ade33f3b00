"""The command lines of the control plane's programs. Pure; `lab` starts them."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

# Name of a kubeconfig: (user, group). "kwok" plays every kubelet.
IDENTITIES = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "kwok": ("kwok", "system:masters"),
}
POD_RANGE, SERVICE_RANGE = "10.244.0.0/16", "10.96.0.0/16"
NODE_IP, LOAD_BALANCER_IP = "10.0.0.1", "10.0.0.2"  # the second is also in kwok.yaml


def etcd(folder: Path, client_port: int, peer_port: int) -> list[str]:
    """etcd with its own store; nothing has to survive, so it never syncs to disk."""
    client, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    return [
        "--name=lab",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=lab={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver(folder: Path, etcd_port: int, port: int, egress: Path) -> list[str]:
    """Role-based access, tokens from a file, and a cluster's usual admission plug-ins (Pod Security among them).

    `egress` sends its calls to Services through `webhooks`.
    """
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--anonymous-auth=false",
        "--allow-privileged=true",
        # With it, a definition that is deleted right after its creation sometimes blocks for minutes: "could not list
        # instances: storage is
        # (re)initializing", tried again later and later.
        "--watch-cache=false",
        "--endpoint-reconciler-type=none",
        f"--egress-selector-config-file={egress}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={folder / 'sa.key'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
    ]


def controller_manager(folder: Path) -> list[str]:
    """Run Deployments, Jobs, namespaces, garbage collection, volumes and endpoints."""
    return [
        *_kubeconfigs(folder / "controller-manager.kubeconfig"),
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={folder / 'sa.key'}",
        f"--root-ca-file={folder / 'apiserver.crt'}",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--concurrent-namespace-syncs=20",
    ]


def scheduler(folder: Path) -> list[str]:
    """Run the real scheduler: requests, taints and labels count."""
    return _kubeconfigs(folder / "scheduler.kubeconfig")


def _kubeconfigs(path: Path) -> list[str]:
    names = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    return [*(f"--{name}={path}" for name in names), "--leader-elect=false", "--secure-port=0"]


def kwok(folder: Path, stages: Path) -> list[str]:
    """Simulate nodes, and the life cycle of their pods as `stages` defines it."""
    return [
        f"--kubeconfig={folder / 'kwok.kubeconfig'}",
        f"--config={stages}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        f"--cidr={POD_RANGE.replace('.0.0/', '.0.1/')}",
        f"--node-ip={NODE_IP}",
        "--node-lease-duration-seconds=40",
    ]


def proxy(folder: Path) -> list[str]:
    """Run kube-proxy with nftables; the conntrack zeros keep it from writing kernel settings."""
    return [
        f"--kubeconfig={folder / 'proxy.kubeconfig'}",
        "--proxy-mode=nftables",
        "--hostname-override=cpu-0",
        f"--cluster-cidr={POD_RANGE}",
        f"--bind-address={NODE_IP}",
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
        f"--healthz-bind-address={NODE_IP}:10256",
        f"--metrics-bind-address={NODE_IP}:10249",
    ]


def kubeconfig(url: str, authority: Path, user: str, token: str) -> str:
    """A kubeconfig with one context, "k8slab"."""
    cluster = {"server": url, "certificate-authority-data": b64encode(authority.read_bytes()).decode()}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "k8slab",
        "clusters": [{"name": "k8slab", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "k8slab", "context": {"cluster": "k8slab", "user": user}}],
    }
    return json.dumps(content, indent=1)


def node(name: str, zone: str, *, gpus: int = 0) -> dict[str, Any]:
    """A fake Node that kwok keeps Ready; one with GPUs is tainted as such nodes usually are."""
    capacity = {"cpu": "32", "memory": "128Gi", "pods": "110", "ephemeral-storage": "200Gi"}
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": zone,
    }
    taints = []
    if gpus:
        capacity["nvidia.com/gpu"] = str(gpus)
        labels["nvidia.com/gpu.present"] = "true"
        taints = [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"taints": taints},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


NODES = (node("cpu-0", "zone-a"), node("cpu-1", "zone-b"), node("gpu-0", "zone-a", gpus=4))


def storage(name: str, *, default: bool, volumes: int = 12) -> list[tuple[str, dict[str, Any]]]:
    """A storage class and volumes of 1 Ti that claims are bound to immediately, as (API path, object)."""
    marks = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    found: list[tuple[str, dict[str, Any]]] = [
        (
            "/apis/storage.k8s.io/v1/storageclasses",
            {"metadata": {"name": name, "annotations": marks}, "provisioner": "kubernetes.io/no-provisioner"},
        )
    ]
    for number in range(volumes):
        spec = {
            "storageClassName": name,
            "capacity": {"storage": "1Ti"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "hostPath": {"path": f"/var/empty/{name}-{number}"},
        }
        found.append(("/api/v1/persistentvolumes", {"metadata": {"name": f"{name}-{number}"}, "spec": spec}))
    return found
