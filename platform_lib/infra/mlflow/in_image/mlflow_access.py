"""Authentication and access rules of the shared MLflow, run inside MLflow's official image.

MLflow's own authorization decides which user may access which experiment, run and model. This module identifies the
caller, closes gaps in MLflow's checks, and migrates the schema (`python -m mlflow_access`). `mlflow server --app-name
mlp` finds `create_app` through the entry point mounted next to this file. The module does not import `platform_lib`.

- A machine sends its team's name and password (HTTP Basic). Only SHA-256 hashes are stored, of passwords with 256
  random bits.
- A person comes through the login proxy. The proxy authenticates with its own password and sends the person's groups
  in `X-Auth-Request-Groups`. Without that password the header is ignored, so no pod in the cluster can forge it.
- A team is one user of MLflow and owns what its members create. A person in several teams sees what all of them own.
- `mlflow_gate` gives this module and MLflow the same reading of each request; `mlflow_champion` guards what is served.
"""

import json
import logging
import os
import secrets
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import mlflow_champion
import mlflow_gate
import mlflow_routes
import mlflow_streams
import mlflow_values
from mlflow_rules import Access, AccessFile, Caller, may_use_route

ACCESS_FILE_VARIABLE = "MLP_ACCESS_FILE"
DATABASE_VARIABLE = "MLFLOW_BACKEND_STORE_URI"
ADMIN = "platform-admin"
_MIGRATION_LOCK = 7_305_771  # any number that all replicas share: one migrates, the others wait

_log = logging.getLogger("mlp.access")


def authorise() -> Any:
    """MLflow's `authorization_function`: return the MLflow user of this request, or the response that rejects it."""
    from flask import g

    # MLflow calls this for every check of a request; decide and log once.
    if "mlp_decision" not in g:
        g.mlp_decision = _decide()
    return g.mlp_decision


def _decide() -> Any:
    from flask import Response, request
    from werkzeug.datastructures import Authorization

    access, rule = _access_file().read(), request.url_rule.rule if request.url_rule else None
    asked = mlflow_gate.asked(request.method, rule)
    caller = (
        asked.caller
        if asked
        else mlflow_gate.caller_of(access, {name.lower(): value for name, value in request.headers.items()})
    )
    if caller is None:
        return Response(mlflow_gate.UNKNOWN, 401, {"WWW-Authenticate": 'Basic realm="mlflow"'}, mimetype="text/plain")
    refusal = None
    if not (caller.is_admin or caller.is_metrics or caller.teams):
        refusal = f"{caller.name}: none of your groups belongs to a team of this platform."
    elif not may_use_route(caller, request.method, rule, mlflow_routes.routes() if asked else ()):
        refusal = f"{request.method} {request.path} is not available to teams on this server."
    elif asked and not caller.is_admin:
        refusal = _refused_content(asked, access)
    if request.method not in ("GET", "HEAD", "OPTIONS") or refusal:
        _log.warning(
            json.dumps({"who": caller.name, "method": request.method, "path": request.path, "refused": refusal})
        )
    if refusal:
        return Response(refusal, 403, mimetype="text/plain")
    if asked and not caller.is_admin and request.method == "GET" and (missing := _missing_model(asked)):
        return missing
    return Authorization("basic", {"username": _mlflow_user(caller, creates=rule or ""), "password": ""})


def _refused_content(asked: mlflow_gate.Asked, access: Access) -> str | None:
    """Check what MLflow does not: who may take a name, and files that the server would read with its own rights."""
    rule, values = asked.rule, asked.request.values
    if rule.endswith("/mlflow/experiments/create") and values.get("artifact_location"):
        return "artifact_location is not available to teams: this server chooses where artifacts are stored. Omit it."
    if rule.endswith("/mlflow/model-versions/create"):
        source = str(values.get("source", ""))
        if not source.startswith("models:/") and not _lies_in_run(source, str(values.get("run_id", ""))):
            return (
                "the source of a model version must be a logged model (models:/m-…), a version (models:/name/7), "
                "or a folder in the artifacts of the run named in run_id."
            )
    name = _taken_name(rule, values)
    if name and access.name_patterns is not None:
        own = [one for team in asked.caller.teams for one in access.name_patterns.get(team, ())]
        if not mlflow_values.owns_name(name, own):
            return f"{name!r} is not a name of your team: this platform gives it {', '.join(own) or 'none'}."
    if name and (other := _lookalike(rule, name)):
        return f"{name!r} looks like {other!r}, which exists: choose a name that nobody can mistake for it."
    return None


def _taken_name(rule: str, values: Mapping[str, Any]) -> str:
    """Name of the model or experiment that a request would create; empty if it creates none."""
    kind, _, action = rule.removeprefix("/api/2.0/mlflow/").partition("/")
    if kind not in ("registered-models", "experiments"):
        return ""
    new = {"create": "name", "rename": "new_name", "update": "new_name"}.get(action)
    return str(values.get(new, "")) if new else ""


def _lookalike(rule: str, name: str) -> str | None:
    """Name of a model or experiment that looks like this one but is another."""
    from mlflow.entities import ViewType
    from mlflow.server.handlers import _get_model_registry_store, _get_tracking_store

    skeleton, pattern = mlflow_values.resembles(name)
    wanted = f"name ILIKE '{pattern}'"
    if "/registered-models/" in rule:
        found = _get_model_registry_store().search_registered_models(wanted, max_results=100)
    else:
        found = _get_tracking_store().search_experiments(ViewType.ALL, max_results=100, filter_string=wanted)
    names = [one.name for one in found]
    return next((one for one in names if one != name and mlflow_values.resembles(one)[0] == skeleton), None)


