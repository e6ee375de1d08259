"""The views of a run: a line a stage and a bar for what is going on; lines alone, or JSON, elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from bessemer.cli._console import seconds


class LiveView:
    """A sink for a terminal. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._detail = ""

    def __enter__(self) -> LiveView:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def __call__(self, stage: str, kind: str, data: Mapping[str, Any]) -> None:
        handlers = {
            "stage_start": self._stage_start,
            "progress": self._progress,
            "metric": self._curve,
            "note": self._note,
            "warning": self._warning,
            "stage_end": self._stage_end,
        }
        if kind in handlers:
            handlers[kind](stage, data)

    def _stage_start(self, stage: str, data: Mapping[str, Any]) -> None:
        if not data["cached"]:
            self._detail = ""
            self._task = self.bars.add_task(f"[bold]{stage}[/] {escape(data['does'])}", total=None, detail="")

    def _progress(self, stage: str, data: Mapping[str, Any]) -> None:
        if self._task is not None:
            self.bars.update(
                self._task,
                description=f"[bold]{stage}[/] {escape(data['what'])}",
                total=data["total"],
                completed=data["done"],
                detail=self._detail,
            )

    def _curve(self, stage: str, data: Mapping[str, Any]) -> None:
        self._detail = f"{data['name']} {data['value']:.4f}"

    def _note(self, stage: str, data: Mapping[str, Any]) -> None:
        self.bars.console.print(f"    [dim]{stage:>9}[/]  {escape(data['text'])}", soft_wrap=True)

    def _warning(self, stage: str, data: Mapping[str, Any]) -> None:
        self.bars.console.print(f"  [yellow]! {stage:>9}[/]  {escape(data['text'])}", soft_wrap=True)

    def _stage_end(self, stage: str, data: Mapping[str, Any]) -> None:
        if self._task is not None:
            self.bars.remove_task(self._task)
            self._task = None
        if data["status"] == "cached":
            self.bars.console.print(f"  [dim]= {stage:>9}  cached[/]")
        else:
            self.bars.console.print(
                f"  [green]✓[/] [bold]{stage:>9}[/]  {seconds(data['seconds'])}  [dim]{escape(data['why'])}[/]",
                soft_wrap=True,
            )


class PlainView(LiveView):
    """The same lines without bars, for files and pipes that people read."""

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _progress(self, stage: str, data: Mapping[str, Any]) -> None:
        return None


class LogView:
    """A sink for programs and log collectors: one JSON object a line on standard error."""

    def __enter__(self) -> LogView:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, stage: str, kind: str, data: Mapping[str, Any]) -> None:
        if kind in ("progress", "metric", "run_end"):
            return
        line = {"time": round(time.time(), 3), "stage": stage, "event": kind, **data}
        sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        sys.stderr.flush()


def view(console: Console, as_json: bool) -> LiveView | LogView:
    """The view that fits whoever reads it: a program, a person at a terminal, a person with a file."""
    if as_json:
        return LogView()
    return LiveView(console) if console.is_terminal else PlainView(console)
