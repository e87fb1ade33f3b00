"""`mlp predict` on a trained project, and the errors that it reports."""

from pathlib import Path

import pandas as pd
import pytest

from platform_lib.registry import load_model
from platform_lib.settings import Project
from tests.conftest import run_mlp


@pytest.mark.slow
def test_the_champion_predicts_a_file(trained: Project, tmp_path: Path) -> None:
    done = run_mlp(trained, "predict", "data/sample.csv", "--out", str(tmp_path / "out.csv"))
    written = pd.read_csv(tmp_path / "out.csv")
    assert done.stdout == f"{len(written)} rows predicted by sample-model version 1: {tmp_path / 'out.csv'}\n"
    model = load_model("sample-model/1", trained)
    assert (
        written["prediction"].tolist()
        == model.predict(pd.read_csv(trained.root / "data" / "sample.csv")).values.tolist()
    )
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_missing_model_is_a_usage_error_that_lists_the_existing_ones(trained: Project, tmp_path: Path) -> None:
    done = run_mlp(
        trained, "predict", "data/sample.csv", "--out", str(tmp_path / "out.csv"), "--model", "@canary", expect=2
    )
    assert "sample-model has no alias 'canary'" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("missing.csv", "--out", "out.csv"), "missing.csv does not exist"),
        (("in.csv", "--out", "out.xlsx"), "ends in '.xlsx'"),
        (("in.csv", "--out", "nowhere/out.csv"), "the folder nowhere does not exist"),
        (("in.csv",), "Missing option '--out'"),
    ],
    ids=["missing", "suffix", "folder", "no-out"],
)
def test_a_usage_error_is_reported_before_a_model_is_looked_up(
    args: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.mlp]\nmodel = "churn"\n', encoding="utf-8")
    (tmp_path / "in.csv").write_text("a\n1\n", encoding="utf-8")
    done = run_mlp(tmp_path, "predict", *args, expect=2)
    assert sentence in done.stderr
    assert not (tmp_path / ".mlp").exists()
