"""Record on a version who overrode the gate, when and why."""

import getpass
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from platform_lib import git
from platform_lib.errors import UsageError
from platform_lib.registry.approval import override_tags
from platform_lib.registry.backends.base import Backend
from platform_lib.registry.reference import VersionRecord

_LONGEST_REASON = 1000


def record_override(store: Backend, record: VersionRecord, *, role: str, reason: str) -> None:
    """Tag a version that did not pass the gate as forced; the tag that lets it serve is written last.

    Raises:
        UsageError: The reason is empty or too long.
    """
    words = " ".join(reason.split())
    if not words or len(words) > _LONGEST_REASON:
        raise UsageError(
            f"the reason has {len(words)} characters, expected 1 to {_LONGEST_REASON}: say why version "
            f'{record.version} may serve although it did not pass the gate, such as --reason "agreed with risk, see '
            '#42".'
        )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    for tag, value in override_tags(record.tags, role=role, by=who_acts(), at=at, reason=words).items():
        store.set_model_version_tag(record.name, record.version, tag, value)


def who_acts() -> str:
    """Name whoever runs this process: the author that git would write, else login and machine.

    This is what the machine says, not proof. The shared MLflow records the login that moved an alias itself.
    """
    said = git.output(Path.cwd(), "var", "GIT_AUTHOR_IDENT")  # name <address> seconds zone
    if said and len(parts := said.rsplit(" ", 2)) == 3:
        return parts[0]
    login = "unknown"
    with suppress(OSError, KeyError, ImportError):  # a user id without a name, in a container
        login = getpass.getuser()
    return f"{login}@{socket.gethostname()}"
