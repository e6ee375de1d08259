"""Ludwig's hyperopt becomes AutoML: a searcher, a budget, a number of trials; the ranges are the learners' own."""

from __future__ import annotations

from typing import Any

from bessemer.importers.draft import Draft
from bessemer.importers.learner import search
from bessemer.importers.ludwig import metrics
from bessemer.importers.ludwig.outputs import Target
from bessemer.importers.section import Hints, Section

#: Ludwig's search algorithm, sampler or scheduler -> ours.
SEARCHERS = {
    "random": "random", "variant_generator": "random", "grid": "grid", "grid_search": "grid",
    "nevergrad": "population", "cmaes": "cmaes",
    **dict.fromkeys(("optuna", "hyperopt", "tpe", "auto", "gp", "bohb", "bayesopt", "ax", "skopt", "hebo",
                     "blendsearch", "cfo", "dragonfly", "zoopt", "pysot"), "tpe"),
}  # fmt: skip
SCHEDULERS = {
    "async_hyperband": "asha", "asynchyperband": "asha", "asha": "asha", "hyperband": "hyperband",
    "hb_bohb": "hyperband", "pbt": "population", "pb2": "population", "median_stopping_rule": "tpe",
    "medianstoppingrule": "tpe", "median": "tpe",
}  # fmt: skip
_SAME = ("random", "variant_generator", "grid", "grid_search", "tpe", "optuna", "asha", "async_hyperband", "hyperband",
         "asynchyperband", "cmaes")  # fmt: skip

#: Seconds of the longest budget that is taken over, and the most trials of a grid.
LONGEST = 30 * 86_400
MOST_TRIALS = 10_000

_SEARCH: Hints = {
    **dict.fromkeys(
        ("random_state", "seed", "random_state_seed"), ("every random choice comes from one seed", "seed")
    ),
    "max_concurrent": ("trials run one after another, on all threads", "resources"),
}
_RESOURCES = ("max_concurrent_trials", "cpu_resources_per_trial", "gpu_resources_per_trial", "trial_driver_resources",
              "kubernetes_namespace", "num_workers")  # fmt: skip
_EXECUTOR: Hints = dict.fromkeys(_RESOURCES, ("trials run one after another, on all threads", "resources"))


def read(file: Section, draft: Draft, kind: str, target: Target) -> bool:
    """Set `train.automl`; gives whether the file searches at all."""
    hyperopt = file.section("hyperopt")
    if not list(hyperopt.unread()):
        return False
    executor, sampler = hyperopt.section("executor", word="type"), hyperopt.section("sampler", word="type")
    automl: dict[str, Any] = {"budget": _budget(executor)}
    if kind == "gbm":
        automl |= {"learners": ["lightgbm"], "members": 1}
    automl["search"] = _searcher(hyperopt, executor, sampler, draft)
    parameters = hyperopt.section("parameters")
    combinations = _combinations(parameters)
    for section in (executor, sampler):
        if (trials := section.integer("num_samples")) and trials > 0:
            automl["trials"] = trials * combinations
    if combinations > 1 and automl["search"] == "random":
        automl["search"] = search(draft, "grid", parameters.path, "grid_search")
    draft.put("train.automl", automl)
    why = "a portfolio of learners, then the search, then an ensemble of the best, within the budget"
    if kind == "gbm":
        why = "lightgbm with its defaults, then the search, within the budget"
    draft.findings.near("hyperopt", "search", f"train.automl: {{budget: {automl['budget']}}}", why)
    if (metric := metrics.named(hyperopt, "metric", draft, target.kind)) is not None:
        draft.put("train.metric", metric)
    if (judged := hyperopt.text("output_feature")) not in (None, target.name, "combined"):
        hyperopt.lost("output_feature", f"the target judges, not '{judged}'", "target")
    # A metric knows its direction, and test rows never judge a search.
    for key in ("goal", "split", "eval_split"):
        hyperopt.any(key)
    parameters.lose({}, "each learner is searched in ranges of its own", "train.automl.learners")
    executor.lose(_EXECUTOR, "a setting of Ludwig's executor", "train.automl")
    sampler.lose({}, "a setting of Ludwig's sampler", "train.automl")
    hyperopt.lose({}, "a setting of Ludwig's search", "train.automl")
    return True


def _combinations(parameters: Section) -> int:
    """How many combinations a grid has: the product of the values of its spaces; 1 where there is no grid."""
    product = 1
    for _, space in parameters.unread():
        values = (
            space.get("values") if isinstance(space, dict) and space.get("space") == "grid_search" else None
        )
        if isinstance(values, list) and values:
            product = min(product * len(values), MOST_TRIALS)
    return product


def _budget(executor: Section) -> str:
    seconds = min(executor.number("time_budget_s") or 0, LONGEST)
    if seconds < 1:
        return "2m"
    return f"{int(seconds) // 60}m" if seconds >= 60 and seconds % 60 == 0 else f"{int(seconds)}s"


def _searcher(hyperopt: Section, executor: Section, sampler: Section, draft: Draft) -> str:
    """The scheduler decides where it says how trials are stopped, else the algorithm, else the kind of the sampler."""
    found, place, key, said = "tpe", hyperopt, "search_alg", ""
    for section, name, table in (
        (sampler, "type", SEARCHERS),
        (executor, "sampler", SEARCHERS),
        (sampler, "search_alg", SEARCHERS),
        (executor, "search_alg", SEARCHERS),
        (hyperopt, "search_alg", SEARCHERS),
        (sampler, "scheduler", SCHEDULERS),
        (executor, "pruner", SCHEDULERS),
        (executor, "scheduler", SCHEDULERS),
    ):
        inner = section.section(name, word="type") if name != "type" else section
        word = inner.text("type")
        if inner is not section:
            inner.lose(_SEARCH, "a setting of Ludwig's searcher or scheduler", "train.automl.search")
        if word in table:
            found, place, key, said = table[word], section, name, word
    executor.any("type")
    if said and said not in _SAME:
        place.near(key, f"train.automl.search: {found}", f"the nearest searcher to {said}")
    return search(draft, found, place.at(key), said or "not said")
