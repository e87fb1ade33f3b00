"""`mlp update`: bring a newer version of the template and the library into the project."""

from typing import TYPE_CHECKING

import click

from platform_lib.errors import ServiceError
from platform_lib.names import ExitCode
from platform_lib.settings import find_project

if TYPE_CHECKING:
    from pathlib import Path

    from platform_lib.updates.releases import Origin, Version
    from platform_lib.updates.settle import Settled


@click.command(epilog="Example: mlp update --to 0.2.0")
@click.option("--to", "wanted", metavar="VERSION", help="Update to this release instead of the newest.")
@click.option(
    "--check", "only_check", is_flag=True, help="Only say whether there is a newer release; exit code 4 if so."
)
@click.option("--source", metavar="ADDRESS", help="Follow the template at this address from now on, and commit that.")
def command(*, wanted: str | None, only_check: bool, source: str | None) -> int:
    """Update template and library, lock file and environment, and check the project.

    Needs a repository without uncommitted changes, and commits nothing (except the change of --source): look at the
    result with `git diff --cached`, then commit it. Lines that you added beside lines of the template are kept. Where
    you changed a line that the template changed too, the file has conflict markers and the exit code is 1.
    """
    from platform_lib.cli.console import working
    from platform_lib.updates.copier_command import find_copier, renderer, update_files
    from platform_lib.updates.environment import CHECK, find_manager, install_library, run_manager
    from platform_lib.updates.releases import choose, read_origin, read_releases, tag
    from platform_lib.updates.settle import require_clean, settle
    from platform_lib.updates.source import follow, move

    project = find_project()
    installed = read_origin(project)
    origin = installed if source is None else move(installed, source)
    version = choose(read_releases(origin, project.root), wanted, origin)
    if only_check:
        return _say_whether_newer(origin, version)
    start = require_clean(project.root)
    if origin.commit == tag(version) and source is None:
        click.echo(
            f"The project is at {origin.commit}, the newest release." if wanted is None else f"Already at {wanted}."
        )
        return ExitCode.OK
    copier = find_copier(project)
    manager = find_manager(project, origin.package_manager)
    undo = f"git reset --hard {'' if source is None else start[:12]}".rstrip()
    with working(f"Updating from {origin.commit} to {tag(version)}"):
        if source is not None:
            follow(project.root, installed, origin, renderer(copier, origin))
        update_files(copier, project.root, tag(version))
        settled = settle(project.root, renderer(copier, origin))
    _say_what_happened(settled)
    if settled.conflicts:
        click.echo(
            "Resolve the conflicts, run `git add` on these files, then `make lock`, `make setup` and `mlp check`.\n"
            f"Undo the update: {undo}"
        )
        return ExitCode.REFUSED
    changes = _changes(origin, version)
    install_library(project, manager, origin.package_manager)
    _stage_lock(project.root)
    healthy = run_manager(project, manager, CHECK) == 0
    for line in changes:
        click.echo(line)
    click.echo(
        f"Updated from {installed.commit} to {tag(version)}. Commit it: git commit -m 'template: {tag(version)}'"
    )
    click.echo(f"Undo the update: {undo}")
    return ExitCode.OK if healthy else ExitCode.REFUSED


def _say_whether_newer(origin: "Origin", version: "Version") -> int:
    from platform_lib.updates.releases import tag

    if version <= origin.version:
        click.echo(f"The project is at {origin.commit}, and there is no newer release.")
        return ExitCode.OK
    click.echo(f"{tag(version)} is newer than {origin.commit}. Run `mlp update`.")
    return ExitCode.UPDATE


def _say_what_happened(settled: "Settled") -> None:
    for name in settled.merged:
        click.echo(f"kept both: in {name}, your lines stand beside lines that the template changed.")
    for old, new in settled.moved:
        click.echo(f"moved: the template renamed {old} to {new}, and your lines moved with it.")
    for name in settled.kept:
        click.echo(f"kept: the template no longer has {name}, but you had changed it. Delete it if you do not need it.")
    for name in settled.conflicts:
        click.echo(f"conflict: {name}")


def _changes(origin: "Origin", version: "Version") -> list[str]:
    from platform_lib.updates.changes import read_changelog, summarise

    try:
        return summarise(read_changelog(origin, version), origin.version, version)
    except ServiceError as err:
        return [f"What changed is not shown, because {err}"]


def _stage_lock(root: "Path") -> None:
    from platform_lib import git
    from platform_lib.settings import LOCK_FILES

    for name in LOCK_FILES:
        if (root / name).is_file():
            git.require(root, "add", "--", name)
