"""Exceptions that callers can catch, with their exit codes.

Each message says what was given, what was expected and what to do.
"""

from platform_lib.names import ExitCode


class PlatformError(Exception):
    """Base class of the library's exceptions."""

    exit_code: ExitCode = ExitCode.BUG


class UsageError(PlatformError):
    """A command, file, configuration or request is invalid."""

    exit_code = ExitCode.USAGE


class CheckFailed(PlatformError):
    """A check, the data contract or the gate refused valid input."""

    exit_code = ExitCode.REFUSED


class ServiceError(PlatformError):
    """A required server, store or remote failed."""

    exit_code = ExitCode.SERVICE


class StorageError(ServiceError):
    """A disk or a local store is full, read-only, locked, damaged or not what it should be."""

    def __init__(self, problem: str, remedy: str, *, is_damage: bool = False) -> None:
        """Describe the failure.

        Args:
            problem: What failed, in sentences.
            remedy: What to do, in sentences. A command may add in between what it left unchanged.
            is_damage: The store itself may have lost content, so nothing more can be promised.
        """
        super().__init__(f"{problem} {remedy}")
        self.problem, self.remedy, self.is_damage = problem, remedy, is_damage


class NotFound(UsageError):
    """A named model, version, alias, dataset or project does not exist; the message lists those that do."""


class UntrustedModel(CheckFailed):
    """A model file differs from the registered one, or contains a type that is not trusted."""
