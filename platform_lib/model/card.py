"""The model card: who answers for a model, what it is for, and its limits. From `conf/card.yaml` of a project."""

from datetime import date
from pathlib import Path

import msgspec
import yaml

from platform_lib.errors import UsageError
from platform_lib.names import ArtifactFile
from platform_lib.settings import Project

CARD_PATH = "conf/card.yaml"
NEEDED_WHEN_SHARED = ("owner", "intended_use")
"""Fields without which nobody else can use a model."""


class ModelCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people must know about a model and no program can find out; each field may be empty."""

    owner: str = ""
    """The person or team that answers for the model, with an address."""
    intended_use: str = ""
    """What the predictions are for, and who uses them."""
    limits: str = ""
    """What the model must not be used for, and where it is known to err."""
    licence: str = ""
    """The licence of the model and its data, such as `CC-BY-4.0` or `internal`."""
    review_date: date | None = None
    """The day by which somebody must decide again whether the model may be used."""

    def missing(self) -> list[str]:
        """Names of the empty fields."""
        return [name for name in self.__struct_fields__ if not getattr(self, name)]

    def rows(self) -> dict[str, str]:
        """Every field in words, for people; empty if the whole card is."""
        if self == ModelCard():
            return {}
        return {
            "owner": self.owner or "–",
            "intended use": self.intended_use or "–",
            "limits": self.limits or "–",
            "licence": self.licence or "–",
            "review date": str(self.review_date or "–"),
        }


def read_card(project: Project) -> ModelCard:
    """Read a project's `conf/card.yaml`; an empty card if there is none.

    Raises:
        UsageError: The file has an unknown key or an invalid value; names it.
    """
    return _read(project.root / CARD_PATH, CARD_PATH)


def card_of(folder: Path) -> ModelCard:
    """Read the card that a version was registered with; an empty one if it has none.

    Args:
        folder: The files of the version.
    Raises:
        UsageError: The file cannot be read as a model card.
    """
    return _read(folder / ArtifactFile.CARD, str(folder / ArtifactFile.CARD))


def write_card(card: ModelCard, folder: Path) -> None:
    """Write the card into the files of a version, unless it is empty."""
    if card == ModelCard():
        return
    values = {name: getattr(card, name) for name in card.__struct_fields__ if getattr(card, name)}
    text = yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=100)
    (folder / ArtifactFile.CARD).write_text(text, encoding="utf-8")


def _read(path: Path, name: str) -> ModelCard:
    known = ", ".join(ModelCard.__struct_fields__)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
        if not isinstance(values, dict | None):
            raise UsageError(f"{name} holds {type(values).__name__}, expected the keys {known}.")
        given = {key: value.strip() if isinstance(value, str) else value for key, value in (values or {}).items()}
        return msgspec.convert({key: value for key, value in given.items() if value not in (None, "")}, ModelCard)
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as err:
        raise UsageError(f"{name}: {err}. The keys are {known}; review_date is a day such as 2027-06-30.") from err
