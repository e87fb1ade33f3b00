"""Create the database in Prefect's connection URL if it does not exist. Runs in Prefect's image before the server."""

import asyncio
import os

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.engine import URL, make_url


def dsn(url: URL, database: str | None) -> str:
    """Return the URL in the form that asyncpg reads."""
    query = {"sslmode" if key == "ssl" else key: value for key, value in url.query.items()}
    return url.set(drivername="postgresql", database=database, query=query).render_as_string(hide_password=False)


async def main() -> None:
    """Create the database unless it exists, and let only its owner connect."""
    url = make_url(os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"])
    try:
        await (await asyncpg.connect(dsn(url, url.database))).close()
        return
    except asyncpg.InvalidCatalogNameError:
        pass
    name = '"' + str(url.database).replace('"', '""') + '"'
    server = await asyncpg.connect(dsn(url, "postgres"))
    try:
        await server.execute(f"CREATE DATABASE {name}")
        await server.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    finally:
        await server.close()
    print(f"created the database {name}")


if __name__ == "__main__":
    asyncio.run(main())
