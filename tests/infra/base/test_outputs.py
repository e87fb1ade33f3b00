"""Model stacks read what the shared stack writes, also when one of the two is a version ahead."""

import pytest

from platform_lib.errors import UsageError
from platform_lib.infra.base.outputs import outputs_data, read_outputs
from platform_lib.names import SharedOutputs
from tests.infra.shared import SHARED


def test_written_outputs_are_read_back() -> None:
    assert read_outputs(outputs_data(SHARED)) == SHARED


def test_a_later_platform_may_write_more_names_and_an_earlier_one_fewer() -> None:
    data = outputs_data(SHARED) | {"notebooks_url": "https://notebooks.example.com"}
    del data["chart_mirror"]
    assert read_outputs(data) == SHARED


def test_a_missing_name_is_reported() -> None:
    data = outputs_data(SHARED) | {"models_host": ""}
    with pytest.raises(UsageError, match=r"^platform-outputs lacks models_host: run `pulumi up` of the shared stack"):
        read_outputs(data)


@pytest.mark.parametrize("version", ["", "2"])
def test_another_contract_is_refused(version: str) -> None:
    with pytest.raises(UsageError, match=f"has contract version {version or 'none'}, but this library reads version 1"):
        read_outputs(outputs_data(SHARED) | {"contract_version": version})


def test_no_output_is_named_like_a_secret() -> None:
    assert [
        name for name in outputs_data(SHARED) if any(word in name for word in ("secret", "password", "token", "key"))
    ] == []
    assert isinstance(SHARED, SharedOutputs)
