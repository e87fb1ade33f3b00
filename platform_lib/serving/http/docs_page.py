"""`/docs`: Swagger UI, served by this server alone, so that it needs no internet and sends no key elsewhere.

The package `fastapi-offline` provides the two files of Swagger UI; nothing else of it is used.
"""

import html
import importlib.util
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

_FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_DAY = "public, max-age=86400"
# Swagger UI uses inline styles and data images. Scripts and requests stay on this server.
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

# Relative addresses, so that the page works behind a proxy that strips a prefix such as /models/NAME.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<title>{title}</title>
</head>
<body>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> has the same content.</noscript>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """"use strict";
SwaggerUIBundle({
  dom_id: "#page",
  url: "openapi.json",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelExpandDepth: 3,
  validatorUrl: null,
});
"""


def docs_routes(title: Callable[[], str]) -> APIRouter:
    """The page and its files. They require no key.

    Args:
        title: Returns the page's title. Called for each response, because it names the version served then.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def root(request: Request) -> Response:
        """Lead people who open the server's address to the page; programs get the 404 that names it."""
        if "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404)
        return Response(status_code=307, headers={"Location": "docs"})

    @router.get("/docs")
    async def page() -> Response:
        return Response(_PAGE.format(title=html.escape(title())), media_type="text/html", headers=_HEADERS)

    @router.get("/docs/start.js")
    async def start() -> Response:
        return Response(
            _START, media_type="text/javascript", headers={"Cache-Control": _DAY, "X-Content-Type-Options": "nosniff"}
        )

    async def file(request: Request) -> Response:
        name = request.url.path.rsplit("/", 1)[1]
        return FileResponse(
            _folder() / name,
            media_type=_FILES[name],
            headers={"Cache-Control": _DAY, "X-Content-Type-Options": "nosniff"},
        )

    for name in _FILES:
        router.add_api_route(f"/docs/{name}", file)
    return router


def _folder() -> Path:
    found = importlib.util.find_spec("fastapi_offline")  # does not import it
    assert found is not None and found.origin is not None, "fastapi-offline is part of the serving extra"
    return Path(found.origin).parent / "static"
