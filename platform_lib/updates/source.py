"""Let a project follow the template at another place, such as an address instead of a folder."""

import tempfile
from dataclasses import replace
from pathlib import Path

from platform_lib import git
from platform_lib.errors import UsageError
from platform_lib.files import write_atomically
from platform_lib.updates.copier_command import Render
from platform_lib.updates.releases import ANSWERS, Origin

_PIN = '"platform-lib['


def move(origin: Origin, source: str) -> Origin:
    """Return the origin at another place. A folder must be absolute, because updates run elsewhere."""
    return replace(origin, source=str(Path(source).resolve()) if Path(source).is_dir() else source)


def follow(root: Path, old: Origin, new: Origin, render: Render) -> None:
    """Change the source in the answers and the pin in pyproject.toml, and commit that.

    Copier compares the project with what the template gives at its source, so both must change before the update.

    Args:
        root: The project's folder, without uncommitted changes.
        old: Where the template came from until now.
        new: Where it comes from now.
        render: Renders the project's version of the template from its new source.

    Raises:
        UsageError: pyproject.toml has no pin, or more than one.
        ServiceError: The new source does not have the project's version, or git failed.
    """
    with tempfile.TemporaryDirectory(prefix="mlp-update-") as temporary:
        rendered = Path(temporary) / "project"
        render(rendered)
        pin = _pin(rendered / "pyproject.toml")
    file, answers = root / "pyproject.toml", root / ANSWERS
    text = file.read_text(encoding="utf-8")
    write_atomically(file, text.replace(_pin(file), pin))
    lines = answers.read_text(encoding="utf-8").splitlines(keepends=True)
    written = [f"_src_path: {new.source}\n" if line.startswith("_src_path:") else line for line in lines]
    write_atomically(answers, "".join(written))
    git.require(root, "add", "--", file.name, answers.name)
    message = f"template: follow {new.source} instead of {old.source}"
    git.require(root, "commit", "--quiet", "--no-verify", "--message", message)


def _pin(file: Path) -> str:
    pins = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip().startswith(_PIN)]
    if len(pins) != 1:
        raise UsageError(
            f"{file} has {len(pins)} lines that begin with {_PIN}, expected one: the template's pin of the library. "
            "Restore that line, then run the command again."
        )
    return pins[0]
