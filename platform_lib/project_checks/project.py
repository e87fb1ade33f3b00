"""Checks of a project, from its template to its registry and keys. They change nothing."""

import configparser
import importlib.metadata
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
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
from platform_lib.errors import NotFound, PlatformError, UsageError
from platform_lib.findings import Finding, Level, note, ok, problem
from platform_lib.model.card import CARD_PATH, NEEDED_WHEN_SHARED, read_card
from platform_lib.project_checks.lock_file import check_lock
from platform_lib.project_checks.work_tree import check_work_tree
from platform_lib.registry.store_check import examine_store
from platform_lib.serving.auth.api_keys import read_keys
from platform_lib.settings import Project
from platform_lib.user_code import import_user_module

ANSWERS = ".copier-answers.yml"
USER_MODULES = ("features", "model", "pipeline")
REVIEW_NOTICE_DAYS = 30
_RELEASE = re.compile(r"v(\d+\.\d+\.\d+\S*)")
_BETWEEN_RELEASES = re.compile(r"-\d+-g[0-9a-f]+$")


def examine_project(project: Project) -> list[Finding]:
    """Run all checks of a project."""
    checks: list[Callable[[Project], Iterable[Finding]]] = [
        check_template,
        check_lock,
        check_work_tree,
        check_leftovers,
        check_data,
        check_dvc,
        check_configuration,
        check_user_code,
        check_card,
        check_store,
        check_keys,
    ]
    return [finding for check in checks for finding in check(project)]


def check_template(project: Project) -> Iterable[Finding]:
    """Check that the installed library has the version of the template."""
    name, installed = "template", importlib.metadata.version("platform-lib")
    try:
        answers = yaml.safe_load((project.root / ANSWERS).read_text(encoding="utf-8"))
        commit = str(answers["_commit"])
    except OSError:
        return [note(name, f"{ANSWERS} is missing, so `copier update` cannot update this project.")]
    except (UnicodeDecodeError, yaml.YAMLError):
        remedy = f"Restore it with `git checkout -- {ANSWERS}`."
        return [problem(name, f"{ANSWERS} cannot be read.", remedy)]
    except (KeyError, TypeError):
        return [note(name, f"generated from a folder without a version; the library is {installed}.")]
    release = _RELEASE.fullmatch(commit)
    if release is None or _BETWEEN_RELEASES.search(commit):
        return [note(name, f"generated from {commit}, which is not a release; the library is {installed}.")]
    if release[1] != installed:
        text = f"the template is at {commit}, but the installed platform-lib is {installed}."
        return [problem(name, text, "Run `make lock` and `make setup`, then commit the lock.")]
    return [ok(name, f"template and library are both at {commit}.")]


def check_leftovers(project: Project) -> Iterable[Finding]:
    """Check for files of an interrupted import."""
    if staging_folder(project).is_dir():
        text = "an import of a table was interrupted or is still running."
        return [problem("import", text, "`mlp data check` finishes it.")]
    return []


def check_data(project: Project) -> Iterable[Finding]:
    """Check that the selected table exists and matches its data contract."""
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
    return [ok(name, f"{path.name} matches conf/data/{selected}.yaml: {rows} rows.")]


def check_dvc(project: Project) -> Iterable[Finding]:
    """Check that DVC has a default remote and that tracked tables are unchanged."""
    name, found = "dvc", []
    remote = _default_remote(project.root / ".dvc" / "config")
    if remote is None:
        remedy = "Run `dvc remote add --default storage FOLDER_OR_S3_ADDRESS`."
        level: Level = "problem" if tracked_files(project) else "note"
        found.append(
            Finding(level=level, area=name, text=".dvc/config has no default remote for tables.", remedy=remedy)
        )
    for path in tracked_files(project):
        expected = tracked_md5(path)
        if expected is None:
            remedy = f"Restore it with `git checkout -- data/{path.name}.dvc`, or import the table again."
            found.append(problem(name, f"data/{path.name}.dvc cannot be read.", remedy))
        elif path.is_file() and file_md5(path) != expected:
            remedy = (
                "Import the change with `mlp data import`, or restore the old content with `mlp data pull --force`."
            )
            found.append(problem(name, f"data/{path.name} differs from what DVC tracks.", remedy))
    count = len(tracked_files(project))
    return found or [ok(name, f"{count} table{'' if count == 1 else 's'} tracked; storage: {remote}.")]


def _default_remote(config: Path) -> str | None:
    """Return the default remote's address from .dvc/config; importing DVC would take a second."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(config, encoding="utf-8")
        return parser.get(f"'remote \"{parser.get('core', 'remote')}\"'", "url")
    except (configparser.Error, UnicodeDecodeError):
        return None


def check_configuration(project: Project) -> Iterable[Finding]:
    """Check that the default and each choice of each group compose, one at a time."""
    from platform_lib.training.config.compose import compose

    name = "configuration"
    try:
        if selected_name(project) is None:
            return [note(name, "not composed, because no table is selected yet.")]
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
    """List choices such as `model=forest`, without those that require a value on the command line.

    Other tables than the selected one are left out: slices and splits need not match their columns.
    """
    files = sorted(project.conf_dir.glob("*/*.yaml"))
    other = {(project.conf_dir / "data" / f"{table}.yaml") for table in dataset_names(project)}
    return [
        f"{file.parent.name}={file.stem}"
        for file in files
        if file not in other and "???" not in file.read_text(encoding="utf-8")
    ]


def check_user_code(project: Project) -> Iterable[Finding]:
    """Check that the user's package can be imported."""
    found = []
    for module in USER_MODULES:
        try:
            import_user_module(project, module)
        except PlatformError as err:
            found.append(problem("code", str(err)))
    return found or [ok("code", f"{project.package} imports.")]


def check_card(project: Project) -> Iterable[Finding]:
    """Check that the model card says what others need, and that its review date has not passed."""
    name = "card"
    try:
        card = read_card(project)
    except UsageError as err:
        return [problem(name, str(err))]
    found = []
    left = None if card.review_date is None else (card.review_date - datetime.now(UTC).date()).days
    remedy = f"Review the model, then set a later review_date in {CARD_PATH}."
    if left is not None and left < 0:
        found.append(problem(name, f"the model was to be reviewed by {card.review_date}.", remedy))
    elif left is not None and left <= REVIEW_NOTICE_DAYS:
        found.append(note(name, f"the model must be reviewed by {card.review_date}.", remedy))
    if missing := card.missing():
        needed = " and ".join(NEEDED_WHEN_SHARED)
        text = f"{CARD_PATH} has no {', '.join(missing)}; a shared registry asks for {needed}."
        found.append(note(name, text))
    return found or [ok(name, f"{CARD_PATH} is complete; the next review is due by {card.review_date}.")]


def check_store(project: Project) -> Iterable[Finding]:
    """Check the local registry: the database, and the files of the versions in use."""
    return examine_store(project.database)


def check_keys(project: Project) -> Iterable[Finding]:
    """Check that the key file of the deployment can be read, if there is one."""
    file = project.root / "deploy" / "keys.yaml"
    if not file.exists():
        return []
    try:
        count = len(read_keys(file))
    except UsageError as err:
        return [problem("keys", str(err))]
    return [ok("keys", f"deploy/keys.yaml holds {count} key{'' if count == 1 else 's'}.")]
