"""Create the services' roles and databases on RDS. Runs in MLflow's image, as the master user, and can run again."""

import base64
import hashlib
import hmac
import json
import os
import re
from pathlib import Path

import boto3  # type: ignore[import-untyped]
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Connection

ITERATIONS = 4096  # Postgres' own default


def verifier(password: str, salt: bytes) -> str:
    """Return what Postgres stores for a password (RFC 5803), so that no log of the server shows the password itself."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored, server = hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${ITERATIONS}:{salt_text}${stored_text}:{server_text}"


def make_user(connection: Connection, name: str, password: str) -> None:
    """Create a role and its database, or set the role's password again. Only the owner may connect to the database.

    Raises:
        ValueError: The name is not one that the platform gives.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", name):
        raise ValueError(f"{name!r} is not a name of a role: use lowercase letters, digits and dashes.")
    hidden = verifier(password, os.urandom(16))
    there = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name}).first()
    verb = "ALTER" if there else "CREATE"
    connection.execute(text(f"{verb} ROLE \"{name}\" LOGIN PASSWORD '{hidden}'".replace(":", "\\:")))
    if not connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}).first():
        connection.execute(text(f'GRANT "{name}" TO CURRENT_USER'))  # else the master may not give a database away
        connection.execute(text(f'CREATE DATABASE "{name}" OWNER "{name}"'))
    connection.execute(text(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC'))
    print(f"{name}: {'password set' if there else 'created'}")


def main() -> None:
    """Read the master password from Secrets Manager and the users' passwords from a file; make every user."""
    found = boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["MASTER_SECRET_ARN"])
    master = json.loads(found["SecretString"])
    users = json.loads(Path(os.environ["USERS_FILE"]).read_text(encoding="utf-8"))
    url = URL.create(
        os.environ.get("DATABASE_DRIVER", "postgresql"),
        master["username"],
        master["password"],
        os.environ["DATABASE_HOST"],
        int(os.environ["DATABASE_PORT"]),
        "postgres",
        query={"sslmode": os.environ.get("DATABASE_SSLMODE", "require")},
    )
    with create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        for name, password in users.items():
            make_user(connection, name, password)


if __name__ == "__main__":
    main()
