"""Model references in every accepted form; an unknown one lists what exists."""

from pathlib import Path

import pytest

from platform_lib.errors import NotFound, ServiceError, UsageError
from platform_lib.registry import Reference, Registry, parse_reference
from tests.registry.conftest import bare_version, gate


class TestReferences:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("churn", Reference("churn", alias="champion")),
            ("churn@candidate", Reference("churn", alias="candidate")),
            ("churn/7", Reference("churn", version="7")),
            ("models:/churn@champion", Reference("churn", alias="champion")),
            ("models:/churn/7", Reference("churn", version="7")),
        ],
        ids=str,
    )
    def test_every_form_is_accepted(self, text: str, expected: Reference) -> None:
        assert parse_reference(text) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (None, Reference("churn", alias="champion")),
            ("", Reference("churn", alias="champion")),
            ("7", Reference("churn", version="7")),
            ("v7", Reference("churn", version="7")),
            ("@previous", Reference("churn", alias="previous")),
            ("other/2", Reference("other", version="2")),
        ],
        ids=str,
    )
    def test_in_a_project_its_model_is_the_default(self, text: str | None, expected: Reference) -> None:
        assert parse_reference(text, "churn") == expected

    @pytest.mark.parametrize("text", ["", "a/b", "a/1/2", "a@", "@champion", "a b", "models:/", "a@1x"])
    def test_any_other_form_is_refused_with_the_accepted_forms(self, text: str) -> None:
        with pytest.raises(UsageError, match="is not a model reference: expected NAME, NAME@alias, NAME/7"):
            parse_reference(text)


class TestResolve:
    def test_an_empty_registry_says_how_to_fill_it(self, registry: Registry) -> None:
        with pytest.raises(
            NotFound,
            match=r"there is no model 'tiny' in sqlite:.*: it has no models yet; `mlp train` creates the first\.",
        ):
            registry.resolve("tiny@champion")

    def test_an_unknown_name_lists_the_models(self, registry: Registry) -> None:
        bare_version(registry, gate())

        with pytest.raises(NotFound, match=r"there is no model 'tinny' .* the models are tiny"):
            registry.resolve("tinny")

    @pytest.mark.parametrize(("reference", "missing"), [("tiny@champion", "alias 'champion'"), ("tiny/9", "version 9")])
    def test_an_unknown_version_or_alias_lists_the_existing_ones(
        self, registry: Registry, reference: str, missing: str
    ) -> None:
        registry.promote(bare_version(registry, gate()))
        registry.client.delete_registered_model_alias("tiny", "champion")
        registry.client.set_registered_model_alias("tiny", "candidate", "1")

        with pytest.raises(NotFound) as caught:
            registry.resolve(reference)

        assert f"tiny has no {missing} in" in str(caught.value)
        assert str(caught.value).endswith("Versions: 1; aliases: candidate → 1.")

    def test_an_unreachable_server_is_reported_in_one_sentence(self) -> None:
        with pytest.raises(ServiceError, match=r"the MLflow server http://127.0.0.1:9 does not answer"):
            Registry("http://127.0.0.1:9")

    def test_a_file_that_is_not_a_store_is_reported_in_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "mlflow.db").write_text(
            "this is no database, but it is long enough to look like one" * 20, encoding="utf-8"
        )

        with pytest.raises(ServiceError, match="is not an MLflow store"):
            Registry(f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}")
