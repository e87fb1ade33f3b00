"""The errors a caller may catch. Each message says what was given, what was expected and what to do; each kind carries its exit code."""

from platform_lib.names import ExitCode


class PlatformError(Exception):
    """Base of every error this library raises on purpose."""

    exit_code: ExitCode = ExitCode.BUG


class UsageError(PlatformError):
    """The command, file, configuration or request is not of the expected form."""

    exit_code = ExitCode.USAGE


class CheckFailed(PlatformError):
    """A check, the data contract or the gate said no; the input was well-formed."""

    exit_code = ExitCode.REFUSED


class ServiceError(PlatformError):
    """A server, store or remote that was needed did not do its part."""

    exit_code = ExitCode.SERVICE


class NotFound(UsageError):
    """A model, version, alias, dataset or project that was named does not exist; the message lists what does."""


class UntrustedModel(CheckFailed):
    """A model file is not the registered one, or holds a type that is on no list of trusted types."""
