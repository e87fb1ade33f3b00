"""`mlp lineage` prints a model's origin."""

import json
from collections.abc import Callable

from platform_lib.settings import Project
from tests.conftest import Called, git


def test_the_champions_origin_is_printed(trained: Project, call_mlp: Callable[..., Called]) -> None:
    commit = git(trained.root, "rev-parse", "HEAD").strip()

    out = call_mlp(trained, "lineage").out

    assert f"git commit               {commit}\n" in out
    assert "To train it again: mlp reproduce sample-model/1" in out


def test_as_json_it_names_every_part(trained: Project, call_mlp: Callable[..., Called]) -> None:
    found = json.loads(call_mlp(trained, "lineage", "sample-model/1", "--json").out)

    assert (found["version"], found["dirty"], found["flow_run"]) == ("1", False, "")
    assert [len(found[name]) for name in ("git_commit", "data_hash", "config_hash", "lock_hash", "model_sha256")] == [
        40,
        32,
        64,
        64,
        64,
    ]


def test_a_model_that_does_not_exist_exits_2(trained: Project, call_mlp: Callable[..., Called]) -> None:
    done = call_mlp(trained, "lineage", "other@champion")

    assert (done.code, "the models are sample-model" in done.err) == (2, True)
