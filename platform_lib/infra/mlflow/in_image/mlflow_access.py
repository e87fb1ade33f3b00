"""Authentication and access rules of the shared MLflow, run inside MLflow's official image.

MLflow's own authorization decides which user may access which experiment, run and model. This module identifies the
caller, closes gaps in MLflow's checks, and migrates the schema (`python -m mlflow_access`). `mlflow server --app-name
mlp` finds `create_app` through the entry point mounted next to this file. The module does not import `platform_lib`.

- A machine sends its team's name and password (HTTP Basic). Only SHA-256 hashes are stored, of passwords with 256
  random bits.
- A person comes through the login proxy. The proxy authenticates with its own password and sends the person's groups
  in `X-Auth-Request-Groups`. Without that password the header is ignored, so no pod in the cluster can forge it.
- A team is one user of MLflow and owns what its members create. A person in several teams sees what all of them own.
"""

import json
import logging
import os
import secrets
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlflow_rules import AccessFile, Caller, identify, may_use_route

ACCESS_FILE_VARIABLE = "MLP_ACCESS_FILE"
DATABASE_VARIABLE = "MLFLOW_BACKEND_STORE_URI"
GROUPS_HEADER = "X-Auth-Request-Groups"
ADMIN = "platform-admin"
_MIGRATION_LOCK = 7_305_771  # any number that all replicas share: one migrates, the others wait

_log = logging.getLogger("mlp.access")
_Scope = MutableMapping[str, Any]
_Asgi = Callable[[_Scope, Any, Any], Awaitable[None]]


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

    shown = request.authorization
    user, password = (shown.username, shown.password) if shown is not None and shown.type == "basic" else (None, None)
    person = request.headers.get("X-Auth-Request-Email") or request.headers.get("X-Auth-Request-User")
    caller = identify(_access_file().read(), user, password, request.headers.get(GROUPS_HEADER, ""), person)
    if caller is None:
        text = (
            "Unknown credentials. Set MLFLOW_TRACKING_USERNAME to the team's name "
            "and MLFLOW_TRACKING_PASSWORD to its password."
        )
        return Response(text, 401, {"WWW-Authenticate": 'Basic realm="mlflow"'}, mimetype="text/plain")
    rule = request.url_rule.rule if request.url_rule else None
    refusal = None
    if not (caller.is_admin or caller.is_metrics or caller.teams):
        refusal = f"{caller.name}: none of your groups belongs to a team of this platform."
    elif not may_use_route(caller, request.method, rule):
        refusal = f"{request.method} {request.path} is not available to teams on this server."
    elif not caller.is_admin and rule:
        refusal = _refused_content(rule)
    if request.method not in ("GET", "HEAD", "OPTIONS") or refusal:
        _log.warning(
            json.dumps({"who": caller.name, "method": request.method, "path": request.path, "refused": refusal})
        )
    if refusal:
        return Response(refusal, 403, mimetype="text/plain")
    if (
        not caller.is_admin
        and rule
        and request.method == "GET"
        and (missing := _missing_model(rule, request.args.get("name")))
    ):
        return missing
    return Authorization("basic", {"username": _mlflow_user(caller, creates=rule or ""), "password": ""})


def _refused_content(rule: str) -> str | None:
    """Check what MLflow does not: paths that the server would access with its own permissions instead of the team's."""
    from mlflow.protos.model_registry_pb2 import CreateModelVersion
    from mlflow.protos.service_pb2 import CreateExperiment
    from mlflow.server.handlers import _get_request_message

    if rule.endswith("/mlflow/experiments/create") and _get_request_message(CreateExperiment()).artifact_location:
        return "artifact_location is not available to teams: this server chooses where artifacts are stored. Omit it."
    if rule.endswith("/mlflow/model-versions/create"):
        message = _get_request_message(CreateModelVersion())
        if not message.source.startswith("models:/") and not _lies_in_run(message.source, message.run_id):
            return (
                "the source of a model version must be a logged model (models:/m-…), a version (models:/name/7), "
                "or a folder in the artifacts of the run named in run_id."
            )
    return None


def _missing_model(rule: str, name: str | None) -> Any:
    """Return MLflow's 404 for a model that does not exist yet.

    MLflow's authorization would deny the request, and a team's first training run would fail. The response reveals
    whether a name is taken, but so does an attempt to create a model with that name.
    """
    from flask import Response
    from mlflow.exceptions import MlflowException
    from mlflow.server.handlers import _get_model_registry_store

    if name and ("/mlflow/registered-models/" in rule or "/mlflow/model-versions/" in rule):
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
    return source.startswith(f"{root}/") and not any(part in source for part in ("..", "%", "\\", "?", "#"))


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


class PlainHeaders:
    """Reject ambiguous headers: WSGI does not distinguish `X_A` from `X-A`, and joins repeated headers."""

    def __init__(self, app: _Asgi) -> None:
        self._app = app

    async def __call__(self, scope: _Scope, receive: Any, send: Any) -> None:
        """Pass a request on, or respond with 400."""
        if scope["type"] == "http":
            names = [name.lower() for name, _ in scope["headers"]]
            once = (b"authorization", GROUPS_HEADER.lower().encode())
            if any(b"_" in name for name in names) or any(names.count(name) > 1 for name in once):
                await send(
                    {"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"text/plain")]}
                )
                await send(
                    {
                        "type": "http.response.body",
                        "body": b"a header has an underscore in its name, or occurs twice.",
                    }
                )
                return
        await self._app(scope, receive, send)


def create_app() -> _Asgi:
    """Return MLflow's application with its authorization enabled, behind `PlainHeaders`."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    _access_file().read()  # an invalid file stops the start
    _configure_mlflow_auth()
    from mlflow.server import auth

    _share_grants(auth.store)
    return PlainHeaders(auth.create_app())


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
