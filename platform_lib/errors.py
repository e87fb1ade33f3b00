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


class NotFound(UsageError):
    """A named model, version, alias, dataset or project does not exist; the message lists those that do."""


class UntrustedModel(CheckFailed):
    """A model file differs from the registered one, or contains a type that is not trusted."""
