"""Who may decide which version of a model is served, and who did.

MLflow's authorization lets everyone who may change a model move its aliases. After it has agreed, this module asks
for a role as well, and afterwards writes who moved the alias and when to the version.
"""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import mlflow_gate
from mlflow_rules import Access, may_move_champion

GUARDED = frozenset({"champion", "previous", "canary"})
"""Aliases whose version answers requests now or after a rollback."""
_STAMPED = "champion"
_PATH = "/api/2.0/mlflow"
_OF_MODEL = {("DELETE", f"{_PATH}/registered-models/delete"), ("POST", f"{_PATH}/registered-models/rename")}
_OF_VERSION = {
    ("DELETE", f"{_PATH}/model-versions/delete"),
    ("POST", f"{_PATH}/model-versions/set-tag"),
    ("DELETE", f"{_PATH}/model-versions/delete-tag"),
}
_log = logging.getLogger("mlp.access")


def install(app: Any, access: Callable[[], Access]) -> None:
    """Add the checks to MLflow's Flask application, behind its authorization."""

    def guard() -> Any:
        from flask import Response

        asked = _asked()
        if asked is None or may_move_champion(asked.caller, access()) or not (what := _changes(asked)):
            return None
        roles = ", ".join(sorted(access().champion_roles)) or "administrators only"
        text = f"{asked.caller.name} may not {what}: this platform lets {roles} do it (setting champion_roles)."
        _log.warning(json.dumps({"who": asked.caller.name, "path": asked.rule, "refused": text}))
        return Response(text, 403, mimetype="text/plain")

    def stamp(response: Any) -> Any:
        asked = _asked()
        if asked is not None and response.status_code == 200 and _moves(asked, "POST", _STAMPED):
            _stamp(asked.request.values["name"], asked.request.values["version"], asked.caller.name)
        return response

    app.before_request(guard)
    app.after_request(stamp)


def _asked() -> mlflow_gate.Asked | None:
    from flask import request

    return mlflow_gate.asked(request.method, request.url_rule.rule if request.url_rule else None)


def _moves(asked: mlflow_gate.Asked, method: str, *aliases: str) -> bool:
    is_alias = asked.rule == f"{_PATH}/registered-models/alias" and asked.request.route.method == method
    return is_alias and asked.request.values.get("alias") in aliases


def _changes(asked: mlflow_gate.Asked) -> str:
    """What a request would change in what is served, as the end of a sentence; empty if nothing."""
    values, route = asked.request.values, (asked.request.route.method, asked.rule)
    if _moves(asked, "POST", *GUARDED) or _moves(asked, "DELETE", *GUARDED - {"canary"}):  # everybody may end a canary
        return f"move the alias {values['alias']} of {values.get('name')}"
    if route in _OF_MODEL or route in _OF_VERSION:
        held = {alias: version for alias, version in _aliases(values.get("name")).items() if alias in GUARDED}
        if route in _OF_VERSION:
            held = {alias: version for alias, version in held.items() if version == str(values.get("version"))}
        if held:
            versions = ", ".join(sorted(set(held.values())))
            return f"change {values.get('name')}, where version {versions} is {' and '.join(sorted(held))}"
    return ""


def _aliases(name: Any) -> dict[str, str]:
    from mlflow.exceptions import MlflowException
    from mlflow.server.handlers import _get_model_registry_store

    try:
        found = _get_model_registry_store().get_registered_model(name).aliases
    except MlflowException:
        return {}  # MLflow's handler says what is wrong with the name
    return {str(alias): str(version) for alias, version in found.items()}


def _stamp(name: str, version: str, who: str) -> None:
    from mlflow.entities.model_registry import ModelVersionTag
    from mlflow.server.handlers import _get_model_registry_store

    store = _get_model_registry_store()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for key, value in (("mlp.promoted_by", who), ("mlp.promoted_at", now)):
        store.set_model_version_tag(name, version, ModelVersionTag(key, value))
