"""The public names of `platform_lib.project` as a table for docs/reference.md."""

import inspect

from platform_lib import project


def describe(name: str) -> str:
    """One row of the table: the name with its parameters, and the first line of its docstring."""
    member = getattr(project, name)
    kind = "exception" if inspect.isclass(member) and issubclass(member, Exception) else "class"
    shown = f"{name}({', '.join(inspect.signature(member).parameters)})" if inspect.isfunction(member) else name
    first = (inspect.getdoc(member) or "").partition("\n")[0]
    return f"| `{shown}` | {'function' if inspect.isfunction(member) else kind} | {first} |"


def table() -> str:
    """The whole table as Markdown."""
    rows = [describe(name) for name in project.__all__]
    return "\n".join(["| name | kind | what it is |", "|---|---|---|", *rows]) + "\n"
