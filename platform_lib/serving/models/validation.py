"""Decide whether a version may serve: its files, types, libraries and answers, one after the other. `loader` fetches it before and swaps after."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from platform_lib.data.rows import rows_of
from platform_lib.errors import CheckFailed, PlatformError, ServiceError, UntrustedModel
from platform_lib.model.artifact import LoadedModel, Predictions, load_artifact, read_profile
from platform_lib.model.probe_rows import Predict
from platform_lib.model.profile import Profile, parse_profile
from platform_lib.model.reference_answers import ReferenceAnswers, first_difference, read_reference_answers
from platform_lib.names import ArtifactFile, VersionTag
from platform_lib.serving.fastpath.selection import Selection, prediction_function, select_fast_path
from platform_lib.serving.light_imports import import_sklearn
from platform_lib.serving.models.dependencies import compare_dependencies, read_pins
from platform_lib.serving.models.example import example_row
from platform_lib.serving.models.registry_client import ResolvedVersion
from platform_lib.serving.predictor import predict_rows

Check = Literal["files", "dependencies", "loading", "example", "parity"]
"""What a version failed on, the label `reason` of the metric."""


class VersionRejected(CheckFailed):
    """A version must not serve."""

    def __init__(self, check: Check, reason: str) -> None:
        super().__init__(reason)
        self.check: Check = check


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidatedVersion:
    """A version that may serve; it has answered already, so that nothing is imported or compiled for the first caller."""

    model: LoadedModel
    example: dict[str, Any]
    sample: Predictions
    """Its answer to the example."""
    samples: ReferenceAnswers | None
    """What the training process answered to real rows; None where it was not kept."""
    profile: Profile | None
    selection: Selection
    """Its fast path, if it has one."""
    notes: tuple[str, ...]
    """What differs from training without being a reason to refuse."""


def validate(
    found: ResolvedVersion, folder: Path, *, package: str | None, trusted_types: tuple[str, ...]
) -> ValidatedVersion:
    """Check a version whose files lie in a folder.

    Raises:
        VersionRejected: It must not serve; says why.
        ServiceError: The files cannot be read now.
    """
    if not folder.is_dir():
        raise ServiceError(
            f"the files of version {found.version} are not where the registry says; is the artifact store there?"
        )
    try:
        # Libraries before anything of the model is built: what does not fit must not even be constructed.
        differences = compare_dependencies(folder, found.tags.get(VersionTag.PYTHON, ""))
        if differences.incompatible:
            raise VersionRejected(
                "dependencies",
                f"{'; '.join(differences.incompatible)}. Install those versions, or train again with what is here.",
            )
        import_sklearn()
        with _or_refused("loading", folder):
            model = load_artifact(
                folder,
                name=found.name,
                version=found.version,
                sha256=found.sha256,
                package=package,
                trusted_types=trusted_types,
                others_sha256=found.tags.get(VersionTag.FILES_SHA256, ""),
            )
        example = example_row(model.contract, folder)
        with _or_refused("files", folder):
            profile = _profile(folder)
            samples = read_reference_answers(folder)
    except OSError as err:
        raise ServiceError(f"the files of version {found.version} cannot be read: {err.strerror}.") from err
    selection = select_fast_path(
        model,
        rows_of([example], model.contract)[0],
        profile,
        samples,
        same_libraries=bool(read_pins(folder)) and not differences.noted,
    )
    predict = prediction_function(model, selection)
    sample = _answer_example(model, example, predict)
    notes = list(differences.noted)
    if samples is None or not samples.rows:
        notes.append("its artifact holds no answers of the training process, so that they could not be compared")
    else:
        _check_parity(model, samples, predict)
    return ValidatedVersion(
        model=model,
        example=example,
        sample=sample,
        samples=samples,
        profile=profile,
        selection=selection,
        notes=tuple(notes),
    )


@contextmanager
def _or_refused(check: Check, folder: Path) -> Iterator[None]:
    """Turn what is wrong with a file into a refusal of one line, without this machine's paths: callers may read it."""
    try:
        yield
    except ServiceError:
        raise
    except PlatformError as err:
        words = " ".join(str(err).replace(f"{folder}{os.sep}", "").split())
        raise VersionRejected("files" if isinstance(err, UntrustedModel) else check, words) from err


def _profile(folder: Path) -> Profile | None:
    if not (folder / ArtifactFile.PROFILE).is_file():
        return None
    try:
        return parse_profile(read_profile(folder))
    except ValueError as err:
        raise CheckFailed(f"the artifact's {ArtifactFile.PROFILE} cannot be read: {err!s:.200}") from err


def _answer_example(model: LoadedModel, example: dict[str, Any], predict: Predict) -> Predictions:
    """The first answer makes scikit-learn import and compile what it needs; a model that cannot answer its own example must not serve."""
    try:
        return predict_rows(model, [example], predict)
    except PlatformError as err:
        raise VersionRejected("example", f"version {model.version} fails on its own example: {err}") from err


def _check_parity(model: LoadedModel, samples: ReferenceAnswers, predict: Predict) -> None:
    """All rows in one call, as training asked for them: the sums of another batch may differ in their last bits."""
    try:
        difference = first_difference(samples, predict_rows(model, samples.rows, predict))
    except PlatformError as err:
        difference = str(err)
    if difference is not None:
        raise VersionRejected(
            "parity",
            f"version {model.version} answers the rows in its artifact otherwise than in training: {difference}. "
            "The project's code or a library differs from when it was trained: serve it with those, or train again.",
        )
