"""Open a page in the user's browser, or print its address where there is none."""

import html
import os
import sys
from pathlib import Path

import click

from platform_lib.files import write_atomically

_REDIRECT = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={address}"><title>mlp open</title><p><a href="{address}">Go on</a>
"""


def show_page(address: str, folder: Path, *, only_print: bool) -> None:
    """Open a page in a browser.

    Args:
        address: `http:` or `file:`; it may log in.
        folder: Where to write a file that leads there. A browser's command line is visible to every user of the
            machine, so the address itself is not on it.
        only_print: Print the address, for another program or another machine's browser.
    """
    if only_print or not _has_browser():
        click.echo(address)
        return
    if not address.startswith("file:"):
        page = folder / "open.html"
        write_atomically(page, _REDIRECT.format(address=html.escape(address)), mode=0o600)
    if not _opened(address if address.startswith("file:") else page.resolve().as_uri()):
        click.echo(address)


def _has_browser() -> bool:
    """Whether a browser with windows can be opened; one in the terminal would take over this command."""
    has_screen = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(has_screen or os.environ.get("BROWSER"))


def _opened(address: str) -> bool:
    import webbrowser

    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False
