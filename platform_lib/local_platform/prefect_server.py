"""`python -m platform_lib.local_platform.prefect_server`: Prefect's server as its settings say, behind the guard."""

import argparse
import base64
import os

from platform_lib.local_platform.guard import Guard, Site
from platform_lib.local_platform.service import HOST


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    port: int = parser.parse_args().port
    auth_string = os.environ["PREFECT_SERVER_API_AUTH_STRING"]
    site = Site(
        service="prefect",
        port=port,
        password=auth_string.partition(":")[2],
        # Where the form of Prefect's pages keeps a password that was entered.
        stored={"prefect-password": base64.b64encode(auth_string.encode()).decode()},
        checks_login=True,
    )
    import uvicorn
    from prefect.server.api.server import create_app

    uvicorn.run(Guard(create_app(final=True), site), host=HOST, port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
