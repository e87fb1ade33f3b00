"""Versions of models in MLflow: resolve, list, download, register whole, promote, roll back. Files are `model_files`'s, decisions training's."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_lib.errors import CheckFailed, NotFound
from platform_lib.names import Alias, VersionTag
from platform_lib.registry.client import connect, is_missing, mlflow_errors
from platform_lib.registry.files import fetch_artifacts
from platform_lib.registry.reference import Reference, VersionRecord, parse_reference
from platform_lib.registry.store import database_path, ensure_database, store_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from platform_lib.registry.model_files import ModelContent


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """What a promotion or a rollback did."""

    champion: VersionRecord
    before: str | None
    """Version that was champion until now."""
    changed: bool = True


class Registry:
    """The model registry at one address."""

    def __init__(self, uri: str) -> None:
        """Connect.

        Args:
            uri: `sqlite:///…` (created where it does not exist) or the address of an MLflow server.
        Raises:
            ServiceError: No server answers there, or the file cannot be made.
        """
        self.uri = uri
        self._database = database_path(uri)
        if self._database is not None:
            ensure_database(self._database)
        self.client: MlflowClient = connect(uri)

    def names(self) -> list[str]:
        """Names of all registered models."""
        with mlflow_errors(self.uri):
            return sorted(model.name for model in self.client.search_registered_models(max_results=1000))

    def resolve(self, reference: str | Reference) -> VersionRecord:
        """Find the version that is meant.

        Raises:
            NotFound: There is no such model, version or alias; the message lists what there is.
        """
        wanted = parse_reference(reference) if isinstance(reference, str) else reference
        found = self._find(wanted)
        if found is None:
            raise NotFound(self._what_exists(wanted))
        return self._record(found)

    def champion(self, name: str) -> VersionRecord | None:
        """The version that serves, None before the first promotion."""
        found = self._find(Reference(name, alias=Alias.CHAMPION))
        return None if found is None else self._record(found)

    def versions(self, name: str) -> list[VersionRecord]:
        """All versions of a model, the newest first; empty where there is no such model."""
        with mlflow_errors(self.uri):
            found = self.client.search_model_versions(f"name='{name}'", max_results=10000)
            aliases = self._aliases(name) if found else {}
            metrics = self._metrics([version.run_id for version in found if version.run_id])
        records = [_to_record(version, aliases, metrics.get(version.run_id, {})) for version in found]
        return sorted(records, key=lambda record: int(record.version), reverse=True)

    def run_tags(self, record: VersionRecord) -> dict[str, str]:
        """Tags of the run that made a version; empty where the run was deleted."""
        from mlflow.exceptions import MlflowException

        with mlflow_errors(self.uri):
            try:
                return dict(self.client.get_run(record.run_id).data.tags) if record.run_id else {}
            except MlflowException as err:
                if is_missing(err):
                    return {}
                raise

    def folder(self, record: VersionRecord, target: Path | None = None) -> Path:
        """The version's files as a local folder.

        Args:
            target: Copy them there. None: where they lie if that is on this machine, else the user's cache.
        Raises:
            ServiceError: They cannot be read or fetched.
        """
        with mlflow_errors(self.uri):
            source = record.source
            if source.startswith("models:/"):
                source = self.client.get_logged_model(source.removeprefix("models:/").strip("/")).artifact_location
            return fetch_artifacts(source, self.uri, target=target, key=_cache_key(self.uri, source, record))

    def download(self, record: VersionRecord, target: Path) -> Path:
        """Copy the version's files into the folder `target`, which is made; returns it."""
        return self.folder(record, target)

    def register(
        self, name: str, content: "ModelContent", *, run_id: str, tags: dict[str, str], passed: bool
    ) -> VersionRecord:
        """Store a model and make a version of it: whole or not at all.

        The files are complete before the version exists, and the version appears with all its tags in one step. What is left of an
        interrupted registration is a logged model that no version names. Registering a run's model again gives the version it has.

        Args:
            run_id: The run that made it.
            tags: All version tags but the files' SHA-256, which are added.
            passed: The gate let it through: it becomes `candidate`.
        """
        from platform_lib.registry.registration import register

        version = register(self.client, self.uri, name, content, run_id=run_id, tags=tags, passed=passed)
        return self.resolve(Reference(name, version=version))

    def promote(self, record: VersionRecord, *, force: bool = False) -> Moved:
        """Make a version the champion; the champion so far becomes `previous`.

        MLflow moves one alias at a time. In a local store promotions wait for each other; on a server the last one to write wins, and
        a reader may see `previous` moved a moment before `champion`.

        Raises:
            CheckFailed: The gate refused this version and `force` is not given.
        """
        if not record.passed_gate and not force:
            reasons = "; ".join((record.verdict or {}).get("reasons", [])) or "the gate never judged it"
            raise CheckFailed(
                f"{record.name} version {record.version} did not pass the gate: {reasons}. Train a better one, or overrule the gate with --force."
            )
        with self._lock(), mlflow_errors(self.uri):
            champion = self._find(Reference(record.name, alias=Alias.CHAMPION))
            before = None if champion is None else str(champion.version)
            if before == record.version:
                return Moved(champion=record, before=before, changed=False)
            # The score first: a champion whose score is not kept would let quality slide.
            if score := _promoted_score(record):
                self.client.set_model_version_tag(record.name, record.version, VersionTag.PROMOTED_SCORE, score)
            if not record.passed_gate:
                self.client.set_model_version_tag(record.name, record.version, VersionTag.FORCED, "true")
            if before is not None:
                self.client.set_registered_model_alias(record.name, Alias.PREVIOUS, before)
            self.client.set_registered_model_alias(record.name, Alias.CHAMPION, record.version)
        return Moved(champion=self.resolve(Reference(record.name, version=record.version)), before=before)

    def rollback(self, name: str) -> Moved:
        """Swap champion and previous, so that a second rollback undoes the first.

        Raises:
            NotFound: There is no version to go back to.
        """
        with self._lock(), mlflow_errors(self.uri):
            champion = self._find(Reference(name, alias=Alias.CHAMPION))
            previous = self._find(Reference(name, alias=Alias.PREVIOUS))
            if previous is None or (champion is not None and previous.version == champion.version):
                raise NotFound(
                    f"{name} has no version to go back to: nothing was promoted before the champion. {self._list_versions(name)}"
                )
            self.client.set_registered_model_alias(name, Alias.CHAMPION, previous.version)
            if champion is not None:
                self.client.set_registered_model_alias(name, Alias.PREVIOUS, champion.version)
        record = self.resolve(Reference(name, version=str(previous.version)))
        return Moved(champion=record, before=None if champion is None else str(champion.version))

    def best_promoted(self, name: str, *, metric: str, data: str, target: str, greater_is_better: bool) -> float | None:
        """The best score that any promoted version had for the same metric, dataset and target; None where there is none."""
        scores = []
        for record in self.versions(name):
            try:
                kept = json.loads(record.tags[VersionTag.PROMOTED_SCORE])
            except (KeyError, ValueError):
                continue
            if (kept.get("metric"), kept.get("data"), kept.get("target")) == (metric, data, target) and isinstance(
                kept.get("score"), int | float
            ):
                scores.append(float(kept["score"]))
        return (max if greater_is_better else min)(scores, default=None)

    def _lock(self) -> AbstractContextManager[Any]:
        return store_lock(self._database) if self._database is not None else nullcontext()

    def _find(self, wanted: Reference) -> "ModelVersion | None":
        from mlflow.exceptions import MlflowException

        with mlflow_errors(self.uri):
            try:
                if wanted.alias is not None:
                    return self.client.get_model_version_by_alias(wanted.name, wanted.alias)
                return self.client.get_model_version(wanted.name, wanted.version)
            except MlflowException as err:
                if is_missing(err):
                    return None
                raise

    def _record(self, version: "ModelVersion") -> VersionRecord:
        with mlflow_errors(self.uri):
            return _to_record(
                version, self._aliases(version.name), self._metrics([version.run_id]).get(version.run_id, {})
            )

    def _aliases(self, name: str) -> dict[str, str]:
        return {alias: str(version) for alias, version in self.client.get_registered_model(name).aliases.items()}

    def _metrics(self, run_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        from mlflow.exceptions import MlflowException

        found = {}
        for run_id in dict.fromkeys(run_id for run_id in run_ids if run_id):
            try:
                found[run_id] = dict(self.client.get_run(run_id).data.metrics)
            except MlflowException as err:
                if not is_missing(err):
                    raise
        return found

    def _what_exists(self, wanted: Reference) -> str:
        names = self.names()
        if wanted.name not in names:
            there = (
                f"the models are {', '.join(names)}" if names else "it holds no model yet; `mlp train` makes the first"
            )
            return f"there is no model {wanted.name!r} in {self.uri}: {there}."
        missing = f"alias {wanted.alias!r}" if wanted.alias else f"version {wanted.version}"
        return f"{wanted.name} has no {missing} in {self.uri}. {self._list_versions(wanted.name)}"

    def _list_versions(self, name: str) -> str:
        records = self.versions(name)
        aliases = [f"{alias} → {record.version}" for record in records for alias in record.aliases]
        numbers = ", ".join(record.version for record in reversed(records[:10]))
        return f"Versions: {numbers or 'none'}; aliases: {', '.join(aliases) or 'none'}."


def _cache_key(uri: str, source: str, record: VersionRecord) -> str:
    """Names one version's files: two versions may have equal model files and other contracts. Empty where the model file's hash is not known."""
    parts = (uri, source, record.sha256, record.files_sha256)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if record.sha256 else ""


def _to_record(version: "ModelVersion", aliases: dict[str, str], metrics: dict[str, float]) -> VersionRecord:
    number = str(version.version)
    return VersionRecord(
        name=version.name,
        version=number,
        run_id=version.run_id or "",
        source=version.source,
        tags=dict(version.tags or {}),
        aliases=tuple(sorted(alias for alias, of in aliases.items() if of == number)),
        metrics=metrics,
        created_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
    )


def _promoted_score(record: VersionRecord) -> str | None:
    """What the best-ever rule compares with later, from the verdict that travels with the version."""
    verdict = record.verdict
    if not verdict or not isinstance(verdict.get("score"), int | float):
        return None
    kept = {
        "metric": verdict.get("metric"),
        "score": verdict["score"],
        "data": verdict.get("data"),
        "target": verdict.get("target"),
    }
    return json.dumps(kept)
