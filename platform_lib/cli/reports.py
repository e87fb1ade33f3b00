"""Make the report of a version that the command line names."""

from pathlib import Path

from platform_lib.cli.console import working
from platform_lib.errors import UsageError
from platform_lib.settings import Project, load_settings


def made_report(
    project: Project, reference: str | None, *, compare: str | None = None, out: Path | None = None
) -> Path:
    """Write a report and return its file.

    Args:
        project: Names the registry and the default model.
        reference: The version; None is the champion.
        compare: The version to compare with; None is the champion at the training.
        out: The file to write; None is a file in `.mlp/reports`.
    Raises:
        NotFound: A version does not exist.
        UsageError: The folder of `out` does not exist.
    """
    from platform_lib.registry.loading import open_registry
    from platform_lib.registry.reference import parse_reference
    from platform_lib.training.documents.report import write_report

    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError(f"--out is {str(out)!r}, but the folder {str(out.parent)!r} does not exist: create it first.")
    with working("Making the report"):
        registry = open_registry(project, load_settings())
        record = registry.resolve(parse_reference(reference, project.name))
        other = None if compare is None else registry.resolve(parse_reference(compare, project.name))
        target = out or project.state_dir / "reports" / f"{record.name}-{record.version}.html"
        return write_report(registry, record, target, compare=other)
