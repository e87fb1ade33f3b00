"""A version is registered completely or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from platform_lib.data.contract import Column, DataContract
from platform_lib.errors import ServiceError
from platform_lib.model.artifact import Predictions
from platform_lib.names import VersionTag
from platform_lib.registry import Registry
from platform_lib.registry.model_files import ModelContent, requirements, signature
from tests.registry.conftest import gate, new_run


class TestRegister:
    def test_a_version_has_all_its_files_and_tags(self, registry: Registry, content: ModelContent) -> None:
        record = registry.register("tiny", content, run_id=new_run(registry), tags=gate(), passed=True)

        files = {path.name for path in registry.folder(record).iterdir()}
        assert {
            "MLmodel",
            "requirements.txt",
            "input_example.json",
            "model.skops",
            "contract.yaml",
            "profile.json",
            "config.yaml",
            "answers.json",
        } <= files
        assert record.tags == gate() | {
            VersionTag.MODEL_SHA256: record.sha256,
            VersionTag.FILES_SHA256: record.files_sha256,
        }
        assert len(record.sha256) == len(record.files_sha256) == 64
        assert record.aliases == ("candidate",)

    def test_a_refused_version_gets_no_alias(self, registry: Registry, content: ModelContent) -> None:
        record = registry.register("tiny", content, run_id=new_run(registry), tags=gate(passed=False), passed=False)

        assert record.aliases == ()

    def test_registering_a_runs_model_again_returns_the_existing_version(
        self, registry: Registry, content: ModelContent
    ) -> None:
        run_id = new_run(registry)

        versions = [
            registry.register("tiny", content, run_id=run_id, tags=gate(), passed=True).version for _ in range(2)
        ]

        assert versions == ["1", "1"]

    @pytest.mark.parametrize(
        "call", ["log_model_artifacts", "finalize_logged_model", "log_outputs", "create_model_version"]
    )
    def test_whichever_call_fails_no_version_exists(
        self,
        registry: Registry,
        content: ModelContent,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        call: str,
    ) -> None:
        def broken(*args: Any, **named: Any) -> None:
            raise OSError("No space left on device")

        monkeypatch.setattr(registry.client, call, broken)

        with pytest.raises(ServiceError, match="No space left on device"):
            registry.register("tiny", content, run_id=new_run(registry), tags=gate(), passed=True)

        assert registry.versions("tiny") == []
        left = registry.client.search_logged_models(["0"])
        # The server may have created the version although the call failed, so its files must stay.
        assert len(left) == (1 if call == "create_model_version" else 0)
        assert len(list(tmp_path.rglob("models/m-*"))) == len(left)

    def test_if_the_alias_cannot_be_set_the_version_is_complete_and_a_retry_sets_it(
        self, registry: Registry, content: ModelContent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_id = new_run(registry)
        with monkeypatch.context() as patched:
            patched.setattr(
                registry.client, "set_registered_model_alias", lambda *a: (_ for _ in ()).throw(OSError("gone"))
            )
            with pytest.raises(ServiceError):
                registry.register("tiny", content, run_id=run_id, tags=gate(), passed=True)
        (left,) = registry.versions("tiny")

        record = registry.register("tiny", content, run_id=run_id, tags=gate(), passed=True)

        assert left.tags == record.tags
        assert (left.aliases, record.aliases) == ((), ("candidate",))

    def test_pinned_requirements_name_the_packages_of_the_types_and_no_path(self) -> None:
        pins = requirements(
            ["sklearn.tree._tree.Tree", "platform_lib.project.transformers.DateParts", "sample_model.features.Mine"]
        )

        assert [pin.split("==")[0].split(" @")[0] for pin in pins] == [
            "numpy",
            "pandas",
            "platform-lib",
            "scikit-learn",
            "skops",
        ]
        assert not any("file:" in pin for pin in pins)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("boolean", pd.Series([True, False])),
        ("boolean", pd.Series([True, None], dtype=object)),
        ("boolean", pd.Series([True, None], dtype="boolean")),
        ("boolean", pd.Series([1.0, 0.0])),
        ("integer", pd.Series([1, 2])),
        ("integer", pd.Series([1.0, np.nan])),
        ("integer", pd.Series([1, None], dtype="Int64")),
        ("number", pd.Series([1.5, np.nan])),
        ("string", pd.Series(["a", None], dtype=object)),
        ("datetime", pd.Series([pd.Timestamp("2026-01-31"), pd.NaT])),
    ],
    ids=lambda value: f"{value.dtype}-{value.isna().any()}" if isinstance(value, pd.Series) else str(value),
)
def test_mlflows_schema_accepts_a_column_as_pandas_may_hold_it(kind: Any, values: pd.Series) -> None:
    from mlflow.models import validate_schema

    contract = DataContract(
        name="t",
        path="t.csv",
        task="classification",
        target="y",
        columns={"a": Column(type=kind, nullable=True), "y": Column(type="string", allowed=["n", "y"])},
    )
    answers = Predictions(np.array(["n"], dtype=object), None, ("n", "y"))

    validate_schema(pd.DataFrame({"a": values}), signature(contract, answers).inputs)
