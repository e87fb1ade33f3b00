"""Deploy an image, smoke-test it, and roll back to the previous image if that fails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from platform_lib.errors import CheckFailed, PlatformError, ServiceError
from platform_lib.operations.stack import DeployStack


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """A successful deployment."""

    image: str
    url: str
    """Public address; empty if there is no route."""
    service_url: str
    """Address inside the cluster."""


def deploy(
    stack: DeployStack,
    image: str,
    *,
    smoke: Callable[[Mapping[str, Any]], None],
    agree: Callable[[Mapping[str, int], str], bool],
    say: Callable[[str], None],
) -> Deployed | None:
    """Preview, deploy and smoke-test an image; deploy the previous image again if one of the last two fails.

    Args:
        stack: The stack to deploy to.
        image: Image by digest.
        smoke: Smoke test; gets the stack's outputs and raises CheckFailed.
        agree: Gets the number of changes by operation and the current image (empty for the first deployment); False
            cancels the deployment.
        say: Called with each line of progress.
    Returns:
        The deployment, or None if it was cancelled.
    Raises:
        ServiceError: The deployment failed. The previous image runs again unless the message says otherwise.
        CheckFailed: The smoke test failed; likewise.
    """
    before = str(stack.outputs().get("image") or "")
    if not agree(stack.preview(image), before):
        return None
    try:
        stack.up(image)
        outputs = stack.outputs()
        smoke(outputs)
    except (ServiceError, CheckFailed) as err:
        _go_back(stack, before, image, err, say)
        raise
    return Deployed(image=image, url=str(outputs.get("url") or ""), service_url=str(outputs.get("service_url") or ""))


def _go_back(stack: DeployStack, before: str, image: str, failure: PlatformError, say: Callable[[str], None]) -> None:
    if not before:
        say(
            "There is no previous image, so nothing was rolled back. Fix the problem and run `mlp deploy` again, "
            "or run "
            "`pulumi destroy` in deploy/."
        )
        return
    if before == image:
        say(
            "The same image was running before, so there is nothing to roll back to: only a setting changed. "
            "Restore it "
            "from git."
        )
        return
    say(f"The deployment failed: {str(failure).splitlines()[0]}")
    say(f"Rolling back to {before}.")
    try:
        stack.up(before)
    except ServiceError as err:
        raise ServiceError(f"{failure}\nRolling back to {before} failed too: {err}") from failure
    say(f"{before} is running again.")
