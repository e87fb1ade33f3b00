"""A stand-in for a project where only its folder matters."""

from pathlib import Path


class Project:
    """A folder outside any project."""

    def __init__(self, root: Path) -> None:
        self.root = root
