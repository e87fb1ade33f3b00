"""Disks and stores that fail: one sentence that says what happened, what is not lost and what to do; nothing breaks."""

import errno
import hashlib
import importlib.metadata
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from platform_lib.data.dvc import push
from platform_lib.errors import StorageError
from platform_lib.local_platform.machine import check_registry
from platform_lib.names import Alias
from platform_lib.project_checks.project import check_store
from platform_lib.registry import Registry, store
from platform_lib.registry.client import mlflow_errors
from platform_lib.registry.store_check import examine_store
from platform_lib.serving.auth.api_keys import new_key
from platform_lib.serving.request_log.files import LABEL_SCHEMA, LABELS, LogFolder
from platform_lib.serving.request_log.writer import Writer
from platform_lib.settings import Project
from platform_lib.storage_errors import storage_error
from tests.conftest import Called, commit_all, copy_of
from tests.registry.conftest import bare_version, gate
from tests.security.disks import filled, locked, read_only, small_disk

TABLE = "colour,y\n" + "red,p\nblue,q\n" * 2000
COMMANDS: dict[str, list[str]] = {
    "data import": ["data", "import", "{out}/new.csv", "--target", "y"],
    "data import --replace": ["data", "import", "{out}/kept.csv", "--replace"],
    "data import --append": ["data", "import", "{out}/more.csv", "--append", "--name", "kept"],
    "data pull": ["data", "pull"],
    "train": ["train"],
    "compare": ["compare", "logistic", "forest"],
    "sweep": ["sweep", "search.trials=1"],
    "promote": ["promote", "tiny/2"],
    "rollback": ["rollback", "tiny"],
    "canary": ["canary", "tiny", "--version", "2", "--percent", "5"],
    "predict to CSV": ["predict", "data/sample.csv", "--out", "out.csv"],
    "predict to Parquet": ["predict", "data/sample.csv", "--out", "out.parquet"],
    "keys new": ["keys", "new", "second"],
    "keys revoke": ["keys", "revoke", "first"],
    "log compact": ["log", "compact"],
    "log show": ["log", "show", "--labels", "--out", "labels.parquet"],
    "image": ["image"],
}
UNCHANGED = {
    "data": "Tables, contracts and the selection are complete and as they were.",
    "train": "Registered versions and their files are unchanged.",
    "compare": "Registered versions and their files are unchanged.",
    "sweep": "Registered versions and their files are unchanged.",
    "promote": "No version is lost; `mlp models` shows the champion.",
    "rollback": "No version is lost; `mlp models` shows the champion.",
    "canary": "No version is lost; `mlp models` shows the champion.",
    "predict": "An existing output file is unchanged, because it is replaced only when the new one is complete.",
    "keys": "The key file is unchanged.",
    "log": "No logged row is lost.",
    "image": "The project is unchanged, and `build/image` was removed.",
}
VOLATILE = (".git/", ".dvc/tmp/", ".mlp/mlflow.db", "build/image")


def files(project: Project) -> dict[str, str]:
    """Every file of a project and the hash of its content, without the database and what tools keep for themselves."""
    found = {}
    for path in sorted(project.root.rglob("*")):
        name = path.relative_to(project.root).as_posix()
        if path.is_file() and not name.startswith(VOLATILE) and "__pycache__" not in name:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def registered(project: Project) -> list[tuple[object, ...]]:
    """What the registry knows: versions and aliases."""
    with closing(sqlite3.connect(f"file:{project.database}?mode=ro", uri=True)) as database:
        return [
            row
            for query in (
                "SELECT name, alias, version FROM registered_model_aliases",
                "SELECT name, version FROM model_versions",
            )
            for row in sorted(database.execute(query).fetchall())
        ]


@pytest.fixture(scope="module")
def disk_project(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Path]]:
    """A trained project with everything that the commands need, alone on a small disk."""
    with small_disk(tmp_path_factory.mktemp("disk") / "disk", 24) as disk:
        project = copy_of(trained, disk / "project")
        registry = Registry(f"sqlite:///{project.database.as_posix()}")
        for _ in range(3):
            last = bare_version(registry, gate())
            if last.version != "2":
                registry.promote(last)
        new_key(project.root / "deploy" / "keys.yaml", "first", ["predict"])
        day = datetime.now(UTC) - timedelta(days=2)
        folder = LogFolder.at(str(project.state_dir / "log"))
        for number in range(2):
            row = {"request_id": f"r{number}", "row": 0, "time": day, "key_name": "k", "label": "x" * 5000}
            rows = [{name: row.get(name) for name in LABEL_SCHEMA.names}]
            folder.write(LABELS, pa.Table.from_pylist(rows, schema=LABEL_SCHEMA), day, number)
        (project.root / "out.csv").write_text("the old output\n", encoding="utf-8")
        (project.root / "uv.lock").write_text(lock_of_the_library(), encoding="utf-8")
        yield project, disk


