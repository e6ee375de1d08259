"""The pictures of the README, taken of a report: `python benchmarks/screenshots.py examples/flights/build/report.html`.

The report is opened in the system's Chromium at 1280 x 800; each picture is a PNG of a palette, below 200 kB.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
#: File, theme, what stands behind # in the page's address.
PICTURES = (("report.png", "light", "overview"), ("report-rows.png", "dark", "rows"))
COLOURS = 128


def main(report: Path) -> None:
    from PIL import Image
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "needs Chromium: `make browser`"
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, theme, address in PICTURES:
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=theme)
            page.goto(f"{report.resolve().as_uri()}#{address}")
            page.wait_for_selector("html[data-ready=true]")
            page.wait_for_timeout(500)
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
            picture.save(IMAGES / name, optimize=True)
            print(f"{IMAGES / name}: {(IMAGES / name).stat().st_size / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
