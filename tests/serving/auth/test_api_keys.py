"""API keys: names, the stored hashes, and authentication. `tests/security/test_keys.py` has what must never happen."""

from pathlib import Path

import pytest

from platform_lib.errors import NotFound, UsageError
from platform_lib.serving.auth.api_keys import KeyRing, new_key, read_keys, revoke_key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deploy" / "keys.yaml"


def test_a_key_is_found_with_its_name_and_scopes(file: Path) -> None:
    new_key(file, "other", ["admin"])
    key = new_key(file, "checkout", ["labels", "predict"])
    entry = KeyRing(file).find(key)
    assert entry is not None
    assert (entry.name, entry.scopes) == ("checkout", ["predict", "labels"])


def test_the_file_contains_no_key(file: Path) -> None:
    key = new_key(file, "checkout", ["predict"])
    assert key.removeprefix("mlp_") not in file.read_text(encoding="utf-8")


def test_a_key_has_256_random_bits(file: Path) -> None:
    keys = {new_key(file, f"k{number}", ["predict"]) for number in range(5)}
    assert len(keys) == 5
    assert {len(key) for key in keys} == {len("mlp_") + 43}


@pytest.mark.parametrize(
    "given", ["", "mlp_", "x" * 47, "mlp_" + "A" * 43], ids=["empty", "prefix", "foreign", "right-form"]
)
def test_an_unknown_key_is_not_found(file: Path, given: str) -> None:
    new_key(file, "checkout", ["predict"])
    assert KeyRing(file).find(given) is None


def test_the_hash_itself_is_not_a_key(file: Path) -> None:
    new_key(file, "checkout", ["predict"])
    assert KeyRing(file).find(read_keys(file)[0].sha256) is None


def test_a_new_key_is_accepted_and_a_revoked_one_refused_without_a_restart(file: Path) -> None:
    old = new_key(file, "old", ["predict"])
    ring = KeyRing(file)
    new = new_key(file, "new", ["predict"])
    assert ring.find(new) is not None
    revoke_key(file, "old")
    assert ring.find(old) is None


@pytest.mark.parametrize("name", ["", "Über", "a b", "-a", "a" * 64, "../x"])
def test_an_invalid_name_is_refused_and_nothing_is_written(file: Path, name: str) -> None:
    with pytest.raises(UsageError, match="the key's name is"):
        new_key(file, name, ["predict"])
    assert not file.exists()


def test_a_name_can_be_used_only_once(file: Path) -> None:
    new_key(file, "checkout", ["predict"])
    with pytest.raises(UsageError, match="already has a key named 'checkout'"):
        new_key(file, "checkout", ["admin"])
    assert len(read_keys(file)) == 1


def test_revoking_an_unknown_name_lists_the_known_ones(file: Path) -> None:
    new_key(file, "checkout", ["predict"])
    with pytest.raises(NotFound, match=r"no key named 'chekout'; its keys are: checkout"):
        revoke_key(file, "chekout")
