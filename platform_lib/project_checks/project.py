"""Is this project sound: template, lock, git, data, configuration, code and DVC, each with how to mend it. Changes nothing.

It asks every part of the library, training too, and so stands with the commands. Whether the machine is able is `local_platform.machine`'s.
"""

import configparser
import importlib.metadata
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from platform_lib.data.dataset import (
    NOTHING_SELECTED,
    dataset_names,
    dataset_path,
    find_contract,
    load_dataset,
    selected_name,
)
from platform_lib.data.dvc import file_md5, tracked_files, tracked_md5
from platform_lib.data.imports.staging import staging_folder
from platform_lib.errors import NotFound, PlatformError
from platform_lib.findings import Finding, Level, note, ok, problem
from platform_lib.project_checks.lock_file import check_lock
from platform_lib.project_checks.work_tree import check_work_tree
from platform_lib.settings import Project
from platform_lib.user_code import import_user_module

ANSWERS = ".copier-answers.yml"
USER_MODULES = ("features", "model", "pipeline")
_RELEASE = re.compile(r"v(\d+\.\d+\.\d+\S*)")
_BETWEEN_RELEASES = re.compile(r"-\d+-g[0-9a-f]+$")


def examine_project(project: Project) -> list[Finding]:
    """Look at everything that `mlp check` looks at."""
    checks: list[Callable[[Project], Iterable[Finding]]] = [
        check_template,
        check_lock,
        check_work_tree,
        check_leftovers,
        check_data,
        check_dvc,
        check_configuration,
        check_user_code,
    ]
    return [finding for check in checks for finding in check(project)]


def check_template(project: Project) -> Iterable[Finding]:
    """Whether the installed library is of the version that the template was: an update moves both."""
    name, installed = "template", importlib.metadata.version("platform-lib")
    try:
        answers = yaml.safe_load((project.root / ANSWERS).read_text(encoding="utf-8"))
        commit = str(answers["_commit"])
    except OSError:
        return [note(name, f"there is no {ANSWERS}, so `copier update` cannot update this project.")]
    except (UnicodeDecodeError, yaml.YAMLError):
        remedy = f"Take it back with `git checkout {ANSWERS}`."
        return [problem(name, f"{ANSWERS} cannot be read.", remedy)]
    except (KeyError, TypeError):
        return [note(name, f"made from a folder without a version; the library is {installed}.")]
    release = _RELEASE.fullmatch(commit)
    if release is None or _BETWEEN_RELEASES.search(commit):
        return [note(name, f"made from {commit}, which is no release; the library is {installed}.")]
    if release[1] != installed:
        text = f"the template is at {commit}, but the installed platform-lib is {installed}."
        return [problem(name, text, "Run `make lock` and `make setup`, then commit the lock.")]
    return [ok(name, f"template and library are both at {commit}.")]


def check_leftovers(project: Project) -> Iterable[Finding]:
    """Files of an import that was stopped."""
    if staging_folder(project).is_dir():
        text = "an import of a table was stopped half-way, or is still at work."
        return [problem("import", text, "`mlp data check` finishes it.")]
    return []


def check_data(project: Project) -> Iterable[Finding]:
    """Whether the selected table is there and fits its contract."""
    name = "data"
    try:
        selected = selected_name(project)
        if selected is None:
            return [note(name, NOTHING_SELECTED)]
        contract = find_contract(project, selected)
        try:
            path = dataset_path(project, contract)
        except NotFound as err:
            level: Level = "note" if project.root / contract.path in tracked_files(project) else "problem"
            return [Finding(level=level, area=name, text=str(err))]
        rows = len(load_dataset(project, contract))
    except PlatformError as err:
        return [problem(name, str(err))]
    return [ok(name, f"{path.name} fits conf/data/{selected}.yaml: {rows} rows.")]


def check_dvc(project: Project) -> Iterable[Finding]:
    """Whether DVC has a place to keep tables, and what it tracks is what is there."""
    name, found = "dvc", []
    remote = _default_remote(project.root / ".dvc" / "config")
    if remote is None:
        remedy = "Run `dvc remote add --default storage FOLDER_OR_S3_ADDRESS`."
        level: Level = "problem" if tracked_files(project) else "note"
        found.append(Finding(level=level, area=name, text=".dvc/config names no storage for tables.", remedy=remedy))
    for path in tracked_files(project):
        expected = tracked_md5(path)
        if expected is None:
            remedy = f"Take it back with `git checkout data/{path.name}.dvc`, or import the table again."
            found.append(problem(name, f"data/{path.name}.dvc cannot be read.", remedy))
        elif path.is_file() and file_md5(path) != expected:
            remedy = (
                "Import the change with `mlp data import`, or restore the old content with `mlp data pull --force`."
            )
            found.append(problem(name, f"data/{path.name} is not what DVC tracks.", remedy))
    count = len(tracked_files(project))
    return found or [ok(name, f"{count} table{'' if count == 1 else 's'} tracked; storage: {remote}.")]


def _default_remote(config: Path) -> str | None:
    """Address of the default remote, as .dvc/config has it; DVC itself takes a second to import."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(config, encoding="utf-8")
        return parser.get(f"'remote \"{parser.get('core', 'remote')}\"'", "url")
    except (configparser.Error, UnicodeDecodeError):
        return None


def check_configuration(project: Project) -> Iterable[Finding]:
    """Whether the default and every choice of every group compose, one choice at a time."""
    from platform_lib.training.config.compose import compose

    name = "configuration"
    try:
        if selected_name(project) is None:
            return [note(name, "not composed, since no table is selected yet.")]
        compose(project, [])
    except PlatformError as err:
        return [problem(name, str(err))]
    found, composed = [], 0
    for choice in _choices(project):
        try:
            compose(project, [choice])
            composed += 1
        except PlatformError as err:
            found.append(problem(name, f"with {choice}: {err}"))
    return found or [ok(name, f"the default and {composed} choices compose.")]


def _choices(project: Project) -> list[str]:
    """Choices like `model=forest`; those that leave a value open for the command line cannot compose by themselves.

    Of the tables only the selected one is composed: the others' columns need not fit slices and splits.
    """
    files = sorted(project.conf_dir.glob("*/*.yaml"))
    other = {(project.conf_dir / "data" / f"{table}.yaml") for table in dataset_names(project)}
    return [
        f"{file.parent.name}={file.stem}"
        for file in files
        if file not in other and "???" not in file.read_text(encoding="utf-8")
    ]


def check_user_code(project: Project) -> Iterable[Finding]:
    """Whether the user's package imports."""
    found = []
    for module in USER_MODULES:
        try:
            import_user_module(project, module)
        except PlatformError as err:
            found.append(problem("code", str(err)))
    return found or [ok("code", f"{project.package} imports.")]
