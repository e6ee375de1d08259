"""The page in a real browser: opened from the disk, without a network, and listened to."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
AXE = "axe-core@4.14.1"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bessemer-tests"


@contextmanager
def chromium() -> Iterator[Any]:
    """The system's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "pages are tested in Chromium: `make browser` installs it"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=300_000)
        yield browser
        browser.close()


#: The page follows its address in an event that comes later; where the address is the same already, none comes.
_GO = """address => new Promise(done => {
  const before = location.href;
  addEventListener("hashchange", () => requestAnimationFrame(() => done()), { once: true });
  location.hash = address;
  if (location.href === before) done();
})"""


class Opened:
    """A page in a browser, and everything that it said or asked for since."""

    def __init__(self, browser: Any, file: Path, **context: Any) -> None:
        self.url = file.as_uri()
        self.said: list[str] = []
        self.asked: list[str] = []
        options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **context}
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(300_000)
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.context.route("**/*", lambda route: route.abort() if self._foreign(route) else route.continue_())
        self.page.goto(self.url)

    def _foreign(self, route: Any) -> bool:
        return bool(route.request.url.split("#")[0] != self.url)

    def go(self, address: str) -> None:
        """Follow a link of the page to #address."""
        self.page.evaluate(_GO, address)

    def views(self) -> list[str]:
        links = self.page.locator("#nav > a").all()
        return [str(link.get_attribute("href")).removeprefix("#") for link in links]

    def quiet(self) -> None:
        """Nothing was said on the console, nothing was asked for, every section was drawn."""
        assert not self.said, self.said
        assert {url.split("#")[0] for url in self.asked} == {self.url}
        assert self.page.locator("[data-failed]").count() == 0
        assert self.page.locator("html").get_attribute("data-ready") == "true"

    def too_wide(self) -> list[str]:
        """The elements that make the page scroll sideways."""
        script = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
          [...document.querySelectorAll("main *")].filter((node) =>
          node.getBoundingClientRect().right > innerWidth + 1 &&
          !node.closest(".scroll, svg")).slice(0, 5).map((node) => node.outerHTML.slice(0, 120))
          .concat(document.documentElement.scrollWidth + " > " + innerWidth)"""
        return list(self.page.evaluate(script))

    def faults(self, axe: str) -> list[str]:
        """What axe finds serious or critical in what is seen."""
        self.page.evaluate(axe)
        found = self.page.evaluate('() => axe.run(document, {resultTypes: ["violations"]})')
        return [
            f"{one['id']} {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary'][:300]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]

    def close(self) -> None:
        self.context.close()


def axe_source() -> str:
    """The script of axe-core, installed once on a machine; it is never shipped."""
    folder = _CACHE / AXE.replace("@", "-")
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not script.exists():
            command = ["npm", "install", "--silent", "--no-save", "--prefix", str(folder), AXE]
            made = subprocess.run(command, capture_output=True, text=True, timeout=300)
            assert made.returncode == 0, f"cannot install {AXE}:\n{made.stderr}"
    return script.read_text("utf-8")
