"""Change a module's source and see which tests notice: a test that stays green does not protect what it names."""

import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

Mutant = tuple[Sequence[tuple[str, str]], Sequence[Callable[[], None]]]
"""Pairs of text in the current source and its replacement, and the tests that have to fail."""


def still_green(module: types.ModuleType, mutant: Mutant) -> list[str]:
    """Names of the mutant's tests that do not notice it."""
    changes, tests = mutant
    with mutated(module, changes):
        return [test.__name__ for test in tests if not _is_red(test)]


def red_tests(mutants: Iterable[Mutant]) -> set[str]:
    """Names of the tests that fail on the unchanged source."""
    return {test.__name__ for _, tests in mutants for test in tests if _is_red(test)}


@contextmanager
def mutated(module: types.ModuleType, changes: Sequence[tuple[str, str]]) -> Iterator[None]:
    """Give the module's functions the code of its changed source, in a `with` block."""
    assert module.__file__ is not None
    source = Path(module.__file__).read_text(encoding="utf-8")
    for old, new in changes:
        assert source.count(old) == 1, (
            f"{module.__name__} has {old!r} {source.count(old)} times, expected once: update the mutant"
        )
        source = source.replace(old, new)
    mutant = types.ModuleType(module.__name__)
    exec(compile(source, module.__file__, "exec"), vars(mutant))
    originals = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__
    }
    codes = {name: function.__code__ for name, function in originals.items()}
    try:
        for name, function in originals.items():
            function.__code__ = vars(mutant)[name].__code__
        yield
    finally:
        for name, function in originals.items():
            function.__code__ = codes[name]


def _is_red(test: Callable[[], None]) -> bool:
    try:
        test()
    except Exception:  # an AssertionError, or whatever the mutant raises
        return True
    return False
