"""Put an image on the platform, try it, and go back to the one before when it fails. `stack` does the work, `smoke` the trying."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from platform_lib.errors import CheckFailed, PlatformError, ServiceError
from platform_lib.operations.stack import DeployStack


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployed:
    """What runs now."""

    image: str
    url: str
    """From outside; empty where there is no route."""
    service_url: str
    """Inside the cluster."""


def deploy(
    stack: DeployStack,
    image: str,
    *,
    smoke: Callable[[Mapping[str, Any]], None],
    agree: Callable[[Mapping[str, int], str], bool],
    say: Callable[[str], None],
) -> Deployed | None:
    """Preview, up, smoke test; back to the image before when one of the last two fails.

    Args:
        image: By digest.
        smoke: Tries what the stack's outputs lead to; raises CheckFailed.
        agree: Asked with what would change and the image that runs now (empty at the first deployment); False ends it here.
    Returns:
        What runs, or None when it was not agreed to.
    Raises:
        ServiceError: It could not be deployed. The image before runs again, or the message says that nothing does.
        CheckFailed: It was deployed and failed; the same.
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
            "There is no image before this one, so nothing was undone: `mlp deploy` again once it is mended, or `pulumi destroy` in deploy/."
        )
        return
    if before == image:
        say(
            "The same image ran before, so there is nothing to go back to: what changed is a setting, and `git` has the one before."
        )
        return
    say(f"It failed: {str(failure).splitlines()[0]}")
    say(f"Going back to {before}.")
    try:
        stack.up(before)
    except ServiceError as err:
        raise ServiceError(f"{failure}\nGoing back to {before} failed too: {err}") from failure
    say(f"{before} runs again.")
