"""Every command has help with an example, and prints it fast, without heavy libraries."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from platform_lib.cli import COMMANDS, FAMILIES, mlp

HEAVY = ("dvc", "fastapi", "hydra", "mlflow", "optuna", "pandas", "pandera", "prefect", "pyarrow", "sklearn", "skops")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example(name: str) -> None:
    result = CliRunner().invoke(mlp, [name, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output


def test_help_lists_every_command_under_its_family() -> None:
    text = CliRunner().invoke(mlp, ["--help"]).output
    sections = {title: text.split(f"\n{title}:\n")[1].split("\n\n")[0] for title in FAMILIES}
    listed = {title: [line.split()[0] for line in section.splitlines()] for title, section in sections.items()}
    assert listed == {title: list(family) for title, family in FAMILIES.items()}
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("args", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_loads_no_heavy_library(args: list[str]) -> None:
    code = (
        "import sys, contextlib\n"
        "from platform_lib.cli import main\n"
        "with contextlib.suppress(SystemExit): main(sys.argv[1:])\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["data", "imprt"], "No such command 'imprt'. Did you mean 'import'?"),
        (["keys", "zzz"], "No such command 'zzz'."),
    ],
    ids=["top", "group", "nothing near"],
)
def test_a_misspelt_command_is_a_usage_error_with_the_nearest_one(args: list[str], says: str) -> None:
    done = subprocess.run([sys.executable, "-m", "platform_lib.cli", *args], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip().endswith(says)
