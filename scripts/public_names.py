"""Write the public names of `platform_lib.project` into docs/reference.md: `python -m scripts.public_names`."""

import inspect
from pathlib import Path

from platform_lib import project

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"
BEGIN, END = "<!-- written by `python -m scripts.public_names` -->\n", "<!-- end of the public names -->\n"


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


def written(page: str) -> str:
    """The page with the table between its markers as the code has it now."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
