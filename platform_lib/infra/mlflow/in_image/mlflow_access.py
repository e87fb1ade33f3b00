"""Who may ask what of the shared MLflow, run inside MLflow's official image from a mounted folder. Imports nothing of ours.

MLflow's own authorisation keeps whose experiment, run and model is whose. This file tells it who asks, closes what it leaves open, and brings the
schema up to date (`python -m mlflow_access`). `mlflow server --app-name mlp` finds `create_app` by the entry point mounted beside this file.

- A machine sends its team's name and password (HTTP Basic); only SHA-256 hashes are kept here, of passwords of 256 random bits.
- A person comes through the login proxy, which proves itself with a password of its own and says who it is in `X-Auth-Request-Groups`. Without
  that proof the header means nothing, so no pod in the cluster can forge it.
- A team is one user of MLflow, and owns what any of its members makes. A person of several teams sees what they all own.
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
_MIGRATION_LOCK = 7_305_771  # any number: the same in every replica, so that one migrates and the others wait

_log = logging.getLogger("mlp.access")
_Scope = MutableMapping[str, Any]
_Asgi = Callable[[_Scope, Any, Any], Awaitable[None]]


def authorise() -> Any:
    """MLflow's `authorization_function`: the MLflow user that this request acts as, or the answer that refuses it."""
    from flask import g

    # Asked again by every check of one request; it is decided, and logged, once.
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
        text = "No known credentials. Set MLFLOW_TRACKING_USERNAME to the team's name and MLFLOW_TRACKING_PASSWORD to its password."
        return Response(text, 401, {"WWW-Authenticate": 'Basic realm="mlflow"'}, mimetype="text/plain")
    rule = request.url_rule.rule if request.url_rule else None
    refusal = None
    if not (caller.is_admin or caller.is_metrics or caller.teams):
        refusal = f"{caller.name}: none of your groups belongs to a team of this platform."
    elif not may_use_route(caller, request.method, rule):
        refusal = f"{request.method} {request.path} is not open to teams on this server."
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
    """What MLflow's own checks let through: places where the server would read and write with its rights instead of the team's."""
    from mlflow.protos.model_registry_pb2 import CreateModelVersion
    from mlflow.protos.service_pb2 import CreateExperiment
    from mlflow.server.handlers import _get_request_message

    if rule.endswith("/mlflow/experiments/create") and _get_request_message(CreateExperiment()).artifact_location:
        return "artifact_location is not open to teams: files lie where this server puts them. Leave it out."
    if rule.endswith("/mlflow/model-versions/create"):
        message = _get_request_message(CreateModelVersion())
        if not message.source.startswith("models:/") and not _lies_in_run(message.source, message.run_id):
            return "the source of a model version must be a logged model (models:/m-…), a version (models:/name/7) or a folder of the run in run_id."
    return None


def _missing_model(rule: str, name: str | None) -> Any:
    """MLflow's own answer where a model does not exist yet; its authorisation says "denied", and a team's first training would end there.

    It tells whether a name is taken, which making a model of that name tells as well.
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
        # Whether the run may be read is decided by MLflow itself, as it is named in the request.
        root = _get_tracking_store().get_run(run_id).info.artifact_uri.rstrip("/")
    except MlflowException:
        return False
    return source.startswith(f"{root}/") and not any(part in source for part in ("..", "%", "\\", "?", "#"))


def _mlflow_user(caller: Caller, *, creates: str) -> str:
    if caller.is_admin or caller.is_metrics:
        return ADMIN
    if len(caller.teams) == 1 or creates.endswith(("/mlflow/experiments/create", "/mlflow/registered-models/create")):
        return _ensure_user(caller.teams[:1])  # what a person of several teams makes belongs to the first by name
    return _ensure_user(caller.teams)


_MEMBERS: dict[int, list[int]] = {}
"""MLflow's number of a set of teams → those of its teams."""


def _share_grants(store: Any) -> None:
    """Let the user that stands for several teams have what each of them was granted: MLflow reads all grants by this one method."""
    own = store.list_grants

    def list_grants(user_id: int, *args: Any, **kwargs: Any) -> list[Any]:
        return [grant for member in _MEMBERS.get(user_id, [user_id]) for grant in own(member, *args, **kwargs)]

    store.list_grants = list_grants


@lru_cache(maxsize=4096)
def _ensure_user(teams: tuple[str, ...]) -> str:
    """The MLflow user of a team, or of a set of teams, which has what each of them was granted. Made where there is none."""
    from mlflow.exceptions import MlflowException
    from mlflow.server.auth import store

    name = "+".join(teams)
    if not store.has_user(name):
        try:
            store.create_user(name, secrets.token_urlsafe(32))
        except MlflowException:
            if not store.has_user(name):  # another worker made it
                raise
    if len(teams) > 1:
        _MEMBERS[store.get_user(name).id] = [store.get_user(_ensure_user((team,))).id for team in teams]
    return name


@lru_cache(maxsize=1)
def _access_file() -> AccessFile:
    return AccessFile(Path(os.environ[ACCESS_FILE_VARIABLE]))


class PlainHeaders:
    """Refuses headers that read as another one behind this server: WSGI knows no difference between `X_A` and `X-A`, and joins repeated ones."""

    def __init__(self, app: _Asgi) -> None:
        self._app = app

    async def __call__(self, scope: _Scope, receive: Any, send: Any) -> None:
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
                        "body": b"a header has an underscore in its name, or is there twice.",
                    }
                )
                return
        await self._app(scope, receive, send)


def create_app() -> _Asgi:
    """MLflow's application with its own authorisation switched on and ours in front."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    _access_file().read()  # a broken one stops the start
    _configure_mlflow_auth()
    from mlflow.server import auth

    _share_grants(auth.store)
    return PlainHeaders(auth.create_app())


def _configure_mlflow_auth() -> None:
    """MLflow reads its authorisation settings from a file, the database's password with them: it is written where nobody else can read it."""
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
    # Neither is ever used: nobody logs in by MLflow's own passwords, and its only form is on no list of routes.
    os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"] = secrets.token_urlsafe(32)
    os.environ["MLFLOW_FLASK_SERVER_SECRET_KEY"] = secrets.token_urlsafe(32)


def migrate(address: str) -> None:
    """Bring both schemas in the database at `address` to this MLflow's version; one replica at a time, and nothing where they are already."""
    import sqlalchemy
    from mlflow.db import upgrade

    _configure_mlflow_auth()
    engine = sqlalchemy.create_engine(address)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"select pg_advisory_lock({_MIGRATION_LOCK})")
        upgrade.callback(address)  # before the other: MLflow takes a database with any table in it for one to upgrade
        from mlflow.server.auth import bootstrap_admin_user

        bootstrap_admin_user()
    engine.dispose()


def trust(own: str, together: str) -> None:
    """Write the public authorities and those of the file `own` into the file `together`."""
    import certifi

    Path(together).write_text(
        f"{certifi.contents().rstrip()}\n{Path(own).read_text(encoding='utf-8')}", encoding="utf-8"
    )


if __name__ == "__main__":
    if os.environ.get("MLP_CA_FILE"):
        trust(os.environ["MLP_CA_FILE"], os.environ["AWS_CA_BUNDLE"])
    migrate(os.environ[DATABASE_VARIABLE])
