"""What the server's own log keeps of exceptions."""

import logging
from typing import Any

import msgspec
import pytest

from platform_lib.data.contract import DataContract
from platform_lib.serving.models.served_model import ServedModel
from platform_lib.serving.telemetry.logs import JsonFormatter, loggable
from tests.serving.sample_models import REGRESSION, FixedSource, StubPipeline, loaded

PUBLIC = msgspec.structs.replace(
    REGRESSION, columns={name: msgspec.structs.replace(column, log=True) for name, column in REGRESSION.columns.items()}
)


def served(contract: DataContract) -> ServedModel | None:
    return FixedSource(loaded(StubPipeline(None), contract)).current


def unknown() -> ServedModel | None:
    raise RuntimeError("the source failed")


@pytest.mark.parametrize(
    ("find", "is_quoted"),
    [
        (lambda: served(PUBLIC), True),
        (lambda: None, True),
        (lambda: served(REGRESSION), False),
        (unknown, False),
    ],
    ids=["no private column", "no model", "a private column", "an unknown model"],
)
def test_a_message_is_logged_only_if_it_cannot_quote_a_private_value(find: Any, is_quoted: bool) -> None:
    value = "Anna Weber"
    try:
        raise ValueError(f"could not convert {value!r}")
    except ValueError as err:
        why: Any = loggable(err, find)
    record = logging.LogRecord(
        "x",
        logging.ERROR,
        "",
        0,
        "it failed",
        None,
        why if isinstance(why, tuple) else (type(why), why, why.__traceback__),
    )
    text = JsonFormatter().format(record)
    assert ("convert 'Anna Weber'" in text) == is_quoted
    assert "ValueError" in text and "test_logs.py" in text
