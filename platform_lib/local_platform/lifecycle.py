"""Start and stop a project's local platform."""

from collections.abc import Mapping

from platform_lib.local_login import ensure_password
from platform_lib.local_platform import ports, processes
from platform_lib.local_platform.services import define
from platform_lib.local_platform.shutdown import take_down
from platform_lib.local_platform.startup import Outcome, Progress, bring_up
from platform_lib.local_platform.state import PlatformState
from platform_lib.settings import Project


def up(
    project: Project, *, requested_ports: Mapping[str, int], auto_ports: bool = False, progress: Progress | None = None
) -> Outcome:
    """Start the services of the project's platform that are not running.

    Args:
        project: The project.
        requested_ports: Service name → port; a service that runs on another port is restarted.
        auto_ports: Use any free ports for the other services.
        progress: Callbacks while services start.
    Raises:
        UsageError: Another `mlp up` or `mlp down` is running, or two services have the same port.
        ServiceError: A port is in use, the disk is full, or a service did not start.
    """
    state = PlatformState(project.root)
    with state.locked():
        records = state.load()
        processes.stop_leftovers(project.root, records.values())
        kept = {name: record.port for name, record in records.items()}
        running = {name: record.port for name, record in records.items() if processes.find(record)}
        chosen = ports.choose(requested_ports, kept=kept, running=running, auto=auto_ports)
        password = ensure_password(project, renew=not running)
        return bring_up(state, define(project, chosen, password), progress=progress)


def down(project: Project) -> list[str]:
    """Stop the project's platform and return the names of the services that were running.

    Raises:
        UsageError: Another `mlp up` or `mlp down` is running.
    """
    state = PlatformState(project.root)
    if not state.folder.is_dir():
        return []
    with state.locked():
        return take_down(state)
