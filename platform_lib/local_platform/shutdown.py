"""Stop the local platform; its state on disk stays."""

from platform_lib.local_platform import processes
from platform_lib.local_platform.state import PlatformState


def take_down(state: PlatformState) -> list[str]:
    """Stop every service, clients before the services that they use. The caller holds `state.locked()`.

    Returns:
        Names of the services that were running.
    """
    records = state.load()
    alive = {name: found for name, record in records.items() if (found := processes.find(record))}
    users = [process for name, process in alive.items() if records[name].clients_of]
    processes.stop(users)
    processes.stop(process for process in alive.values() if process not in users)
    processes.stop(processes.marked(state.root))
    state.save({})
    return list(alive)
