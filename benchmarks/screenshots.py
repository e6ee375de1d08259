"""The pictures of the README and the docs, taken of a report or of a monitor's store.

    python benchmarks/screenshots.py examples/flights/build/report.html
    python benchmarks/screenshots.py examples/closed-loop/work/.bessemer/monitor.db

The page is opened in the system's Chromium at 1280 x 800; each picture is a PNG of a palette, below 200 kB.
"""

from __future__ import annotations

import io
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
#: File, theme, what stands behind # in the page's address.
PICTURES = (("report.png", "light", "overview"), ("report-rows.png", "dark", "rows"))
COLOURS = 128


def main(source: Path) -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "needs Chromium: `make browser`"
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if source.suffix == ".html":
            for name, theme, address in PICTURES:
                take(browser, f"{source.resolve().as_uri()}#{address}", name, theme)
        else:
            with served(source) as url:
                take(browser, url, "monitor.png", "light", height=1500)
        browser.close()


def take(browser: Any, url: str, name: str, theme: str, height: int = 800) -> None:
    from PIL import Image

    page = browser.new_page(viewport={"width": 1280, "height": height}, color_scheme=theme)
    page.goto(url)
    page.locator("html[data-ready=true]").wait_for(state="attached")
    page.wait_for_timeout(500)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
    picture.save(IMAGES / name, optimize=True)
    print(f"{IMAGES / name}: {(IMAGES / name).stat().st_size / 1000:.0f} kB")


@contextmanager
def served(store: Path) -> Iterator[str]:
    from bessemer.web.server import MonitorServer
    from bessemer.web.state import Stores

    server = MonitorServer(Stores(store))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.url
    server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
