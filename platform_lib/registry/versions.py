"""Versions of models in MLflow: resolve, list, download, register, promote and roll back."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_lib.errors import CheckFailed, NotFound
from platform_lib.names import Alias, VersionTag
from platform_lib.registry.approval import promoted_score, refusal, why_not
from platform_lib.registry.backends.base import Backend, StoredVersion
from platform_lib.registry.backends.choice import open_backend
from platform_lib.registry.client import connect, database_path, mlflow_errors, probe, quiet_third_parties
from platform_lib.registry.files import fetch_artifacts, local_path
from platform_lib.registry.override import record_override
from platform_lib.registry.reference import Reference, VersionRecord, parse_reference, to_record
from platform_lib.registry.store import ensure_database, store_lock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from mlflow import MlflowClient

    from platform_lib.registry.model_files import ModelContent


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """The result of a promotion or a rollback."""

    champion: VersionRecord
    before: str | None
    """The previous champion's version, or None."""
    changed: bool = True


class Registry:
    """The model registry at one address."""

    def __init__(self, uri: str) -> None:
        """Connect.

        Args:
            uri: `sqlite:///…` (created if it does not exist) or the address of an MLflow server.
        Raises:
            ServiceError: No server answers at `uri`, or the file cannot be created.
        """
        self.uri = uri
        self._database = database_path(uri)
        if self._database is not None:
            ensure_database(self._database)
        quiet_third_parties()
        probe(uri)
        self.backend: Backend = open_backend(uri, lambda: self.client)
        """Reads versions and moves aliases, without MLflow where possible."""

    @cached_property
    def client(self) -> "MlflowClient":
        """MLflow's client, for everything else. The first use imports MLflow, which takes two seconds of CPU."""
        return connect(self.uri)

    def names(self) -> list[str]:
        """Names of all registered models."""
        with mlflow_errors(self.uri):
            return sorted(self.backend.model_names())

    def resolve(self, reference: str | Reference) -> VersionRecord:
        """Find the version that a reference names.

        Raises:
            NotFound: The model, version or alias does not exist; the message lists those that do.
        """
        wanted = parse_reference(reference) if isinstance(reference, str) else reference
        found = self._find(wanted)
        if found is None:
            raise NotFound(self._what_exists(wanted))
        return self._record(found)

    def champion(self, name: str) -> VersionRecord | None:
        """The champion; None before the first promotion."""
        found = self._find(Reference(name, alias=Alias.CHAMPION))
        return None if found is None else self._record(found)

    def versions(self, name: str) -> list[VersionRecord]:
        """All versions of a model, newest first; empty if the model does not exist."""
        with mlflow_errors(self.uri):
            found = self.backend.versions(name)
            aliases = self.backend.aliases(name) if found else {}
            metrics = self._metrics([version.run_id for version in found])
        records = [to_record(version, aliases, metrics.get(version.run_id, {})) for version in found]
        return sorted(records, key=lambda record: int(record.version), reverse=True)

    def run_tags(self, record: VersionRecord) -> dict[str, str]:
        """Tags of the run that created a version; empty if the run was deleted."""
        with mlflow_errors(self.uri):
            run = self.backend.run(record.run_id) if record.run_id else None
        return {} if run is None else run.tags

    def folder(self, record: VersionRecord, target: Path | None = None) -> Path:
        """The version's files as a local folder.

        Args:
            record: The version.
            target: Folder to copy to. None leaves local files in place and downloads others to the user's cache.
        Raises:
            ServiceError: The files cannot be read or downloaded.
        """
        with mlflow_errors(self.uri):
            source = record.source
            if source.startswith("models:/"):
                source = self.backend.model_location(source.removeprefix("models:/").strip("/"))
            key = _cache_key(self.uri, source, record)
            return fetch_artifacts(source, self.backend.download, target=target, key=key)

    def run_file(self, run_id: str, name: str) -> str | None:
        """The text of a file that a run logged; None if there is no such run or file."""
        with mlflow_errors(self.uri):
            run = self.backend.run(run_id)
            if run is None:
                return None
            address = f"{run.artifact_uri.rstrip('/')}/{name}"
            if (file := local_path(address)) is None:
                return self.backend.read_text(address)
        try:
            return file.read_text(encoding="utf-8")
        except OSError:
            return None

    def download(self, record: VersionRecord, target: Path) -> Path:
        """Copy the version's files to the folder `target`, which is created; returns it."""
        return self.folder(record, target)

    def register(
        self,
        name: str,
        content: "ModelContent",
        *,
        run_id: str,
        tags: dict[str, str],
        passed: bool,
        key: "EllipticCurvePrivateKey | None" = None,
        description: str = "",
    ) -> VersionRecord:
        """Store a model and create a version of it, atomically.

        The files are complete before the version exists, and the version appears with all its tags in one step. An
        interrupted registration leaves a logged model that no version names. Registering the model of a run again
        returns the existing version.

        Args:
            name: Of the model.
            content: What to store.
            run_id: The run that trained it.
            tags: All version tags except the files' SHA-256, which are added.
            passed: It passed the gate, and gets the alias `candidate`.
            key: Signs the files; None leaves them unsigned.
            description: Of the version, in Markdown.
        """
        from platform_lib.registry.registration import register

        version = register(
            self.client,
            self.uri,
            name,
            content,
            run_id=run_id,
            tags=tags,
            passed=passed,
            key=key,
            description=description,
        )
        return self.resolve(Reference(name, version=version))

    def promote(self, record: VersionRecord, *, override: str | None = None) -> Moved:
        """Make a version the champion; the current champion becomes `previous`.

        MLflow moves one alias at a time. In a local store, promotions wait for each other. On a server, the last one to
        write wins, and a reader may see `previous` move a moment before `champion`.

        Args:
            record: The version.
            override: Why it may serve although it did not pass the gate; recorded on the version with who and when.
        Raises:
            CheckFailed: The version did not pass the gate and there is no `override`.
            UsageError: `override` is empty.
        """
        if (why := why_not(record.tags)) is not None and override is None:
            raise CheckFailed(
                f"{record.name} version {record.version} cannot be promoted: {why}. Train a better one, or override "
                f'the gate on the record with `mlp promote {record.name}/{record.version} --force --reason "…"`.'
            )
        with self._lock(), mlflow_errors(self.uri):
            if why is not None and override is not None:
                record_override(self.backend, record, role=Alias.CHAMPION, reason=override)
            champion = self._find(Reference(record.name, alias=Alias.CHAMPION))
            before = None if champion is None else champion.version
            if before == record.version:
                return Moved(champion=record, before=before, changed=False)
            # The score first: a champion without a stored score would let quality decline unnoticed.
            if score := promoted_score(record.tags):
                self.backend.set_model_version_tag(record.name, record.version, VersionTag.PROMOTED_SCORE, score)
            self._move(record.name, record.version, previous=before)
        return Moved(champion=self.resolve(Reference(record.name, version=record.version)), before=before)

    def rollback(self, name: str) -> Moved:
        """Swap champion and previous, so that a second rollback undoes the first.

        Raises:
            NotFound: There is no version to roll back to.
            CheckFailed: The previous version must not serve.
        """
        with self._lock(), mlflow_errors(self.uri):
            champion = self._find(Reference(name, alias=Alias.CHAMPION))
            previous = self._find(Reference(name, alias=Alias.PREVIOUS))
            if previous is None or (champion is not None and previous.version == champion.version):
                raise NotFound(
                    f"{name} has no version to roll back to: nothing was promoted before the champion. "
                    f"{self._list_versions(name)}"
                )
            if why := refusal(name, previous.version, previous.tags, Alias.CHAMPION):
                raise CheckFailed(why)
            self.backend.set_registered_model_alias(name, Alias.CHAMPION, previous.version)
            if champion is not None:
                self.backend.set_registered_model_alias(name, Alias.PREVIOUS, champion.version)
        record = self.resolve(Reference(name, version=previous.version))
        return Moved(champion=record, before=None if champion is None else champion.version)

    def best_promoted(self, name: str, *, metric: str, data: str, target: str, greater_is_better: bool) -> float | None:
        """The best score of all promoted versions for the same metric, dataset and target; None if there is none."""
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

    def _move(self, name: str, champion: str, *, previous: str | None) -> None:
        """Set both aliases, `champion` last; where that fails, `previous` gets its old value back if possible."""
        before = self._find(Reference(name, alias=Alias.PREVIOUS))
        if previous is not None:
            self.backend.set_registered_model_alias(name, Alias.PREVIOUS, previous)
        try:
            self.backend.set_registered_model_alias(name, Alias.CHAMPION, champion)
        except Exception:
            with suppress(Exception):  # the first error says why
                if previous is not None and before is not None:
                    self.backend.set_registered_model_alias(name, Alias.PREVIOUS, before.version)
                elif previous is not None:
                    self.backend.delete_registered_model_alias(name, Alias.PREVIOUS)
            raise

    def _lock(self) -> AbstractContextManager[Any]:
        return store_lock(self._database) if self._database is not None else nullcontext()

    def _find(self, wanted: Reference) -> StoredVersion | None:
        with mlflow_errors(self.uri):
            if wanted.alias is not None:
                return self.backend.version_with_alias(wanted.name, wanted.alias)
            return self.backend.version(wanted.name, str(wanted.version))

    def _record(self, version: StoredVersion) -> VersionRecord:
        with mlflow_errors(self.uri):
            metrics = self._metrics([version.run_id]).get(version.run_id, {})
            return to_record(version, self.backend.aliases(version.name), metrics)

    def _metrics(self, run_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        runs = self.backend.runs(list(dict.fromkeys(run_id for run_id in run_ids if run_id)))
        return {run_id: run.metrics for run_id, run in runs.items()}

    def _what_exists(self, wanted: Reference) -> str:
        names = self.names()
        if wanted.name not in names:
            there = (
                f"the models are {', '.join(names)}" if names else "it has no models yet; `mlp train` creates the first"
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
    """Cache key of a version's files, because equal model files may have different contracts. Empty without the model
    file's hash."""
    parts = (uri, source, record.sha256, record.files_sha256)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if record.sha256 else ""
