"""A mutant of text that no longer exists fails loudly."""

import pytest

from platform_lib.training import gates
from tests.training.mutants import mutated


def test_a_mutant_of_text_that_does_not_exist_fails_loudly() -> None:
    with pytest.raises(AssertionError, match="update the mutant"), mutated(gates, [("no such text", "")]):
        pass
