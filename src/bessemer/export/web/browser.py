"""A folder served to a real browser that sees nothing else."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bessemer.environments.errors import ToolError
from bessemer.export.protocol import NotRunError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Milliseconds that a page may take: of a machine with much to do.
_PATIENCE = 300_000


class _Quiet(SimpleHTTPRequestHandler):
    """The folder's files, with the types that modules and WebAssembly need."""

    extensions_map = {  # noqa: RUF012 -- as the class that it extends has it
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of a folder, on this machine alone."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def open_folder(folder: Path) -> Iterator[tuple[Any, str]]:
    """A folder's index.html in Chromium, ready, and the browser's name and version.

    Raises:
        NotRunError: there is no Chromium, or nothing that drives it. ToolError: the page failed.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise NotRunError(
            "'playwright' is not installed, which drives a browser: pip install playwright"
        ) from None
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        raise NotRunError("there is no Chromium on this machine")
    with served(folder) as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=_PATIENCE)
        try:
            page = browser.new_page()
            page.set_default_timeout(_PATIENCE)
            page.goto(f"{address}/index.html")
            page.wait_for_selector("html[data-ready], .fault", state="attached")
            if page.locator(".fault").count():
                raise ToolError("the page failed", why=page.locator(".fault").first.inner_text())
            yield page, f"onnxruntime-web in Chromium {browser.version}"
        except Error as error:
            raise ToolError("the page failed", why=str(error).splitlines()[0]) from None
        finally:
            browser.close()
