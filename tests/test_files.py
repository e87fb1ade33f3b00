"""Atomic writes leave the old file or the new one, and no temporary file."""

import os
import stat
from pathlib import Path

import pytest

from platform_lib.files import atomic_replacement, make_durable, move_into_place, write_atomically

posix_only = pytest.mark.skipif(os.name != "posix", reason="permission bits and folder handles are POSIX's")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("content", ["größer\n", b"\x00\xff"], ids=["text", "bytes"])
def test_a_file_is_replaced_and_no_temporary_file_remains(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "state.json"
    path.write_text("old", encoding="utf-8")
    write_atomically(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), atomic_replacement(path) as draft:
        draft.write_text("half", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
        raise ZeroDivisionError
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_file_keeps_the_suffix_and_is_hidden(tmp_path: Path) -> None:
    with atomic_replacement(tmp_path / "out.parquet") as draft:
        assert draft.suffix == ".parquet"
        assert draft.name.startswith(".")


@posix_only
def test_a_new_file_gets_its_mode_from_the_umask(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_atomically(tmp_path / "new", "x")
    assert mode_of(tmp_path / "new") == mode_of(tmp_path / "usual")


@posix_only
@pytest.mark.parametrize(("given", "expected"), [(None, 0o640), (0o600, 0o600)], ids=["kept", "given"])
def test_a_replaced_file_keeps_its_mode_unless_one_is_given(tmp_path: Path, given: int | None, expected: int) -> None:
    path = tmp_path / "keys.yaml"
    path.touch()
    path.chmod(0o640)
    with atomic_replacement(path, mode=given) as draft:
        draft.write_text("x")
        assert mode_of(draft) == expected, "others must not read it while it is written"
    assert mode_of(path) == expected


@posix_only
def test_content_and_folder_are_synced_when_a_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "state.json", []

    def fsync(handle: int) -> None:
        there = path.exists()
        synced.append(("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file", there))

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, "x")
    assert synced == [("file", False), ("folder", True)]
    synced.clear()
    make_durable(path)
    assert synced == [("file", True), ("folder", True)]


def test_a_finished_file_replaces_an_existing_one(tmp_path: Path) -> None:
    source, target = tmp_path / "draft", tmp_path / "table"
    source.write_text("new", encoding="utf-8")
    target.write_text("old", encoding="utf-8")
    move_into_place(source, target)
    assert target.read_text(encoding="utf-8") == "new"
    assert not source.exists()
