"""`mlp open`: open a page of the local platform in a browser."""

from typing import TYPE_CHECKING

import click

from platform_lib.cli.reports import made_report
from platform_lib.errors import ServiceError
from platform_lib.settings import find_project, local_service_url

if TYPE_CHECKING:
    from platform_lib.settings import Project

_TITLES = {"mlflow": "MLflow", "prefect": "Prefect", "server": "model server"}
_REPORT = "report"
_SERVICES = {"mlflow": "mlflow", "prefect": "prefect", "server": "models"}


@click.command(epilog="Example: mlp open mlflow")
@click.argument("page", type=click.Choice([*_TITLES, _REPORT]), default="mlflow")
@click.option("--print", "only_print", is_flag=True, help="Print the link instead of opening a browser.")
def command(*, page: str, only_print: bool) -> None:
    """Open a page of what `mlp up` started, logged in, or a report.

    PAGE is mlflow (the default: the project's runs), prefect (its flow runs), server (try the served model) or report
    (the champion's report, which needs no `mlp up`; `mlp report` has others).
    Without a browser on this machine, the link is printed.
    """
    from platform_lib.cli.browser import show_page

    project = find_project()
    address = made_report(project, None).resolve().as_uri() if page == _REPORT else _link(project, page)
    show_page(address, project.state_dir, only_print=only_print)


def _link(project: "Project", page: str) -> str:
    from platform_lib.local_platform.pages import links

    url = local_service_url(project, _SERVICES[page])
    if url is None:
        raise ServiceError(f"the {_TITLES[page]} of this project is not running: start it with `mlp up`.")
    return links(project, {_SERVICES[page]: url})[_TITLES[page]]
