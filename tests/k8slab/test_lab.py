"""The lab itself: the guarantees that other tests rely on."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.k8slab.lab import Lab
from tests.k8slab.network import Network

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

POD_IP = "10.244.9.9"


def deployment(name: str, **annotations: str) -> str:
    template = {
        "metadata": {"labels": {"app": name}, "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "local/main:1", "ports": [{"containerPort": 8000}]}]},
    }
    spec = {"selector": {"matchLabels": {"app": name}}, "progressDeadlineSeconds": 3, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})


def says(client: httpx.Client, expected: str) -> bool:
    return client.get("http://any/hello.txt").text == expected


@pytest.fixture
def namespace(lab: Lab) -> Iterator[str]:
    lab.kubectl("create", "namespace", "lab-itself")
    yield "lab-itself"
    lab.kubectl("delete", "namespace", "lab-itself", "--wait=true")


def test_a_deployment_rolls_out_and_a_broken_one_exceeds_its_deadline(lab: Lab, namespace: str) -> None:
    lab.kubectl("apply", "-n", namespace, "-f", "-", text=deployment("good"))
    lab.kubectl("rollout", "status", "deployment/good", "-n", namespace, "--timeout=60s")

    lab.kubectl("apply", "-n", namespace, "-f", "-", text=deployment("broken", **{"k8slab/ready": "false"}))
    done = lab.kubectl("rollout", "status", "deployment/broken", "-n", namespace, "--timeout=60s", check=False)
    assert done.returncode == 1
    assert "exceeded its progress deadline" in done.stderr


def test_unknown_fields_are_refused_and_pod_security_is_enforced(lab: Lab, namespace: str) -> None:
    wrong = json.loads(deployment("wrong"))
    wrong["spec"]["template"]["spec"]["containers"][0]["imagePullPolicies"] = "Always"
    done = lab.kubectl("apply", "--server-side", "-n", namespace, "-f", "-", text=json.dumps(wrong), check=False)
    assert "imagePullPolicies" in done.stderr

    lab.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    done = lab.kubectl("run", "root", "-n", namespace, "--image=local/main:1", check=False)
    assert 'violates PodSecurity "restricted' in done.stderr


def test_a_process_bound_to_a_pods_ip_is_reached_by_its_service_and_load_balancer(
    lab: Lab, namespace: str, network: Network, tmp_path: Path
) -> None:
    (tmp_path / "hello.txt").write_text("from the pod")
    lab.kubectl("apply", "-n", namespace, "-f", "-", text=deployment("web", **{"k8slab/ip": POD_IP}))
    lab.kubectl("expose", "deployment/web", "-n", namespace, "--port=80", "--target-port=8000", "--type=LoadBalancer")
    lab.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")
    network.spawn("web", [sys.executable, "-m", "http.server", "--bind", POD_IP, "--directory", str(tmp_path), "8000"])
    try:
        for host in ("web.lab-itself.svc.cluster.local", "any.k8slab.test"):
            with network.client(host, 80, tls=None) as client:
                lab.wait_for("web", partial(says, client, "from the pod"), timeout_s=20)
    finally:
        network.kill("web")
