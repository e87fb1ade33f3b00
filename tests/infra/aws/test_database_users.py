"""The job that makes database users, as a process on a real Postgres with the master password in a secret store."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from tests.infra.services.postgres import Postgres, running_postgres

pytestmark = [pytest.mark.slow, pytest.mark.engine]
CODE = (files("platform_lib.infra.aws") / "in_image" / "database_users.py").read_text(encoding="utf-8")
MASTER = "platform_master"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """Like RDS: the master is no superuser, and everyone needs a password."""
    with running_postgres() as server:
        server.run(
            "psql", "postgres", "-qc", f"create role {MASTER} login createdb createrole password 'master-secret'"
        )
        rules = "local all all trust\nhost all platform 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        (server.folder / "data" / "pg_hba.conf").write_text(rules, encoding="utf-8")
        server.run("psql", "postgres", "-qc", "select pg_reload_conf()")
        yield server


@pytest.fixture(scope="module")
def secrets() -> Iterator[tuple[str, str]]:
    """(address, ARN): Secrets Manager with the secret that RDS would make."""
    import boto3  # type: ignore[import-untyped]

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "eu-central-1"}
    made = boto3.client("secretsmanager", endpoint_url=address, **keys).create_secret(
        Name="rds!db-1", SecretString=json.dumps({"username": MASTER, "password": "master-secret"})
    )
    yield address, made["ARN"]
    server.stop()


def run_job(postgres: Postgres, secrets: tuple[str, str], folder: Path, users: dict[str, str]) -> str:
    """Run the job's own command with its own variables; only the driver and TLS differ."""
    file = folder / "users.json"
    file.write_text(json.dumps(users), encoding="utf-8")
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": secrets[0],
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "MASTER_SECRET_ARN": secrets[1],
        "DATABASE_HOST": "127.0.0.1",
        "DATABASE_PORT": str(postgres.port),
        "DATABASE_DRIVER": "postgresql+psycopg",
        "DATABASE_SSLMODE": "disable",
        "USERS_FILE": str(file),
    }
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def can_connect(postgres: Postgres, user: str, password: str, database: str) -> bool:
    import psycopg

    try:
        psycopg.connect(host="127.0.0.1", port=postgres.port, user=user, password=password, dbname=database).close()
    except psycopg.OperationalError:
        return False
    return True


def test_each_user_opens_its_own_database_only_and_a_second_run_sets_new_passwords(
    postgres: Postgres, secrets: tuple[str, str], tmp_path: Path
) -> None:
    said = run_job(postgres, secrets, tmp_path, {"mlflow": "one", "prefect-churn": "two"})
    assert said == "mlflow: created\nprefect-churn: created\n"
    assert can_connect(postgres, "mlflow", "one", "mlflow") and can_connect(
        postgres, "prefect-churn", "two", "prefect-churn"
    )
    assert not can_connect(postgres, "mlflow", "two", "mlflow")
    assert not can_connect(postgres, "mlflow", "one", "prefect-churn")

    said = run_job(postgres, secrets, tmp_path, {"mlflow": "three", "prefect-churn": "two", "prefect-fraud": "four"})
    assert said == "mlflow: password set\nprefect-churn: password set\nprefect-fraud: created\n"
    assert can_connect(postgres, "mlflow", "three", "mlflow") and not can_connect(postgres, "mlflow", "one", "mlflow")
    roles = postgres.run("psql", "postgres", "-Atc", "select rolname from pg_roles where rolsuper or rolcreatedb")
    assert not {"mlflow", "prefect-churn", "prefect-fraud"} & set(roles.split())
