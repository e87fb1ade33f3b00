"""The completion scripts, in a real bash where it matters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from platform_lib.settings import Project
from tests.conftest import run_mlp

MLP = Path(sys.executable).parent / "mlp"


def completed(folder: Path, *words: str) -> list[str]:
    """What bash proposes for the last word; words are split as bash splits them."""
    script = f"""
        . <({MLP} completion bash)
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
        _mlp_completion {MLP}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_commands_and_options_are_completed_anywhere(tmp_path: Path) -> None:
    assert completed(tmp_path, "mlp", "roll") == ["rollback"]
    assert completed(tmp_path, "mlp", "train", "--no-p") == ["--no-promote"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("mod",), ["model="]),
        (("model=fo",), ["model=forest"]),
        (("model", "=", "fo"), ["forest"]),
        (("model", "="), ["boosting", "catboost", "forest", "lightgbm", "logistic", "xgboost"]),
        (("seed=1", "spl"), ["split="]),
        (("nothing=",), []),
    ],
)
def test_the_choices_of_conf_are_completed(project: Project, words: tuple[str, ...], expected: list[str]) -> None:
    assert completed(project.root, "mlp", "train", *words) == expected


def test_overrides_outside_a_project_are_left_alone(tmp_path: Path) -> None:
    assert completed(tmp_path, "mlp", "train", "mod") == []


@pytest.mark.parametrize(
    ("shell", "place", "part"),
    [
        ("bash", "data/bash-completion/completions/mlp", "complete -o nosort -F _mlp_completion mlp"),
        ("zsh", "home/.zfunc/_mlp", "#compdef mlp"),
        ("fish", "config/fish/completions/mlp.fish", "complete --no-files --command mlp"),
    ],
)
def test_a_script_is_installed_where_its_shell_looks(tmp_path: Path, shell: str, place: str, part: str) -> None:
    env = {"HOME": tmp_path / "home", "XDG_DATA_HOME": tmp_path / "data", "XDG_CONFIG_HOME": tmp_path / "config"}
    done = run_mlp(
        tmp_path, "completion", shell, "--install", env={name: os.fspath(path) for name, path in env.items()}
    )

    assert part in (tmp_path / place).read_text(encoding="utf-8")
    assert str(tmp_path / place) in done.stdout
