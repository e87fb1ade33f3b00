"""The `mlp keys` command line."""

from pathlib import Path

from platform_lib.cli.serving.keys import SCOPES as COMMAND_SCOPES
from platform_lib.serving.auth.api_keys import SCOPES, KeyRing
from tests.conftest import run_mlp


def test_a_new_key_is_the_only_text_on_stdout_and_works(tmp_path: Path) -> None:
    key = run_mlp(tmp_path, "keys", "new", "checkout", "--scope", "predict").stdout.strip()
    entry = KeyRing(tmp_path / "keys.yaml").find(key)
    assert entry is not None and entry.scopes == ["predict"]
    assert run_mlp(tmp_path, "keys", "list").stdout.split("\t")[:2] == ["checkout", "predict"]
    run_mlp(tmp_path, "keys", "revoke", "checkout")
    assert KeyRing(tmp_path / "keys.yaml").find(key) is None


def test_revoking_an_unknown_name_is_a_usage_error(tmp_path: Path) -> None:
    done = run_mlp(tmp_path, "keys", "revoke", "nobody", expect=2)
    assert done.stderr.strip() == "error: keys.yaml does not exist, so it has no key named 'nobody'."


def test_the_command_offers_the_scopes_of_the_server() -> None:
    assert COMMAND_SCOPES == SCOPES
