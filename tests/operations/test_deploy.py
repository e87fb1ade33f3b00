"""Deployments succeed or roll back; a failed image is never left running."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from platform_lib.errors import CheckFailed, ServiceError
from platform_lib.operations.deploy import deploy
from platform_lib.operations.stack import reason

OLD, NEW = "registry/churn@sha256:" + "a" * 64, "registry/churn@sha256:" + "b" * 64


class MemoryStack:
    """A stack whose cluster is a variable. `broken` images cannot be rolled out."""

    def __init__(self, running: str = "", *, broken: tuple[str, ...] = ()) -> None:
        self.running, self.broken, self.calls = running, broken, list[str]()

    def preview(self, image: str) -> Mapping[str, int]:
        self.calls.append(f"preview {image}")
        return {"same": 10, "update": 1} if self.running else {"create": 14}

    def up(self, image: str) -> None:
        self.calls.append(f"up {image}")
        if image in self.broken:
            raise ServiceError("the deployment failed:\nerror: Deployment churn: ProgressDeadlineExceeded")
        self.running = image

    def outputs(self) -> Mapping[str, Any]:
        return (
            {
                "image": self.running,
                "url": "https://models.example.com/models/churn",
                "service_url": "http://churn.team-red:8000",
            }
            if self.running
            else {}
        )


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def run(said: list[str]) -> Callable[..., Any]:
    def run(stack: MemoryStack, image: str = NEW, *, failing: tuple[str, ...] = (), agrees: bool = True) -> Any:
        def smoke(outputs: Mapping[str, Any]) -> None:
            if outputs["image"] in failing:
                raise CheckFailed("https://models.example.com/models/churn/readyz did not return 200")

        return deploy(stack, image, smoke=smoke, agree=lambda *_: agrees, say=said.append)

    return run


def test_a_good_image_is_deployed(run: Callable[..., Any]) -> None:
    stack = MemoryStack(OLD)
    result = run(stack)
    assert (result.image, result.url) == (NEW, "https://models.example.com/models/churn")
    assert stack.calls == [f"preview {NEW}", f"up {NEW}"]


def test_an_image_that_fails_its_smoke_test_is_rolled_back(run: Callable[..., Any], said: list[str]) -> None:
    stack = MemoryStack(OLD)
    with pytest.raises(CheckFailed, match="readyz did not return 200"):
        run(stack, failing=(NEW,))
    assert stack.running == OLD
    assert said[-2:] == [f"Rolling back to {OLD}.", f"{OLD} is running again."]


def test_an_image_that_cannot_be_rolled_out_is_rolled_back(run: Callable[..., Any]) -> None:
    stack = MemoryStack(OLD, broken=(NEW,))
    with pytest.raises(ServiceError, match="ProgressDeadlineExceeded"):
        run(stack)
    assert stack.calls == [f"preview {NEW}", f"up {NEW}", f"up {OLD}"]
    assert stack.running == OLD


def test_a_failed_first_deployment_says_that_there_is_nothing_to_roll_back_to(
    run: Callable[..., Any], said: list[str]
) -> None:
    stack = MemoryStack()
    with pytest.raises(CheckFailed):
        run(stack, failing=(NEW,))
    assert stack.running == NEW
    assert said[-1].startswith("There is no previous image, so nothing was rolled back")


def test_deploying_the_same_image_again_is_not_rolled_back(run: Callable[..., Any], said: list[str]) -> None:
    with pytest.raises(CheckFailed):
        run(MemoryStack(NEW), failing=(NEW,))
    assert said[-1].startswith("The same image was running before")


def test_a_failed_rollback_reports_both_failures(run: Callable[..., Any]) -> None:
    with pytest.raises(ServiceError, match=f"(?s)readyz did not return 200.*Rolling back to {OLD} failed too"):
        run(MemoryStack(OLD, broken=(OLD,)), failing=(NEW,))


def test_nothing_is_deployed_without_confirmation(run: Callable[..., Any]) -> None:
    stack = MemoryStack(OLD)
    assert run(stack, agrees=False) is None
    assert stack.calls == [f"preview {NEW}"]


def test_the_reason_is_extracted_from_pulumis_output() -> None:
    output = (
        "code: 255\nstdout: Updating (production):\n ~ kubernetes:apps/v1:Deployment churn updating\n"
        "error: 1 error occurred:\n\t* Timeout occurred for 'churn': ProgressDeadlineExceeded\n"
        "error: update failed\nResources:\n    13 unchanged\nstderr:\n"
    )
    assert reason(output) == "error: 1 error occurred:\n* Timeout occurred for 'churn': ProgressDeadlineExceeded"
