"""The learner, its parameters and AutoML of a draft: only what this installation can run, the rest is listed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bessemer.core.plugins import PluginTable
from bessemer.importers.draft import Draft
from bessemer.train.params import faults_of
from bessemer.train.plugins import LEARNERS
from bessemer.train.search.plugins import SEARCHERS


@dataclass(frozen=True)
class Setting:
    """A parameter of a learner: its name and value here, where it stands in the tool's file and what it says there."""

    name: str
    value: Any
    path: str
    said: Any
    why: str = ""


def runs(table: PluginTable[Any], name: str) -> bool:
    """Whether a learner or searcher can run here.

    >>> runs(LEARNERS, "linear"), runs(LEARNERS, "nosuch")
    (True, False)
    """
    return name in table and not table.ref(name).missing()


def install(table: PluginTable[Any], name: str) -> str:
    """The command that brings a learner or searcher."""
    return f"pip install 'bessemer[{table.ref(name).extra or name}]'" if name in table else ""


def choose(draft: Draft, wanted: str, path: str, said: Any) -> str:
    """Set the learner: the wanted one, or `auto` where it cannot run here, which is then listed."""
    if runs(LEARNERS, wanted):
        draft.put("train.learner", wanted)
        return wanted
    why = f"this version has no learner {wanted}"
    if command := install(LEARNERS, wanted):
        why = f"{wanted} is not installed: {command}, then `train.learner: {wanted}`"
    draft.findings.near(path, said, "train.learner: auto", why)
    return "auto"


def put_params(draft: Draft, learner: str, settings: Iterable[Setting], why: str = "") -> None:
    """Set the parameters that the learner takes; the others have no counterpart, `why` says why `auto` has none."""
    for setting in settings:
        if learner == "auto":
            why = why or "several learners are tried, none with parameters of its own"
            nearest = f"train.params.{setting.name}, with one learner named"
            draft.findings.lost(setting.path, setting.said, why, nearest)
            continue
        wrong = faults_of(LEARNERS.load(learner).PARAMS, {setting.name: setting.value})
        for name, what, fix in wrong:
            hint = f"; {fix}" if fix.startswith("did") else ""
            draft.findings.lost(
                setting.path, setting.said, f"{learner}: {name}: {what}{hint}", f"train.params of {learner}"
            )
        if not wrong:
            draft.put(f"train.params.{setting.name}", setting.value)
        if not wrong and setting.why:
            became = f"train.params.{setting.name}: {setting.value}"
            draft.findings.near(setting.path, setting.said, became, setting.why)


def search(draft: Draft, wanted: str, path: str, said: Any) -> str:
    """The searcher of AutoML: the wanted one, or `none` where it is not installed, which is then listed."""
    if wanted == "none" or runs(SEARCHERS, wanted):
        return wanted
    why = f"the searchers are not installed: {install(SEARCHERS, wanted)}, then `search: {wanted}`"
    draft.findings.near(path, said, "train.automl.search: none", why)
    return "none"
