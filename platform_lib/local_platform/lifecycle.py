"""The local platform of one project, as the commands see it: up, down, and the addresses. The parts do the work."""

from collections.abc import Mapping

from platform_lib.local_platform import ports, processes
from platform_lib.local_platform.services import define
from platform_lib.local_platform.shutdown import take_down
from platform_lib.local_platform.startup import Outcome, Progress, bring_up
from platform_lib.local_platform.state import PlatformState
from platform_lib.settings import Project


def up(
    project: Project, *, requested_ports: Mapping[str, int], auto_ports: bool = False, progress: Progress | None = None
) -> Outcome:
    """Start what does not run of the project's platform.

    Args:
        requested_ports: By service name; a running service moves there.
        auto_ports: Let the system choose the others.
    Raises:
        UsageError: Another `mlp up` or `mlp down` is at work, or two services were given one port.
        ServiceError: A port is taken, the disk is full, or a service did not come up.
    """
    state = PlatformState(project.root)
    with state.locked():
        records = state.load()
        processes.stop_leftovers(project.root, records.values())
        kept = {name: record.port for name, record in records.items()}
        running = {name: record.port for name, record in records.items() if processes.find(record)}
        chosen = ports.choose(requested_ports, kept=kept, running=running, auto=auto_ports)
        return bring_up(state, define(project, chosen), progress=progress)


def down(project: Project) -> list[str]:
    """Stop the project's platform; returns the names of what ran.

    Raises:
        UsageError: Another `mlp up` or `mlp down` is at work.
    """
    state = PlatformState(project.root)
    if not state.folder.is_dir():
        return []
    with state.locked():
        return take_down(state)
