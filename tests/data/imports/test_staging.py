"""Writing an import: conf/train.yaml, DVC, and interruption at any moment."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from platform_lib.data.dataset import find_contract, load_dataset, selected_name
from platform_lib.data.dvc import data_hash, tracked_md5
from platform_lib.data.imports.staging import check_destination, finish_interrupted, staging_folder
from platform_lib.errors import UsageError
from platform_lib.settings import Project
from tests.data.conftest import TRAIN, import_file, snapshot

TABLE = "a,y\n1,p\n2,q\n3,p\n4,q\n"
LARGER = "a,y\n1,p\n2,q\n3,p\n4,q\n50,p\n60,q\n"


def test_an_import_writes_table_contract_and_selection(bare: Project, write: Callable[..., Path]) -> None:
    import_file(bare, write(TABLE), target="y")

    assert {name for name in snapshot(bare.root) if not name.startswith((".dvc", ".mlp"))} == {
        "conf",
        "conf/data",
        "conf/data/table.yaml",
        "conf/train.yaml",
        "data",
        "data/.gitignore",
        "data/table.parquet",
        "data/table.parquet.dvc",
        "pyproject.toml",
    }
    assert not staging_folder(bare).exists()
    assert (bare.data_dir / ".gitignore").read_text(encoding="utf-8") == "/table.parquet\n"
    assert data_hash(bare, find_contract(bare)) == tracked_md5(bare.data_dir / "table.parquet")


def test_only_the_name_on_one_line_of_the_configuration_changes(bare: Project, write: Callable[..., Path]) -> None:
    import_file(bare, write(TABLE), target="y")

    assert (bare.conf_dir / "train.yaml").read_bytes().decode() == TRAIN.replace("- data: ???", "- data: table")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("defaults:\n- data: old\n", "defaults:\n- data: table\n"),
        (
            'defaults:\r\n  - "data": "old" # x\r\n  - data: second\r\n',
            'defaults:\r\n  - "data": table # x\r\n  - data: second\r\n',
        ),
        ("# - data: no\nother:\n  - data: no\ndefaults:\n\n  # - data: no\n  - data:   old\n", None),
        ("defaults:\n  - data: old", "defaults:\n  - data: table"),
    ],
    ids=["no-indent", "quotes-and-crlf", "look-alikes", "no-last-newline"],
)
def test_the_selection_is_found_in_every_yaml_spelling(
    bare: Project, write: Callable[..., Path], before: str, after: str | None
) -> None:
    (bare.conf_dir / "train.yaml").write_bytes(before.encode())

    import_file(bare, write(TABLE), target="y")

    assert (bare.conf_dir / "train.yaml").read_bytes().decode() == (
        after or before.replace("  - data:   old", "  - data:   table")
    )
    assert selected_name(bare) == "table"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda p: (p.conf_dir / "train.yaml").write_text("defaults:\n  - model: x\nother:\n  - data: x\n"),
            "{root}/conf/train.yaml has no line `- data: NAME` under `defaults:`, so the import cannot select its table; "
            "add the line `  - data: ???`.",
        ),
        (
            lambda p: (p.root / ".git").rename(p.root / "git"),
            "{root} is not in a git repository, which DVC needs to version data; run `make setup`, which creates one.",
        ),
        (
            lambda p: (p.data_dir.mkdir(), (p.data_dir / "table.parquet").write_text("mine")),
            "data/table.parquet is where the import would write its table; move the file out of data/, or use another --name.",
        ),
    ],
    ids=["no-selection", "no-git", "a-file-of-the-user"],
)
def test_an_import_that_could_not_be_written_is_refused_early(
    bare: Project, spoil: Callable[[Project], object], sentence: str
) -> None:
    spoil(bare)
    before = snapshot(bare.root)

    with pytest.raises(UsageError) as caught:
        check_destination(bare, "table")

    assert str(caught.value).replace("\\", "/") == sentence.format(root=bare.root.as_posix())
    assert snapshot(bare.root) == before


def test_the_same_table_gives_the_same_bytes(bare: Project, write: Callable[..., Path]) -> None:
    import_file(bare, write(TABLE), target="y")
    first = data_hash(bare, find_contract(bare))

    import_file(bare, write(TABLE), mode="replace")

    assert data_hash(bare, find_contract(bare)) == first


# Run the real command and kill its process at the n-th rename, before or after it; n = 0 means never.
KILLER = """
import os, signal, sys, time
number, moment = int(sys.argv[1]), sys.argv[2]
real, count = os.replace, 0
def replace(*args, **kwargs):
    global count
    ours = ".mlp" in str(args[0])
    count += ours
    if ours and count == number and moment == "before":
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    real(*args, **kwargs)
    if ours and count == number and moment == "after":
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
os.replace = replace
import platform_lib.data.dvc as versioning
tracked = versioning.track
def track(*args):
    if moment == "before-dvc":
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    tracked(*args)
    if moment == "after-dvc":
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
versioning.track = track
from platform_lib.cli import main
main(sys.argv[3:])
"""


def killed_import(project: Project, number: int, moment: str, *args: str) -> int:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", KILLER, str(number), moment, "data", "import", *args]
    return subprocess.run(
        command, cwd=project.root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True
    ).returncode


STAGES = [
    (1, "before", False),  # everything is staged, the journal does not exist yet
    (1, "after", False),
    (2, "after", False),  # the table is in place
    (3, "after", False),  # the contract is in place too
    (0, "before-dvc", True),
    (0, "after-dvc", False),
    (1, "after", True),
    (4, "before", True),  # only the selection is missing
    (4, "after", False),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "moment", "first"),
    STAGES,
    ids=[f"{moment}-{number}-{'first' if first else 'replacement'}" for number, moment, first in STAGES],
)
def test_a_kill_at_any_moment_leaves_the_old_state_or_the_finished_one(
    bare: Project, write: Callable[..., Path], number: int, moment: str, *, first: bool
) -> None:
    if not first:
        import_file(bare, write(TABLE), target="y")
        if number == 4:
            # The table is already selected, so nothing is left to rename after the contract.
            (bare.conf_dir / "train.yaml").write_text(TRAIN, encoding="utf-8")
    before = {name: content for name, content in snapshot(bare.root).items() if not name.startswith((".dvc", ".mlp"))}
    file = write(LARGER)

    code = killed_import(bare, number, moment, str(file), "--target", "y", *([] if first else ["--replace"]))

    assert code not in (0, 1, 2, 70)
    was_old = {
        name: content for name, content in snapshot(bare.root).items() if not name.startswith((".dvc", ".mlp"))
    } == before
    if (number, moment) != (1, "before") and not first:
        with pytest.raises(UsageError, match="the import of 'table' was interrupted or is still running"):
            load_dataset(bare, find_contract(bare, "table"))
    said = finish_interrupted(bare)
    if said is None:
        assert was_old
        assert not (staging_folder(bare)).exists()
        return
    assert said == "Finished the import of 'table', which had been interrupted."
    contract = find_contract(bare)
    assert load_dataset(bare, contract)["a"].tolist() == [1, 2, 3, 4, 50, 60]
    assert data_hash(bare, contract) == tracked_md5(bare.data_dir / "table.parquet")
    assert not staging_folder(bare).exists()


@pytest.mark.slow
def test_the_same_import_again_after_a_kill_succeeds(bare: Project, write: Callable[..., Path]) -> None:
    file = write(TABLE)
    killed_import(bare, 1, "before", str(file), "--target", "y")

    import_file(bare, file, target="y")

    assert len(load_dataset(bare, find_contract(bare))) == 4


def test_an_import_in_progress_is_not_touched(bare: Project, write: Callable[..., Path]) -> None:
    import psutil

    staging = staging_folder(bare)
    staging.mkdir(parents=True)
    other = psutil.Process(os.getppid())
    (staging / "owner.json").write_text(
        json.dumps({"pid": other.pid, "started": other.create_time()}), encoding="utf-8"
    )

    with pytest.raises(
        UsageError, match=rf"another import is running in this project \(process {other.pid}\); wait until it ends"
    ):
        import_file(bare, write(TABLE), target="y")

    assert not (bare.conf_dir / "data").exists()


def test_the_contract_is_commented_and_can_be_read_back(bare: Project, write: Callable[..., Path]) -> None:
    import_file(bare, write(TABLE), target="y")

    text = (bare.conf_dir / "data" / "table.yaml").read_text(encoding="utf-8")
    assert text.startswith("# The columns of data/table.parquet. Written by `mlp data import`")
    assert yaml.safe_load(text)["columns"] == {
        "a": {"type": "integer", "min": 1, "max": 4},
        "y": {"type": "string", "allowed": ["p", "q"]},
    }
