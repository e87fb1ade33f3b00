"""The template's Dockerfile follows the rules of a linter; `test_images` builds it."""

import json

from tests.conftest import REPOSITORY


def test_the_dockerfile_follows_the_rules() -> None:
    lines = (REPOSITORY / "template" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    words: list[list[str]] = [line.split() for line in lines if line and not line.startswith("#")]
    stages: dict[str, list[list[str]]] = {}
    for word in words:
        if word[0] == "FROM":
            assert word[2] == "AS", "a stage without a name"
            stages[word[3]] = []
        elif stages:
            stages[list(stages)[-1]].append(word)
    assert list(stages)[-1] == "serve"  # what a build without --target produces
    assert [word for word in words if word[0] in ("ADD", "MAINTAINER", "VOLUME")] == []
    for target in ("serve", "train"):
        assert [word[1] for word in stages[target] if word[0] == "USER"] == ["10001:10001"]
        assert stages[target][-1][0] == "CMD"
    for word in words:
        if word[0] in ("ENTRYPOINT", "CMD"):
            assert isinstance(json.loads(" ".join(word[1:])), list)
        if word[0] == "RUN" and "apt-get" in word:
            assert {"--no-install-recommends", "/var/lib/apt/lists/*;"} <= set(word)
