"""The response to requests that outlast the graceful shutdown."""

import asyncio
from contextlib import suppress

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from platform_lib.serving.problems import Problem, problem_response


def respond_if_cancelled(app: ASGIApp) -> ASGIApp:
    """Wrap an application: a request that the server cancels gets 503, instead of 500 and a traceback in the log."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            headers = {"Retry-After": "1", "Connection": "close"}
            problem = Problem(503, "the server stopped before the prediction was ready. Retry.", headers=headers)
            with suppress(RuntimeError):  # a response has begun
                await problem_response(Request(scope), problem)(scope, receive, send)

    return wrapped
