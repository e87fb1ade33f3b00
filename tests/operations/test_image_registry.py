"""The digest of a tag comes from its registry, with the login of `docker login`; what cannot be found is refused."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from platform_lib.errors import NotFound, ServiceError, UsageError
from platform_lib.operations.image_registry import pinned
from tests.operations.image_registry import image_registry
from tests.operations.servers import Answer, answering

MANIFEST = b'{"schemaVersion": 2}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


@pytest.fixture
def registry() -> Iterator[str]:
    """Address of a registry with one tag."""
    with image_registry() as (address, stored):
        stored["train-1"] = MANIFEST
        yield address


def test_a_tag_becomes_the_digest_that_the_registry_has(registry: str) -> None:
    assert pinned(f"{registry}/red/churn:train-1") == f"{registry}/red/churn@{DIGEST}"


def test_an_image_by_digest_stays_as_it_is() -> None:
    image = f"registry.example.com/red/churn@{DIGEST}"
    assert pinned(image) == image


def test_a_tag_that_is_not_there_is_refused_with_its_name(registry: str) -> None:
    with pytest.raises(NotFound, match=r"has no tag 'train-2' of red/churn: build and push it"):
        pinned(f"{registry}/red/churn:train-2")


@pytest.mark.parametrize("image", ["churn", "churn:1", "registry.example.com/red/churn", "red/churn:1"])
def test_a_name_without_registry_or_tag_is_refused(image: str) -> None:
    with pytest.raises(UsageError, match="expected REGISTRY/REPOSITORY:TAG"):
        pinned(image)


def test_a_registry_that_does_not_answer_is_named() -> None:
    with pytest.raises(ServiceError, match=r"registry 127.0.0.1:9 does not answer"):
        pinned("127.0.0.1:9/red/churn:1")


class TestLogin:
    @pytest.fixture
    def private(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        """Address of a registry that wants a token, which its own address gives to kim."""
        basic = "Basic " + base64.b64encode(b"kim:secret").decode()

        def answer(_method: str, path: str, headers: Mapping[str, str]) -> Answer:
            given = headers.get("Authorization") or headers.get("authorization") or ""
            if path.startswith("/token"):
                allowed = given == basic and "scope=repository" in path
                return (200, {}, b'{"token": "t1"}') if allowed else (401, {}, b"{}")
            if given != "Bearer t1":
                address = headers.get("Host") or headers.get("host")
                challenge = f'Bearer realm="http://{address}/token",service="r",scope="repository:red/churn:pull"'
                return 401, {"WWW-Authenticate": challenge}, b""
            return 200, {"Docker-Content-Digest": DIGEST}, b""

        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        with answering(answer) as port:
            yield f"127.0.0.1:{port}"

    def test_the_login_of_docker_is_used(self, private: str, tmp_path: Path) -> None:
        login = {"auths": {private: {"auth": base64.b64encode(b"kim:secret").decode()}}}
        (tmp_path / "config.json").write_text(json.dumps(login), encoding="utf-8")

        assert pinned(f"{private}/red/churn:train-1") == f"{private}/red/churn@{DIGEST}"

    def test_without_a_login_the_message_says_how_to_log_in(self, private: str) -> None:
        with pytest.raises(ServiceError, match=r"status 401. Log in with `docker login 127.0.0.1:\d+`"):
            pinned(f"{private}/red/churn:train-1")
