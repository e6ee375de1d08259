"""What a finding means to who is woken by it: a title, what to look at, and a command to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bessemer.monitor.finding import Kind


@dataclass(frozen=True)
class Advice:
    """title: with `{column}` for what it is about. cause: what to look at. command: with `{model}` and `{start}`."""

    title: str
    cause: str
    command: str


_NAME = 80  # characters of a column's name that a title has
_ROWS = "bessemer log {model} --since {start}"
_BACK = "bessemer rollback {model}"
_SERVED = "bessemer deployments"
_SHOWN = "bessemer monitor alerts"

#: By what has found it.
BY_DETECTOR: dict[str, Advice] = {
    "schema": Advice(
        "'{column}' is absent or is of another type",
        "A client or an upstream table has changed its format: the model predicts as if the value were missing.",
        _ROWS,
    ),
    "missing": Advice(
        "'{column}' is missing at another rate",
        "Look at the job or client that fills the column: a join that finds nothing, a field that was renamed.",
        _ROWS,
    ),
    "unseen": Advice(
        "'{column}' has values that training did not have",
        "A new product, place or spelling. If it is right, the model has to be trained again with it.",
        _ROWS,
    ),
    "range": Advice(
        "'{column}' is outside the range of training",
        "Look at its unit and at default values such as -1 or 9999; what is real calls for new training.",
        _ROWS,
    ),
    "correlation": Advice(
        "Two columns no longer go together: '{column}'",
        "One of them is computed otherwise than before, or comes from another source or another time.",
        _ROWS,
    ),
    "measured_performance": Advice(
        "The model has become worse ('{column}')",
        "Labels say so. See whether inputs have drifted too; go back if it began with a deployment, else train again.",
        _BACK,
    ),
    "estimated_performance": Advice(
        "The model is probably worse ('{column}'): its rows are harder",
        "Labels have not come. See which inputs have drifted, and whether labels can be had for a sample.",
        _SHOWN,
    ),
    "cusum": Advice(
        "More of the model's predictions are wrong than before ('{column}')",
        "See since when, and whether it began with a deployment; if not, what it has learned no longer holds.",
        "bessemer retrain",
    ),
    "relation": Advice(
        "The same inputs now have other outcomes ('{column}')",
        "Ask what has changed in what is predicted, or in how labels are made. If it is real: train again.",
        "bessemer retrain",
    ),
    "slo": Advice(
        "The error budget is spent too fast: '{column}'",
        "See what was deployed lately, what the failed requests have in common, and how busy the machine is.",
        _SERVED,
    ),
    "errors": Advice(
        "More requests fail than before",
        "See the access log: one client with wrong requests, a model that cannot be loaded, or too much at once.",
        _SERVED,
    ),
    "latency": Advice(
        "Answers take longer than before",
        "See what was deployed lately, whether requests have become larger, and how busy the machine is.",
        _SERVED,
    ),
    "throughput": Advice(
        "Another number of requests than before",
        "A client has stopped or begun, or one asks in a loop.",
        _ROWS,
    ),
    "volume": Advice(
        "Another number of rows than is usual at this time",
        "A client has stopped or begun, or one asks in a loop.",
        _ROWS,
    ),
    "staleness": Advice(
        "Nothing new comes: '{column}'",
        "Does the server still get requests, is its log still written, does the job that sends labels still run?",
        _SERVED,
    ),
    "duplicates": Advice(
        "The same rows are asked again and again",
        "A client that tries again without waiting, or a job that runs twice.",
        _ROWS,
    ),
    "contract": Advice(
        "'{column}' breaks the data contract",
        "Ask who sends it: the contract says what was agreed.",
        _ROWS,
    ),
    "nan": Advice(
        "The model answers with what is no number: '{column}'",
        "See which rows do it; go back if it began with a deployment.",
        _BACK,
    ),
    "outliers": Advice(
        "More rows than usual are unlike those of training",
        "The text names the columns to look at. What is real calls for new training.",
        _ROWS,
    ),
    "feedback": Advice(
        "The labels of the client '{column}' are not believable",
        "Do not train on them before its owner has explained them.",
        _ROWS,
    ),
    "skew": Advice(
        "Logged predictions are not what the package says",
        "What is served is not what was signed: another runtime, or another package under this name.",
        _SERVED,
    ),
    "more": Advice(
        "Many things have changed at once",
        "Most often it is one cause: a client, an upstream table, a deployment. Look at what is listed first.",
        _SHOWN,
    ),
}

#: By its kind, where there is nothing of its own.
BY_KIND: dict[Kind, Advice] = {
    "schema": BY_DETECTOR["schema"],
    "quality": Advice(
        "The data of '{column}' are not as they were",
        "Look at the client or job that sends them, and at what was released there lately.",
        _ROWS,
    ),
    "drift": Advice(
        "'{column}' is no longer distributed as in training",
        "Is it real (a season, a campaign, new customers) or a fault upstream? What is real calls for new training.",
        _ROWS,
    ),
    "performance": Advice(
        "The model has become worse ('{column}')",
        "See whether inputs have drifted too; go back if it began with a deployment, else train again.",
        _BACK,
    ),
    "concept": Advice(
        "The same inputs now have other outcomes ('{column}')",
        "What the model has learned no longer holds: train again on data from after the change.",
        "bessemer retrain",
    ),
    "adversary": Advice(
        "The client '{column}' asks as an attacker would",
        "Ask its owner. Until then take its key away or limit its rate.",
        "bessemer access suspects",
    ),
    "operations": Advice(
        "The service is not as it should be: '{column}'",
        "See what was deployed lately, and how busy the machine is.",
        _SERVED,
    ),
    "model": Advice(
        "Something is wrong with the model itself: '{column}'",
        "See what is served and since when; go back if it began with a deployment.",
        _BACK,
    ),
}


def advice(detector: str, kind: Kind) -> Advice:
    """What is known of a detector, else of its kind.

    >>> advice("psi", "drift").title
    "'{column}' is no longer distributed as in training"
    """
    return BY_DETECTOR.get(detector, BY_KIND[kind])


def title_of(finding: Mapping[str, Any]) -> str:
    """One line, whatever the column is called."""
    column = " ".join("".join(c if c.isprintable() else " " for c in finding["column"]).split())
    column = column if len(column) <= _NAME else column[: _NAME - 1] + "…"
    return advice(finding["detector"], finding["kind"]).title.replace("{column}", column)


def todo_of(finding: Mapping[str, Any], model: str, start: str) -> str:
    """What to look at, and in the last line the command."""
    found = advice(finding["detector"], finding["kind"])
    return f"{found.cause}\n{found.command.format(model=model, start=start[:19])}"