def lock_of_the_library() -> str:
    """A lock that is complete enough for `mlp image`."""
    names = {canonicalize_name(Requirement(text).name) for text in importlib.metadata.requires("platform-lib") or []}
    entries = [
        f'[[package]]\nname = "{name}"\nversion = "{importlib.metadata.version(name)}"\nsource = {{ registry = "x" }}\n'
        'wheels = [{ url = "w", hash = "sha256:aa" }]\n'
        for name in sorted(names & {canonicalize_name(each.name) for each in importlib.metadata.distributions()})
    ]
    return "version = 1\n" + "\n".join(entries)


@pytest.fixture(scope="module")
def tables(disk_project: tuple[Project, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables to import, on another disk; `kept` is imported."""
    from tests.data.conftest import import_file

    folder = tmp_path_factory.mktemp("tables")
    for name, text in (("new", TABLE), ("kept", TABLE), ("more", TABLE.replace("red", "green"))):
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    project = disk_project[0]
    import_file(project, folder / "kept.csv", target="y")
    (folder / "kept.csv").write_text(TABLE.replace("blue", "grey"), encoding="utf-8")
    storage = tmp_path_factory.mktemp("storage").as_posix()
    config = f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {storage}\n"
    (project.root / ".dvc" / "config").write_text(config, encoding="utf-8")
    import_file(project, folder / "new.csv", target="y", name="pulled")
    push(project)
    (project.data_dir / "pulled.parquet").unlink()
    shutil.rmtree(project.root / ".dvc" / "cache")
    (project.conf_dir / "train.yaml").write_text(
        (project.conf_dir / "train.yaml").read_text(encoding="utf-8").replace("data: pulled", "data: sample"), "utf-8"
    )
    commit_all(project.root)
    return folder


@pytest.mark.parametrize("failing", ["full", "read-only"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_on_a_bad_disk_says_so_and_leaves_everything_as_it_was(
    name: str,
    failing: str,
    disk_project: tuple[Project, Path],
    tables: Path,
    call_mlp: Callable[..., Called],
) -> None:
    project, disk = disk_project
    before, versions = files(project), registered(project)
    arguments = [word.format(out=tables) for word in COMMANDS[name]]
    with filled(disk) if failing == "full" else read_only(project.root):
        called = call_mlp(project, *arguments)
    assert called.code == 3, called.err
    message = called.err[called.err.rindex("error: ") :]
    assert "bug" not in called.err and "Traceback" not in called.err and "sqlalche" not in called.err
    words = "is full" if failing == "full" else "read-only"
    named = (
        [str(project.root), *arguments[arguments.index("--out") + 1 :]] if "--out" in arguments else [str(project.root)]
    )
    assert words in message and any(name in message for name in named), message
    assert UNCHANGED[arguments[0]] in message
    assert message.count("\n") == 1, message
    assert files(project) == before
    assert registered(project) == versions
    with closing(sqlite3.connect(project.database)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_training_whose_model_does_not_fit_on_the_disk_leaves_no_part_of_it_and_a_failed_run(
    disk_project: tuple[Project, Path], tables: Path, call_mlp: Callable[..., Called]
) -> None:
    project, disk = disk_project
    before, versions = files(project), registered(project)
    [model] = (project.state_dir / "artifacts").rglob("model.skops")
    with filled(disk, leaving=model.stat().st_size // 2):
        called = call_mlp(project, "train", "diagnostics=off")  # pictures would fill the disk before the model
    assert called.code == 3
    assert "is full. " + UNCHANGED["train"] in called.err
    left = {name for name in files(project).keys() - before.keys() if "/models/" in name}
    assert (left, registered(project)) == (set(), versions)
    with closing(sqlite3.connect(project.database)) as database:
        [(status,)] = database.execute("SELECT status FROM runs ORDER BY start_time DESC LIMIT 1").fetchall()
    assert status == "FAILED"


def test_the_request_log_keeps_rows_in_memory_while_its_disk_is_full(tmp_path: Path) -> None:
    row = dict.fromkeys(LABEL_SCHEMA.names) | {"request_id": "r", "row": 0, "time": datetime.now(UTC), "label": "x"}
    with small_disk(tmp_path / "disk", 1) as disk:
        writer = Writer(LogFolder.at(str(disk / "log")), flush_s=1, file_rows=10, keep_rows=10)
        writer.add({"kind": LABELS, "rows": [row]})
        with filled(disk):
            report = writer.flush()
            assert (report["written"], report["dropped"]) == (0, 0)
            assert report["problem"] is not None and "is full" in report["problem"]
        assert writer.flush() == {"written": 1, "dropped": 0, "problem": None}
        assert [path.suffix for path in (disk / "log").rglob("*") if path.is_file()] == [".parquet"]


@pytest.fixture
def own(trained: Project, tmp_path: Path) -> Project:
    """A trained project to damage."""
    project = copy_of(trained, tmp_path / "p")
    store.ensure_database(project.database)
    return project


class TestLocked:
    def test_a_locked_registry_is_called_locked_with_the_process_that_holds_it(
        self, own: Project, call_mlp: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "BUSY_TIMEOUT_S", 0.1)
        monkeypatch.setattr("platform_lib.registry.store_check.BUSY_TIMEOUT_S", 0.1)
        content = own.database.read_bytes()
        with locked(own.database) as holder:
            for arguments in (["models"], ["promote", "@candidate"], ["train"]):
                called = call_mlp(own, *arguments)
                assert called.code == 3
                message = called.err[called.err.rindex("error: ") :]
                assert f"{own.database} is locked: process {holder} (" in message
                assert "Nothing in it is lost." in message and "Wait until that process ends" in message
                assert "move" not in message.lower().replace("leave", "")
            [found] = examine_store(own.database)
            assert found.level == "problem" and f"process {holder}" in found.text
        assert own.database.read_bytes() == content
        assert call_mlp(own, "models").code == 0

    def test_a_lock_that_comes_while_mlflow_works_is_called_so(self, own: Project) -> None:
        from sqlalchemy import create_engine, text

        uri = f"sqlite:///{own.database.as_posix()}"
        engine = create_engine(uri, connect_args={"timeout": 0})
        with (
            locked(own.database),
            pytest.raises(StorageError, match=r"mlflow\.db is locked: process \d+"),
            mlflow_errors(uri),
            engine.connect() as connection,
        ):
            connection.execute(text("UPDATE experiments SET name = name"))
        engine.dispose()

    def test_a_server_whose_database_is_locked_is_called_so(self) -> None:
        from mlflow.exceptions import MlflowException

        said = (
            "(sqlite3.OperationalError) database is locked\n[SQL: UPDATE x]\n(Background on this error at: https://…)"
        )
        with (
            pytest.raises(
                StorageError, match=r"^the database of the MLflow server http://x is locked: another process"
            ),
            mlflow_errors("http://x"),
        ):
            raise MlflowException(said)


def overwrite(start: int, length: int) -> Callable[[Path], None]:
    def damage(database: Path) -> None:
        with database.open("r+b") as content:
            content.seek(start)
            content.write(random.Random(7).randbytes(length))

    return damage


def of_another_program(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as other, other:
        other.execute("CREATE TABLE recipes (name TEXT)")


DAMAGED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "random bytes in the middle": (overwrite(4096, 200_000), "is damaged", ".recover"),
    "cut off": (lambda file: file.write_bytes(file.read_bytes()[:200_000]), "is damaged", ".recover"),
    "random bytes": (
        lambda file: file.write_bytes(random.Random(7).randbytes(10_000)),
        "is no SQLite database",
        "backup",
    ),
    "without its beginning": (overwrite(0, 100), "is no SQLite database", "backup"),
    "empty": (lambda file: file.write_bytes(b""), "is empty", "backup"),
    "of another program": (of_another_program, "not an MLflow store", "another program"),
}


class TestDamaged:
    @pytest.mark.parametrize(("damage", "state", "remedy"), DAMAGED.values(), ids=DAMAGED.keys())
    def test_a_damaged_registry_is_described_and_never_touched(
        self, own: Project, call_mlp: Callable[..., Called], damage: Callable[[Path], object], state: str, remedy: str
    ) -> None:
        damage(own.database)
        content = own.database.read_bytes()
        for arguments in (["models"], ["promote", "@candidate"]):
            called = call_mlp(own, *arguments)
            assert called.code == 3, called.err
            message = called.err[called.err.rindex("error: ") :]
            assert f"{own.database} {state}" in message or state in message
            assert remedy in message and str(own.database.parent / "artifacts") in message
            assert "move it away" not in message.lower() and "delete" not in message.lower() and "bug" not in message
            assert "sqlalche" not in message and "SQL:" not in message
        [found] = examine_store(own.database)
        assert found.level == "problem" and state in found.text and remedy in found.remedy
        assert own.database.read_bytes() == content

    def test_check_and_doctor_look_into_the_registry(self, own: Project) -> None:
        [found] = examine_store(own.database)
        assert (found.level, found.text) == (
            "ok",
            "mlflow.db is whole, and the files of 2 versions in use match their hashes.",
        )
        overwrite(4096, 200_000)(own.database)
        for [found] in (list(check_registry(own)), list(check_store(own))):
            assert found.level == "problem" and "is damaged" in found.text

    @pytest.mark.parametrize(
        ("spoil", "text"),
        [
            (
                "UPDATE registered_model_aliases SET version = 99 WHERE alias = 'champion'",
                "names version 99, which is gone",
            ),
            ("UPDATE alembic_version SET version_num = 'ffffffffffff'", "newer version of MLflow"),
            ("UPDATE alembic_version SET version_num = '451aebb31d03'", "older version of MLflow"),
            ("DELETE FROM alembic_version", "lacks the version of its schema"),
        ],
        ids=["alias", "newer", "older", "recovered"],
    )
    def test_what_is_wrong_inside_the_registry_is_found(self, own: Project, spoil: str, text: str) -> None:
        with closing(sqlite3.connect(own.database)) as database, database:
            database.execute(spoil)
        [found] = [found for found in examine_store(own.database) if found.level == "problem"]
        assert text in found.text

    @pytest.mark.parametrize(
        ("file", "change", "text"),
        [
            ("model.skops", lambda file: file.unlink(), "is missing"),
            ("model.skops", lambda file: file.write_bytes(file.read_bytes() + b"x"), "is not the registered file"),
            ("contract.yaml", lambda file: file.write_text("x", "utf-8"), "are not the registered ones"),
        ],
        ids=["missing", "model", "contract"],
    )
    def test_files_of_the_champion_that_are_gone_or_changed_are_found(
        self, own: Project, file: str, change: Callable[[Path], object], text: str
    ) -> None:
        record = Registry(f"sqlite:///{own.database.as_posix()}").champion(own.name)
        assert record is not None and Alias.CHAMPION in record.aliases
        [path] = (own.state_dir / "artifacts").rglob(file)
        change(path)
        found = [found for found in examine_store(own.database) if found.level == "problem"]
        assert found and all(text in each.text for each in found)
        assert any("champion" in each.text for each in found)


class TestWhoseError:
    @pytest.mark.parametrize(
        ("code", "words", "remedy"),
        [
            (errno.ENOSPC, "the disk of /p/file is full", "Free some space"),
            (errno.EDQUOT, "quota", "larger quota"),
            (errno.EROFS, "read-only", "Mount it writable"),
            (errno.EACCES, "permission denied", "permissions"),
            (errno.EPERM, "permission denied", "permissions"),
            (errno.EMFILE, "too many files are open, so /p/file", "ulimit -n"),
            (errno.ENFILE, "too many files are open", "ulimit -n"),
            (errno.EIO, "the disk failed", "dmesg"),
            (errno.EFBIG, "would become larger", "ulimit -f"),
        ],
        ids=errno.errorcode.get,
    )
    def test_an_error_of_the_disk_names_the_file_and_the_remedy(self, code: int, words: str, remedy: str) -> None:
        wrapped = RuntimeError("outer")
        wrapped.__cause__ = OSError(code, "x", "/p/file")
        for err in (OSError(code, "x", "/p/file"), wrapped):
            found = storage_error(err)
            assert found is not None
            assert words in found.problem and "/p/file" in found.problem and remedy in found.remedy
            assert found.exit_code == 3

    def test_what_copying_a_folder_to_a_full_disk_raises_is_understood(self, tmp_path: Path) -> None:
        (tmp_path / "from").mkdir()
        (tmp_path / "from" / "big").write_bytes(b"x" * 2**21)
        with small_disk(tmp_path / "disk", 1) as disk, pytest.raises(shutil.Error) as caught:
            shutil.copytree(tmp_path / "from", disk / "to")
        found = storage_error(caught.value)
        assert found is not None and "is full" in found.problem

    @pytest.mark.parametrize(
        "err",
        [
            FileNotFoundError(2, "x", "f"),
            IsADirectoryError(21, "x", "f"),
            ValueError("x"),
            sqlite3.ProgrammingError("x"),
        ],
    )
    def test_other_errors_stay_what_they_are(self, err: Exception) -> None:
        assert storage_error(err) is None

    def test_a_bug_after_a_handled_error_of_the_disk_stays_a_bug(self) -> None:
        try:
            try:
                raise OSError(errno.ENOSPC, "x")
            except OSError:
                raise AttributeError("bug")  # noqa: B904
        except AttributeError as err:
            assert storage_error(err) is None

    @pytest.mark.parametrize("raised", ["OSError(28, 'No space left on device', 'mine.csv')", "KeyError('x')"])
    def test_an_error_of_the_users_code_is_theirs(
        self, own: Project, call_mlp: Callable[..., Called], raised: str
    ) -> None:
        file = own.root / "src" / own.package / "features.py"
        text = file.read_text(encoding="utf-8")
        number = next(i for i, line in enumerate(text.splitlines(), 1) if line.startswith("def build_features"))
        lines = text.splitlines()
        lines.insert(number, f"    raise {raised}")
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        called = call_mlp(own, "train")
        assert called.code == 2
        message = called.err[called.err.rindex("error: ") :]
        assert message.startswith(
            f"error: src/{own.package}/features.py, line {number + 1}, raised {raised.split('(')[0]}"
        )
        assert "bug" not in message


class TestRefusedByDvc:
    @pytest.mark.parametrize(
        ("rule", "file"),
        [
            ("data/", ".gitignore"),
            ("*.dvc", ".gitignore"),
            ("*.dvc", ".git/info/exclude"),
            ("conf/data/", ".gitignore"),
        ],
    )
    def test_what_git_ignores_is_refused_before_anything_is_written(
        self, project: Project, tmp_path: Path, call_mlp: Callable[..., Called], rule: str, file: str
    ) -> None:
        with (project.root / file).open("a", encoding="utf-8") as ignore:
            ignore.write(f"{rule}\n")
        (tmp_path / "t.csv").write_text("a,y\n1,p\n2,q\n3,p\n4,q\n", encoding="utf-8")
        before = files(project)
        called = call_mlp(project, "data", "import", str(tmp_path / "t.csv"), "--target", "y")
        assert called.code == 2, called.err
        assert "git ignores " in called.err and f"`{rule}`" in called.err and file in called.err
        assert files(project) == before
        assert not (project.state_dir / "import").exists()
        assert call_mlp(project, "data", "list").code == 0

    def test_a_table_that_git_tracks_is_refused_with_the_command_that_helps(
        self, project: Project, tmp_path: Path, call_mlp: Callable[..., Called]
    ) -> None:
        from tests.conftest import git

        table = tmp_path / "t.csv"
        table.write_text("a,y\n1,p\n2,q\n3,p\n4,q\n", encoding="utf-8")
        assert call_mlp(project, "data", "import", str(table), "--target", "y").code == 0
        git(project.root, "add", "-f", "data/t.parquet")
        before = files(project)
        called = call_mlp(project, "data", "import", str(table), "--replace")
        assert (called.code, files(project)) == (2, before)
        assert "git tracks data/t.parquet" in called.err and "`git rm --cached data/t.parquet`" in called.err
        git(project.root, "rm", "-q", "--cached", "data/t.parquet")
        assert call_mlp(project, "data", "import", str(table), "--replace").code == 0

    def test_any_other_refusal_of_dvc_restores_the_old_table_and_says_all_that_dvc_said(
        self, project: Project, tmp_path: Path, call_mlp: Callable[..., Called]
    ) -> None:
        """Here a stage of dvc.yaml already produces the table."""
        table = tmp_path / "t.csv"
        table.write_text("a,y\n1,p\n2,q\n3,p\n4,q\n", encoding="utf-8")
        (project.root / "dvc.yaml").write_text(
            "stages:\n  make:\n    cmd: make-it\n    outs:\n    - data/t.parquet\n", encoding="utf-8"
        )
        before = files(project)
        called = call_mlp(project, "data", "import", str(table), "--target", "y")
        assert called.code == 3
        assert "DVC could not track t.parquet" in called.err and "make" in called.err
        assert files(project) == before
        assert call_mlp(project, "data", "list").code == 0
