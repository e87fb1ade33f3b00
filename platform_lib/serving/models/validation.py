"""Validate a version before it serves: the gate's verdict, dependencies, files, types and predictions."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from platform_lib.data.contract import library_message
from platform_lib.data.rows import rows_of
from platform_lib.data.sample_rows import made_up_row
from platform_lib.errors import CheckFailed, PlatformError, ServiceError, UntrustedModel
from platform_lib.model.artifact import LoadedModel, Predictions, load_artifact, read_profile
from platform_lib.model.probe_rows import Predict
from platform_lib.model.profile import Profile, parse_profile
from platform_lib.model.reference_answers import ReferenceAnswers, first_difference, read_reference_answers
from platform_lib.model.signing.verification import OFF, SignaturePolicy, check_signature
from platform_lib.names import ArtifactFile, VersionTag
from platform_lib.registry.approval import refusal
from platform_lib.serving.fastpath.selection import Selection, prediction_function, select_fast_path
from platform_lib.serving.light_imports import import_sklearn
from platform_lib.serving.models.dependencies import compare_dependencies, read_pins
from platform_lib.serving.models.example import example_row
from platform_lib.serving.models.registry_client import ResolvedVersion
from platform_lib.serving.predictor import predict_rows

Check = Literal["gate", "signature", "files", "dependencies", "loading", "example", "parity"]
"""The check that a version failed; label `reason` of the metric `mlp_model_refused_total`."""


class VersionRejected(CheckFailed):
    """A version must not serve."""

    def __init__(self, check: Check, reason: str) -> None:
        super().__init__(reason)
        self.check: Check = check


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidatedVersion:
    """A version that may serve. It has predicted once, so the first caller waits for no import or compilation."""

    model: LoadedModel
    example: dict[str, Any]
    example_prediction: Predictions
    """The prediction for `example`, shape (1,)."""
    predicts_made_up_row: bool
    """Whether it predicts a row that only the columns' types decide."""
    reference_answers: ReferenceAnswers | None
    """Predictions for real rows, made by the training process; None if the artifact has none."""
    profile: Profile | None
    selection: Selection
    """Its fast path, if it has one."""
    notes: tuple[str, ...]
    """Differences from training, and a signature that does not hold, if they do not prevent serving; one sentence
    each."""
    signed_by: str | None
    """Who signed its files, verified; None if that was not verified."""


def check_gate(resolved: ResolvedVersion, role: str | None) -> None:
    """Check that the gate accepted a version, or that somebody overrode the gate for its role.

    Args:
        resolved: The version, with its current tags.
        role: The alias under which it would serve; None for a version that is named by its number.
    Raises:
        VersionRejected: The version must not serve; the message says why and what to do.
    """
    if reason := refusal(resolved.name, resolved.version, resolved.tags, role):
        raise VersionRejected("gate", reason)


