"""Open pages in a real browser without windows: the final page, its requests, and its messages."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What happened when a page was opened."""

    shown: str
    """The final page, as HTML."""
    requests: list[str]
    """Addresses that pages asked for over a network."""
    messages: list[str]
    """Of the console: errors, warnings, and what the page logs."""


def browser() -> str:
    """The program; skips the test with its name if there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs chromium")
    return found


def visit(url: str, folder: Path, *, dark: bool = False, width: int = 1280) -> Visit:
    """Open an address in a new browser.

    Args:
        url: The address.
        folder: For the browser's files.
        dark: Prefer dark colours.
        width: Of the window, in pixels.
    """
    log = folder / "net.json"
    arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        f"--user-data-dir={folder / 'home'}",
        f"--window-size={width},2000",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--enable-logging=stderr",
    ]
    arguments += ["--virtual-time-budget=30000", f"--log-net-log={log}", "--dump-dom", url]
    done = subprocess.run([browser(), *arguments], capture_output=True, text=True, timeout=120)
    asked: list[dict[str, Any]] = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    from_pages = [event["url"] for event in asked if event.get("initiator", "not an origin") != "not an origin"]
    return Visit(
        shown=done.stdout,
        requests=[url for url in from_pages if urlsplit(url).scheme in ("http", "https", "ws", "wss")],
        messages=re.findall(r"CONSOLE[:(]\d+\)?\] (.*)", done.stderr),
    )
