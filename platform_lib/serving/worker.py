"""The application of one of several worker processes: its options come from the parent by the environment. `running` starts the workers."""

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from platform_lib.serving.assembly import WorkerOptions, build_app
from platform_lib.serving.logs import log_to_stderr

if TYPE_CHECKING:
    from starlette.types import ASGIApp

OPTIONS_VARIABLE = "MLP_WORKER_OPTIONS"


def tell_workers(options: WorkerOptions) -> None:
    """Leave the options where `create_worker_app` finds them."""
    os.environ[OPTIONS_VARIABLE] = json.dumps(asdict(options))


def create_worker_app() -> "ASGIApp":
    """What uvicorn calls in each worker."""
    log_to_stderr(as_json=not sys.stderr.isatty())
    return build_app(WorkerOptions(**json.loads(os.environ[OPTIONS_VARIABLE])))