def _missing_model(asked: mlflow_gate.Asked) -> Any:
    """Return MLflow's 404 for a model that does not exist yet.

    MLflow's authorization would deny the request, and a team's first training run would fail. The response reveals
    whether a name is taken, but so does an attempt to create a model with that name.
    """
    from flask import Response
    from mlflow.exceptions import MlflowException
    from mlflow.server.handlers import _get_model_registry_store

    name = asked.request.values.get("name")
    if name and ("/mlflow/registered-models/" in asked.rule or "/mlflow/model-versions/" in asked.rule):
        try:
            _get_model_registry_store().get_registered_model(name)
        except MlflowException as err:
            if err.error_code == "RESOURCE_DOES_NOT_EXIST":
                return Response(err.serialize_as_json(), 404, mimetype="application/json")
    return None


def _lies_in_run(source: str, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException
    from mlflow.server.handlers import _get_tracking_store

    try:
        # MLflow checks access to the run itself, because the request names it.
        root = _get_tracking_store().get_run(run_id).info.artifact_uri.rstrip("/")
    except MlflowException:
        return False
    return source.startswith(f"{root}/")  # the gate has refused `..` and encoded letters


def _mlflow_user(caller: Caller, *, creates: str) -> str:
    if caller.is_admin or caller.is_metrics:
        return ADMIN
    if len(caller.teams) == 1 or creates.endswith(("/mlflow/experiments/create", "/mlflow/registered-models/create")):
        return _ensure_user(caller.teams[:1])  # what a person in several teams creates belongs to the first by name
    return _ensure_user(caller.teams)


_MEMBERS: dict[int, list[int]] = {}
"""User ID of a set of teams in MLflow → user IDs of its teams."""


def _share_grants(store: Any) -> None:
    """Give the user of several teams the grants of each team. MLflow reads all grants through this method."""
    own = store.list_grants

    def list_grants(user_id: int, *args: Any, **kwargs: Any) -> list[Any]:
        return [grant for member in _MEMBERS.get(user_id, [user_id]) for grant in own(member, *args, **kwargs)]

    store.list_grants = list_grants


@lru_cache(maxsize=4096)
def _ensure_user(teams: tuple[str, ...]) -> str:
    """Return the MLflow user of a team or of a set of teams, which has the grants of each. Creates missing users."""
    from mlflow.exceptions import MlflowException
    from mlflow.server.auth import store

    name = "+".join(teams)
    if not store.has_user(name):
        try:
            store.create_user(name, secrets.token_urlsafe(32))
        except MlflowException:
            if not store.has_user(name):  # otherwise another worker created it
                raise
    if len(teams) > 1:
        _MEMBERS[store.get_user(name).id] = [store.get_user(_ensure_user((team,))).id for team in teams]
    return name


@lru_cache(maxsize=1)
def _access_file() -> AccessFile:
    return AccessFile(Path(os.environ[ACCESS_FILE_VARIABLE]))


def create_app() -> mlflow_gate.Gate:
    """Return MLflow's application with its authorization enabled, behind the gate."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    _access_file().read()  # an invalid file stops the start
    _configure_mlflow_auth()
    from mlflow.server import app, auth

    _share_grants(auth.store)
    application = auth.create_app()
    mlflow_champion.install(app, _access_file().read)
    mlflow_streams.install(application)
    return mlflow_gate.Gate(application, _access_file().read)


def _configure_mlflow_auth() -> None:
    """Write MLflow's authorization settings, including the database password, to a file only this user can read."""
    address = os.environ[DATABASE_VARIABLE].replace("%", "%%")
    lines = [
        "[mlflow]",
        "default_permission = NO_PERMISSIONS",
        f"database_uri = {address}",
        f"admin_username = {ADMIN}",
    ]
    lines += ["authorization_function = mlflow_access:authorise", ""]
    handle, path = tempfile.mkstemp(suffix=".ini")  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = path
    os.environ["MLFLOW_BASIC_AUTH_FAIL_CLOSED"] = "true"
    # Neither is used: nobody logs in with MLflow's own passwords, and its only form is not an allowed route.
    os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"] = secrets.token_urlsafe(32)
    os.environ["MLFLOW_FLASK_SERVER_SECRET_KEY"] = secrets.token_urlsafe(32)


def migrate(address: str) -> None:
    """Migrate both schemas in the database at `address` to this version of MLflow, one replica at a time."""
    import sqlalchemy
    from mlflow.db import upgrade

    _configure_mlflow_auth()
    engine = sqlalchemy.create_engine(address)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"select pg_advisory_lock({_MIGRATION_LOCK})")
        upgrade.callback(address)  # first, because MLflow treats a database with any table as one to upgrade
        from mlflow.server.auth import bootstrap_admin_user

        bootstrap_admin_user()
    engine.dispose()


def trust(own: str, together: str) -> None:
    """Write the public CAs and those in the file `own` to the file `together`."""
    import certifi

    Path(together).write_text(
        f"{certifi.contents().rstrip()}\n{Path(own).read_text(encoding='utf-8')}", encoding="utf-8"
    )


if __name__ == "__main__":
    if os.environ.get("MLP_CA_FILE"):
        trust(os.environ["MLP_CA_FILE"], os.environ["AWS_CA_BUNDLE"])
    migrate(os.environ[DATABASE_VARIABLE])
