"""`/openapi.json` and `/docs`: Swagger UI, served by this server alone, so it needs no internet and sends no key away.

The package `fastapi-offline` provides the two files of Swagger UI; nothing else of it is used.
"""

import html
import importlib.util
from pathlib import Path
from typing import Any, Protocol

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from platform_lib.serving.auth.access import Access
from platform_lib.serving.problems import Problem

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


class Describe(Protocol):
    """Returns the OpenAPI document of the version that is served now."""

    def __call__(self, *, has_key: bool = False) -> dict[str, Any]:
        """Return it, with values of the training data only if the caller has a key."""


def docs_routes(describe: Describe, access: Access) -> APIRouter:
    """The document, the page and its files. They require no key; with one, the document shows known values.

    Args:
        describe: Called for each response, because it names the version served then.
        access: Checks the key, if there is one.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/openapi.json")
    async def document(request: Request) -> Response:
        has_key = await _has_key(request, access)
        headers = {"Vary": "Authorization, X-API-Key", "Cache-Control": "private, no-store" if has_key else "no-cache"}
        return JSONResponse(describe(has_key=has_key), headers=headers)

    @router.get("/")
    async def root(request: Request) -> Response:
        """Lead people who open the server's address to the page; programs get the 404 that names it."""
        if "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404)
        return Response(status_code=307, headers={"Location": "docs"})

    @router.get("/docs")
    async def page() -> Response:
        title = html.escape(str(describe()["info"]["title"]))
        return Response(_PAGE.format(title=title), media_type="text/html", headers=_HEADERS)

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


async def _has_key(request: Request, access: Access) -> bool:
    """Return whether the caller showed a valid key. A server that needs none counts everybody as a stranger."""
    if access.is_open:
        return False
    try:
        await access.check(request.headers)
    except Problem:
        return False
    return True


def _folder() -> Path:
    found = importlib.util.find_spec("fastapi_offline")  # does not import it
    assert found is not None and found.origin is not None, "fastapi-offline is part of the serving extra"
    return Path(found.origin).parent / "static"
