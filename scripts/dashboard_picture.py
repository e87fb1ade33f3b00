"""Draw the model dashboard's panels from a real Prometheus, for docs/serving.md: `python -m scripts.dashboard_picture`.

Grafana itself cannot be installed from a package registry. So a Prometheus scrapes a real `mlp serve` under load for
three minutes, the PromQL of each panel is evaluated there, and matplotlib draws the result, with rates over half a
minute instead of five. Panels that need the cluster's own exporters are left out.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import copier
import httpx
import matplotlib as mpl
import yaml

from platform_lib.infra.model.dashboard import model_panels
from platform_lib.infra.monitoring.dashboards import Panel
from platform_lib.serving.auth.api_keys import new_key
from platform_lib.settings import Project, Settings, find_project
from platform_lib.training.run import train

mpl.use("Agg")
from matplotlib import pyplot as plt

REPOSITORY = Path(__file__).resolve().parents[1]
TARGET = REPOSITORY / "docs" / "images" / "model-dashboard.png"
NAMESPACE, MODEL = "team-red", "penguin-model"
SECONDS = 180
ROW: dict[str, Any] = {
    "island": "Biscoe",
    "bill_length_mm": 48.2,
    "bill_depth_mm": 14.3,
    "flipper_length_mm": 210,
    "body_mass_g": 4600,
    "sex": None,
    "year": 2009,
}
ISLANDS = ("Biscoe", "Dream", "Torgersen")


def main() -> None:
    """Train, serve, load, ask, draw."""
    prometheus = shutil.which(
        "prometheus", path=f"{os.environ['PATH']}{os.pathsep}{Path.home()}/.cache/mlp-engines/bin"
    )
    if prometheus is None:
        sys.exit("prometheus is not on this machine: `make engines` builds it.")
    with tempfile.TemporaryDirectory(prefix="dashboard-") as scratch:
        folder = Path(scratch)
        project = make_project(folder / "project")
        key = new_key(folder / "keys.yaml", "picture", ["predict"])
        serve = [
            sys.executable,
            "-m",
            "platform_lib.cli",
            "serve",
            "--port",
            "8790",
            "--metrics-port",
            "8791",
            "--keys",
            str(folder / "keys.yaml"),
        ]
        serve += ["--log", str(folder / "log")]
        watch = [
            prometheus,
            f"--config.file={write_config(folder)}",
            f"--storage.tsdb.path={folder}/data",
            "--web.listen-address=127.0.0.1:8792",
        ]
        with (
            running(serve, "http://127.0.0.1:8790/readyz", project.root),
            running(watch, "http://127.0.0.1:8792/-/ready", folder),
        ):
            began = time.time()
            put_under_load("http://127.0.0.1:8790", key, began + SECONDS)
            draw(began, time.time())
    print(TARGET.relative_to(REPOSITORY))


def make_project(folder: Path) -> Project:
    """A generated project with a champion."""
    source = folder.parent / "template-source"
    shutil.copytree(REPOSITORY / "template", source / "template")
    shutil.copy(REPOSITORY / "copier.yml", source)
    copier.run_copy(str(source), folder, data={"project_name": MODEL}, defaults=True, quiet=True)
    (folder / "uv.lock").write_text("version = 1\n", encoding="utf-8")
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=x", "-c", "user.email=x@example.invalid", "commit", "-q", "-m", "generated"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    project = find_project(folder)
    train(project, Settings())
    return project


def write_config(folder: Path) -> Path:
    """Prometheus' configuration, with the labels that a ServiceMonitor's target has."""
    target = {
        "targets": ["127.0.0.1:8791"],
        "labels": {"namespace": NAMESPACE, "service": MODEL, "pod": f"{MODEL}-7d9f-x2k"},
    }
    config = {"global": {"scrape_interval": "2s"}, "scrape_configs": [{"job_name": MODEL, "static_configs": [target]}]}
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@contextmanager
def running(command: list[str], health_url: str, folder: Path) -> Iterator[None]:
    """A server until the block ends."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 120
            while True:
                try:
                    if httpx.get(health_url, timeout=2, trust_env=False).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                if process.poll() is not None or time.monotonic() > until:
                    sys.exit(f"{command[0]} did not answer at {health_url}.")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(30)


def put_under_load(url: str, key: str, until: float) -> None:
    """Requests of one to twenty rows, more of them by and by; some are wrong, some show no key."""
    chance = random.Random(7)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client:
        while time.time() < until:
            rows = [
                {
                    **ROW,
                    "island": chance.choice(ISLANDS),
                    "bill_length_mm": chance.uniform(33, 58),
                    "flipper_length_mm": chance.randrange(172, 231),
                }
                for _ in range(chance.randrange(1, 20))
            ]
            kind = chance.random()
            if kind < 0.03:
                client.post("/predict", json={"rows": [{"island": 3}]})
            elif kind < 0.05:
                client.post("/predict", json={"rows": rows}, headers={"Authorization": "Bearer wrong"})
            else:
                client.post("/predict", json={"rows": rows})
            time.sleep(0.12 if until - time.time() > SECONDS / 2 else 0.04)


def draw(began: float, ended: float) -> None:
    """One plot a panel, three in a row."""
    panels = [panel for panel in model_panels(MODEL, NAMESPACE) if panel.source == "service"]
    figure, axes = plt.subplots(-(-len(panels) // 3), 3, figsize=(15, 10), facecolor="#f7f7f7")
    for axis, panel in zip(axes.flat, panels, strict=False):
        draw_panel(axis, panel, began, ended)
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    figure.tight_layout()
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(TARGET, dpi=90)


def draw_panel(axis: Any, panel: Panel, began: float, ended: float) -> None:
    """What Prometheus answers to the panel's queries."""
    for query in panel.queries:
        asked = {
            "query": query.expression.replace("[5m]", "[30s]"),
            "start": f"{began + 10}",
            "end": f"{ended}",
            "step": "3",
        }
        answer = (
            httpx.get("http://127.0.0.1:8792/api/v1/query_range", params=asked, trust_env=False)
            .raise_for_status()
            .json()
        )
        for series in answer["data"]["result"]:
            label = query.legend
            for name, value in series["metric"].items():
                label = label.replace(f"{{{{{name}}}}}", value)
            points = [(moment - began, float(value)) for moment, value in series["values"]]
            axis.plot([at for at, _ in points], [value for _, value in points], label=label, linewidth=1.6)
    axis.set_title(panel.title, loc="left", fontsize=11)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("seconds", fontsize=8)
    axis.set_ylabel(
        {"s": "seconds", "reqps": "per second", "rowsps": "per second", "percentunit": "share"}.get(panel.unit, ""),
        fontsize=8,
    )
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, frameon=False)


if __name__ == "__main__":
    main()