def validate(
    resolved: ResolvedVersion,
    folder: Path,
    *,
    package: str | None,
    trusted_types: tuple[str, ...],
    signatures: SignaturePolicy = OFF,
) -> ValidatedVersion:
    """Load a version and check that it may serve.

    Args:
        resolved: The version, with its tags.
        folder: Folder with the version's files.
        package: The project's own package, whose types may be loaded; None for none.
        trusted_types: Further types that may be loaded, as `module.Class`.
        signatures: Whether the files must be signed, and by whom.
    Raises:
        VersionRejected: The version must not serve; the message says why.
        ServiceError: The files cannot be read at the moment.
    """
    if not folder.is_dir():
        raise ServiceError(
            f"the files of version {resolved.version} are not where the registry says; is the artifact store there?"
        )
    notes: list[str] = []
    try:
        with _rejecting("signature", folder):
            signer = check_signature(folder, resolved.name, resolved.version, signatures, warn=notes.append)
        # Dependencies come next: objects of an incompatible library must not even be constructed.
        differences = compare_dependencies(folder, resolved.tags.get(VersionTag.PYTHON, ""))
        if differences.incompatible:
            raise VersionRejected(
                "dependencies",
                f"{'; '.join(differences.incompatible)}. Install those versions, or retrain with the installed ones.",
            )
        import_sklearn()
        with _rejecting("loading", folder):
            model = load_artifact(
                folder,
                name=resolved.name,
                version=resolved.version,
                sha256=resolved.sha256,
                package=package,
                trusted_types=trusted_types,
                others_sha256=resolved.tags.get(VersionTag.FILES_SHA256, ""),
            )
        example = example_row(model.contract, folder)
        with _rejecting("files", folder):
            profile = _profile(folder)
            reference = read_reference_answers(folder)
    except OSError as err:
        raise ServiceError(f"the files of version {resolved.version} cannot be read: {err.strerror}.") from err
    selection = select_fast_path(
        model,
        rows_of([example], model.contract)[0],
        profile,
        reference,
        same_libraries=bool(read_pins(folder)) and not differences.noted,
    )
    predict = prediction_function(model, selection)
    example_prediction = _predict_example(model, example, predict)
    notes += differences.noted
    if reference is None or not reference.rows:
        notes.append("its artifact holds no predictions of the training process to compare with")
    else:
        _check_parity(model, reference, predict)
    return ValidatedVersion(
        model=model,
        example=example,
        example_prediction=example_prediction,
        predicts_made_up_row=_predicts(model, made_up_row(model.contract), predict),
        reference_answers=reference,
        profile=profile,
        selection=selection,
        notes=tuple(notes),
        signed_by=None if signer is None else str(signer),
    )


@contextmanager
def _rejecting(check: Check, folder: Path) -> Iterator[None]:
    """Turn a problem with a file into a rejection of one line, without local paths, because callers may read it."""
    try:
        yield
    except ServiceError:
        raise
    except PlatformError as err:
        words = " ".join(str(err).replace(f"{folder}{os.sep}", "").split())
        is_file = isinstance(err, UntrustedModel) and check != "signature"
        raise VersionRejected("files" if is_file else check, words) from err


def _profile(folder: Path) -> Profile | None:
    if not (folder / ArtifactFile.PROFILE).is_file():
        return None
    try:
        return parse_profile(read_profile(folder))
    except ValueError as err:
        raise CheckFailed(f"the artifact's {ArtifactFile.PROFILE} cannot be read: {err!s:.200}") from err


def _predict_example(model: LoadedModel, example: dict[str, Any], predict: Predict) -> Predictions:
    """Predict the example row. The first call makes scikit-learn import and compile what it needs."""
    try:
        return predict_rows(model, [example], predict)
    except PlatformError as err:
        raise VersionRejected(
            "example", f"version {model.version} fails on its own example: {_with_cause(err, model)}"
        ) from err


def _with_cause(err: PlatformError, model: LoadedModel) -> str:
    """Return the message with that of the exception behind it, in one line. Admins read it, callers do not."""
    if err.__cause__ is None:
        return str(err)
    return f"{err} {type(err.__cause__).__name__}: {library_message(err.__cause__, model.contract)}"


def _predicts(model: LoadedModel, row: dict[str, Any], predict: Predict) -> bool:
    try:
        predict_rows(model, [row], predict)
    except PlatformError:
        return False
    return True


def _check_parity(model: LoadedModel, reference: ReferenceAnswers, predict: Predict) -> None:
    """Compare with training's predictions, all rows in one call as there: other batches may round sums differently."""
    try:
        difference = first_difference(reference, predict_rows(model, reference.rows, predict))
    except PlatformError as err:
        difference = _with_cause(err, model)
    if difference is not None:
        raise VersionRejected(
            "parity",
            f"version {model.version} predicts the rows in its artifact differently than in training: {difference}. "
            "The project's code or a library has changed since training: serve the version with those, or retrain.",
        )
