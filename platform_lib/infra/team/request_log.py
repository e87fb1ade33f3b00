"""Where a team's models write their request logs: keys as a Secret, and the way through the network."""

from typing import Any, Final

from platform_lib.infra.base.access import AWS_URL
from platform_lib.infra.base.labels import COMPONENT
from platform_lib.infra.base.setting_rules import matching
from platform_lib.infra.kubernetes.network_policy import policy_spec, to_urls
from platform_lib.names import SharedOutputs

REQUEST_LOG_SECRET: Final = "request-log-store"
"""Secret in the team's namespace with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""
REQUEST_LOG_KEYS: Final = matching(r"[^\s:]+:[^\s:]+", "give ACCESS_KEY_ID:SECRET_ACCESS_KEY")


def secret_data(keys: str) -> dict[str, str]:
    """Return the Secret's data, from `ACCESS_KEY_ID:SECRET_ACCESS_KEY`."""
    name, _, secret = keys.partition(":")
    return {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": secret}


def network_spec(outputs: SharedOutputs) -> dict[str, Any]:
    """Build the spec of the NetworkPolicy that lets model servers reach the store."""
    servers = {"matchLabels": {COMPONENT: "model-server"}}
    return policy_spec(servers, egress=to_urls(outputs.request_log_endpoint or AWS_URL))
