"""API keys: no edit is lost, a revoked key stays revoked, and a broken file takes nobody's access away."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib.errors import UsageError
from platform_lib.project_checks.project import check_keys
from platform_lib.serving.auth.api_keys import KeyRing, new_key, read_keys, revoke_key
from platform_lib.settings import Project
from tests.conftest import Called

PROCESSES, EACH = 4, 10
MANY = """
import sys
from pathlib import Path
from platform_lib.serving.auth.api_keys import new_key, revoke_key
file, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
new_key(file, f"{who}-old", ["predict"])
for number in range(count):
    print(new_key(file, f"{who}-{number}", ["predict"]), flush=True)
    if number == 0:
        revoke_key(file, f"{who}-old")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deploy" / "keys.yaml"


def nested(depth: int) -> str:
    return "keys: " + "[" * depth + "]" * depth


BROKEN = {
    "empty": b"",
    "a comment only": b"# keys\n",
    "no list of keys": b"{}\n",
    "not a list": b"keys: 3\n",
    "binary": b"\x00\xff\xfe",
    "a hash that is none": b"keys:\n- {name: a, sha256: zz, scopes: [predict], created: '2026-01-01'}\n",
    "a day that is none": b"keys:\n- {name: a, sha256: zz, scopes: [predict], created: 2026-99-99}\n",
    "an unknown scope": b"keys:\n- {name: a, sha256: zz, scopes: [root], created: '2026-01-01'}\n",
    "an empty number": b"keys: !!int ''\n",
    "nested 500 deep": nested(500).encode(),
    "nested 5,000 deep": nested(5_000).encode(),
    "larger than 256 KiB": b"keys: []\n" + b"#" * 2**18,
}


class TestEdits:
    def test_processes_that_edit_at_once_lose_no_key_and_revive_none(self, file: Path) -> None:
        command = [sys.executable, "-c", MANY, str(file)]
        running = [
            subprocess.Popen([*command, f"p{number}", str(EACH)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for number in range(PROCESSES)
        ]
        said = [process.communicate() for process in running]
        assert [process.returncode for process in running] == [0] * PROCESSES, said
        ring = KeyRing(file)
        keys = [key for out, _ in said for key in out.decode().split()]
        assert len(keys) == PROCESSES * EACH
        assert [key for key in keys if ring.find(key) is None] == []
        assert [entry.name for entry in read_keys(file) if entry.name.endswith("-old")] == []
        assert [path.name for path in file.parent.iterdir() if not path.name.endswith(".lock")] == ["keys.yaml"]

    def test_a_symlink_stays_one_and_its_target_keeps_mode_and_owner(self, file: Path, tmp_path: Path) -> None:
        target = tmp_path / "elsewhere" / "real.yaml"
        new_key(target, "first", ["predict"])
        target.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(target, 12345, 12346)
        before = target.stat()
        file.parent.mkdir()
        file.symlink_to(Path("..") / "elsewhere" / "real.yaml")
        new_key(file, "second", ["predict"])
        revoke_key(file, "first")
        assert file.is_symlink()
        assert [entry.name for entry in read_keys(target)] == ["second"]
        after = target.stat()
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)

    @pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
    def test_a_broken_file_is_never_edited(self, file: Path, content: bytes) -> None:
        file.parent.mkdir()
        file.write_bytes(content)
        for edit in (lambda: new_key(file, "b", ["predict"]), lambda: revoke_key(file, "a")):
            with pytest.raises(UsageError):
                edit()
        assert file.read_bytes() == content


class TestServer:
    @pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
    def test_a_broken_file_takes_nobodys_access_away_and_is_reported(
        self, file: Path, content: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        key = new_key(file, "checkout", ["predict"])
        ring, good = KeyRing(file), file.read_text(encoding="utf-8")
        with caplog.at_level(logging.WARNING, "platform_lib.serving"):
            file.write_bytes(content)
            assert ring.find(key) is not None
            assert ring.find(key) is not None
            assert ring.problem is not None and "The keys read before stay valid." in ring.problem
            assert [record.getMessage() for record in caplog.records] == [ring.problem]
            file.write_text(good + "\n", encoding="utf-8")
            assert ring.find(key) is not None
            assert ring.problem is None

    def test_every_half_of_a_file_changes_nothing(self, file: Path) -> None:
        keys = [new_key(file, name, ["predict"]) for name in ("a", "b")]
        whole = file.read_bytes()
        ring = KeyRing(file)
        for length in range(0, len(whole) - 1, 7):
            file.write_bytes(whole[:length])
            assert all(ring.find(key) for key in keys), whole[:length]
            assert ring.problem is not None, whole[:length]

    def test_a_file_that_is_gone_or_unreadable_changes_nothing_until_it_is_back(self, file: Path) -> None:
        key, revoked = new_key(file, "checkout", ["predict"]), new_key(file, "old", ["predict"])
        ring = KeyRing(file)
        away = file.rename(file.with_name("away.yaml"))
        file.mkdir()  # cannot be read, for root neither
        assert ring.find(key) is not None
        assert ring.problem is not None and "cannot read" in ring.problem
        file.rmdir()
        assert ring.find(key) is not None
        assert ring.problem is not None and "is missing" in ring.problem
        revoke_key(away, "old")
        away.rename(file)
        assert ring.find(key) is not None
        assert ring.find(revoked) is None
        assert ring.problem is None

    def test_a_file_that_could_not_be_opened_once_is_tried_again_though_it_did_not_change(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Such as while the process has no file descriptors left."""
        new_key(file, "first", ["predict"])
        ring = KeyRing(file)
        second = new_key(file, "second", ["predict"])
        with monkeypatch.context() as patched:
            patched.setattr(
                Path, "open", lambda *_args, **_named: (_ for _ in ()).throw(OSError(24, "Too many open files"))
            )
            assert ring.find(second) is None
            assert ring.problem is not None and "Too many open files" in ring.problem
        assert ring.find(second) is not None
        assert ring.problem is None

    def test_an_empty_list_revokes_every_key(self, file: Path) -> None:
        key = new_key(file, "checkout", ["predict"])
        ring = KeyRing(file)
        file.write_text("keys: []\n", encoding="utf-8")
        assert (ring.find(key), ring.problem) == (None, None)

    @pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
    def test_a_server_does_not_start_with_a_broken_file(self, file: Path, content: bytes) -> None:
        file.parent.mkdir()
        file.write_bytes(content)
        with pytest.raises(UsageError, match=str(file)):
            KeyRing(file)


class TestCheck:
    def test_it_counts_the_keys_and_finds_a_broken_file(
        self, project: Project, call_mlp: Callable[..., Called]
    ) -> None:
        assert list(check_keys(project)) == []
        assert call_mlp(project, "keys", "new", "checkout").code == 0
        file = project.root / "deploy" / "keys.yaml"
        [found] = check_keys(project)
        assert (found.level, found.text) == ("ok", "deploy/keys.yaml holds 1 key.")
        file.write_bytes(file.read_bytes()[:-20])
        [found] = check_keys(project)
        assert found.level == "problem" and "is incomplete" in found.text
