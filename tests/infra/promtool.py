"""Check alert rules with the real promtool: their form, and when they fire."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """What Prometheus sees, minute by minute, and the alerts that fire at the end of it."""

    alert: str
    series: dict[str, str]
    """Series → values a minute, in promtool's notation: `0+60x20` is 0, 60, 120 …."""
    at: str
    """When to look, such as `20m`."""
    fires: tuple[dict[str, str], ...]
    """Labels of each alert that fires; none for a quiet story."""


def check_rules(promtool: str, groups: Sequence[dict[str, Any]], folder: Path) -> str:
    """What promtool says of the rules; the tests fail on its exit code."""
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": list(groups)}), encoding="utf-8")
    done = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_stories(promtool: str, groups: Sequence[dict[str, Any]], stories: Sequence[Story], folder: Path) -> None:
    """Run all stories against the rules in one promtool. An alert that fires too early, too late or never fails."""
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    # Another test checks the texts: here only which alerts fire.
    bare = [
        {
            **group,
            "rules": [{key: value for key, value in rule.items() if key != "annotations"} for rule in group["rules"]],
        }
        for group in groups
    ]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": bare}), encoding="utf-8")
    tests = []
    for story in stories:
        expected = [{"exp_labels": {**rules[story.alert]["labels"], **labels}} for labels in story.fires]
        tests.append(
            {
                "name": f"{story.alert} at {story.at}: {'fires' if story.fires else 'is quiet'}",
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in story.series.items()],
                "alert_rule_test": [{"eval_time": story.at, "alertname": story.alert, "exp_alerts": expected}],
            }
        )
    (folder / "tests.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}), encoding="utf-8"
    )
    done = subprocess.run([promtool, "test", "rules", "tests.yaml"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
