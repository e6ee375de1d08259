"""Several targets in one network: what each teaches, what ships, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from network_support import DIGITS, SEVERAL, TINY, opened, several, some  # noqa: E402
from stage_support import make_context  # noqa: E402

from bessemer.core.errors import DataError, ProjectError  # noqa: E402
from bessemer.core.further import Further  # noqa: E402
from bessemer.core.grouping import Grouping  # noqa: E402
from bessemer.package.decision import Decision  # noqa: E402
from bessemer.testing.learners import callbacks  # noqa: E402
from bessemer.train.assemble import assemble  # noqa: E402
from bessemer.train.calibrate import Calibration  # noqa: E402
from bessemer.train.check import check_columns  # noqa: E402
from bessemer.train.group_threshold import fields_of  # noqa: E402
from bessemer.train.keys import with_keys  # noqa: E402
from bessemer.train.learner import Part  # noqa: E402
from bessemer.train.learners.network import Network  # noqa: E402
from bessemer.train.learning_curve import _Run, _Subject  # noqa: E402
from bessemer.train.network_target import Target  # noqa: E402
from bessemer.train.networks.batch import Batch, Labels, Loss  # noqa: E402
from bessemer.train.params import resolved  # noqa: E402
from bessemer.train.parity import run_graph  # noqa: E402
from bessemer.train.several import warn_of_unlearnt  # noqa: E402
from bessemer.train.spec import LearningCurveSpec, TrainSpec  # noqa: E402
from bessemer.train.stage import check  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def batch(rows: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(3)
    odd = Labels(torch.tensor([0, 1, 1, 0, 1, 0]), torch.tensor([0.0, 1.5, 1.5, 0.0, 1.5, 1.5]))
    ink = Labels(torch.randn(rows, generator=generator), torch.ones(rows))
    y, X = torch.arange(rows) % 10, torch.rand(rows, 64, generator=generator)
    return Batch(X, y, torch.ones(rows), rows, seed=1, further=(odd, ink))


def outputs(rows: int = 6) -> Any:
    return torch.randn(rows, 12, generator=torch.Generator().manual_seed(4))


def test_the_loss_is_the_weighted_sum_of_what_each_target_says() -> None:
    given, said = batch(), outputs()
    alone = [
        Loss("multiclass").total(said[:, :10], replace(given, further=())),
        Loss("binary").total(
            said[:, 10:11], replace(given, y=given.further[0].y, weight=given.further[0].weight)
        ),
        Loss("regression").total(said[:, 11:], replace(given, y=given.further[1].y)),
    ]
    for shares in ((1.0, 1.0, 1.0), (2.0, 0.5, 0.25)):
        loss = Loss.of(replace(SEVERAL, shares=shares), smoothing=0.0)
        wanted = sum(share * one for share, one in zip(shares, alone, strict=True))
        assert float(loss.total(said, given)) == pytest.approx(float(wanted), rel=1e-6)


def test_a_missing_target_teaches_nothing() -> None:
    given, said = batch(), outputs().requires_grad_(True)
    loss = Loss.of(SEVERAL, smoothing=0.1)
    (gradient,) = torch.autograd.grad(loss.total(said, given), said)
    assert (gradient[[0, 3], 10] == 0).all()
    assert (gradient[[1, 2, 4, 5], 10] != 0).all()
    assert (gradient[:, :10] != 0).all(), "the others learn from these rows all the same"


def test_a_target_that_few_rows_have_counts_as_much_as_one_that_all_have() -> None:
    values = np.where(np.arange(1000) % 10 == 0, np.arange(1000) % 20 / 10.0, np.nan)
    found = Target.of_further(Further("odd", "binary", (0, 1)), values, None)
    assert float(found.weight.mean()) == pytest.approx(1.0)
    assert set(found.weight.tolist()) == {0.0, 10.0}
    weighed = Target.of_further(Further("n", "regression"), values * 7 + 3, np.linspace(1, 3, 1000))
    known = np.isfinite(values)
    assert float(weighed.weight.mean()) == pytest.approx(1.0)
    assert weighed.bounds == (3.0, 10.0)
    assert weighed.scale[0] == pytest.approx(
        np.average(values[known] * 7 + 3, weights=np.linspace(1, 3, 1000)[known])
    )


def test_a_target_that_no_training_row_has_is_refused() -> None:
    with pytest.raises(DataError, match="no training row has the target 'n'"):
        Target.of_further(Further("n", "regression"), np.full(4, np.nan), None)


@pytest.mark.slow
def test_a_class_that_no_training_row_has_is_warned_of_and_learnt_round(tmp_path: Path) -> None:
    digit = Further("digit", "multiclass", tuple(range(10)))
    own = replace(SEVERAL, further=(digit,), shares=(1.0, 1.0))
    part = several(0, 300)
    part = replace(part, further=np.where(part.y == 7, np.nan, part.y)[:, None])
    heard: list[tuple[str, Any]] = []
    warn_of_unlearnt(own.further, part, make_context(tmp_path, heard))
    assert [kind for kind, _ in heard] == ["warning"]
    assert "no training row has the target 'digit' of class 7," in heard[0][1]["text"]
    made = opened(own, part, part, tmp_path, {"epochs": 4})
    made.run()
    (_, said) = run_graph(made.model().whole, {"features": part.X}, list(own.scores))
    assert np.isfinite(said).all()
    assert 7 not in said.argmax(axis=1)


def test_a_learning_curve_has_rows_of_every_target_and_takes_a_class_without(tmp_path: Path) -> None:
    rare, late = np.full(600, 1.0), np.full(600, np.nan)
    rare[:4], rare[4:300], late[599] = 2.0, 0.0, 3.5
    part = replace(several(0, 600), further=np.stack([rare, late], axis=1))
    further = (Further("job", "multiclass", ("a", "b", "c")), Further("late", "regression"))
    own, ctx = replace(SEVERAL, further=further), make_context(tmp_path)
    subject = _Subject("network", "network", resolved(Network.PARAMS, {**TINY, "epochs": 1}), False)
    sizes = LearningCurveSpec(sizes=[0.1], repeats=2)
    run = _Run(sizes, own, subject, part, part, part, callbacks(tmp_path), ctx)
    assert all(599 in run._order(k)[:12] for k in range(3)), "the only row of a target is among the first"
    points, left_out = run.points(lambda _: None)
    assert ([len(point.outputs) for point in points], left_out) == ([2], [])


def test_groups_are_made_of_no_target() -> None:
    spec = TrainSpec.model_validate(
        {"learner": "network", "threshold": {"groups": ["job", "sex"]}, "reweigh": ["income"]}
    )
    columns = dict.fromkeys(["income", "hours", "job", "sex"], "VARCHAR")
    faults = check_columns(spec, columns, SHARED)
    assert [(fault.path, fault.what) for fault in faults] == [
        ("train.reweigh.0", "'income' is a target, which no group is made of"),
        ("train.threshold.groups.0", "'job' is a target, which no group is made of"),
    ]


def test_a_column_of_groups_has_no_name_of_another_targets_answer() -> None:
    sex = Grouping("prediction_job", "string", levels=("a", "b"))
    decision = Decision(0.5, "f1", None, (sex,), None, 0.0, (0.5, 0.5, 0.5), (0, 0, 0))
    assert [one.name for one in fields_of(decision, [])] == ["prediction_job"]
    with pytest.raises(DataError, match="a column is named 'prediction_job'"):
        fields_of(decision, [], (Further("job", "binary", (0, 1)),))


def test_the_stage_checks_as_well_as_the_settings_do() -> None:
    meta = {"target": "income", "task": "binary", "classes": [0, 1]}
    spec = TrainSpec.model_validate({"learner": "lightgbm"})
    check(spec, meta)
    with pytest.raises(ProjectError, match="the project has 2 targets, and `lightgbm` predicts one"):
        check(spec, {**meta, "further": [Further("hours", "regression").to_json()]})


def fitted(folder: Path, problem: Any = SEVERAL, **params: Any) -> Any:
    own = opened(problem, several(0, 500), several(500, 600), folder, {"epochs": 12, **params})
    own.run()
    return own.model()


@pytest.mark.slow
def test_every_head_learns_and_one_graph_says_all(tmp_path: Path) -> None:
    model, test = fitted(tmp_path, learning_rate=0.02, hidden_size=32), several(600, 1000)
    names = list(SEVERAL.scores)
    digit, odd, ink = run_graph(model.whole, {"features": test.X}, names)
    assert (digit.argmax(axis=1) == test.y).mean() > 0.75
    known = np.isfinite(test.further[:, 0])
    assert ((odd[known, 0] > 0) == test.further[known, 0]).mean() > 0.8
    truth = test.further[:, 1]
    assert np.sqrt(((ink[:, 0] - truth) ** 2).mean()) < 0.6 * truth.std(), "a constant is off by one spread"
    np.testing.assert_array_equal(model.margin(test.X).astype(np.float32), digit)
    assert [value.name for value in model.to_onnx().graph.output] == ["score"]
    assert len(model.to_onnx().graph.node) < len(model.all_onnx().graph.node), (
        "the explained graph is the main one's"
    )


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (fitted(tmp_path / name, epochs=2) for name in ("a", "b"))
    assert (one.whole, one.form.content) == (other.whole, other.form.content)


def test_a_network_of_one_target_has_no_other_graph(tmp_path: Path) -> None:
    own = opened(DIGITS, some(0, 100), some(100, 150), tmp_path)
    own.run()
    assert own.model().whole == b""


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        {"mixup": 0.4, "accumulate": 2, "ema": 0.9, "label_smoothing": 0.1},
        {"precision": "bfloat16", "sampler": "balanced", "optimizer": "sgd"},
        {"learning_rate": 0.01, "check": "stop", "hidden_layers": 2, "combiner": "attention"},
    ],
)
def test_every_way_of_training_takes_several(tmp_path: Path, params: dict[str, Any]) -> None:
    model = fitted(tmp_path, epochs=3, **params)
    assert all(
        np.isfinite(value).all()
        for value in run_graph(model.whole, {"features": some(0, 9).X}, SEVERAL.scores)
    )
    assert model.curves["train_loss"][-1][1] < model.curves["train_loss"][0][1]


def test_the_whole_graph_names_the_outputs_of_each_target(tmp_path: Path) -> None:
    from bessemer.package.graph import GraphBuilder

    model = fitted(tmp_path, epochs=1)
    g = GraphBuilder("prepare")
    g.output(g.op("Identity", [g.input("x", "float32", ("N", 64))], name="features"), "float32", ("N", 64))
    odd, ink = SEVERAL.further
    named = [(replace(odd, name="prediction"), "score_1"), (replace(ink, name="é / %s"), "score_2")]
    # a raw column has one number, this one has all pixels: what is asked here is the part behind it
    whole = assemble(g.model(), model.all_onnx(), Calibration(), "multiclass", list(range(10)), further=named)
    outputs = [value.name for value in whole.graph.output]
    assert outputs[:3] == ["prediction", "probability", "score"]
    assert outputs[3:] == [
        *("prediction_prediction", "probability_prediction", "score_prediction"),
        *("prediction_é / %s", "score_é / %s"),
    ]


def test_keys_are_answers_about_the_main_target_alone() -> None:
    part, keys = several(0, 9), Part(some(20, 22).X, np.zeros(2), np.full(2, 3.0))
    both = with_keys(part, keys, SEVERAL)
    assert both.further is not None
    assert np.isnan(both.further[9:]).all()
    np.testing.assert_array_equal(both.further[:9], part.further)
    assert with_keys(some(0, 9), keys, DIGITS).further is None


def test_parts_are_taken_with_their_targets() -> None:
    taken = several(0, 9).take(np.array([8, 1]))
    np.testing.assert_array_equal(taken.further, several(0, 9).further[[8, 1]])


SHARED = {"target": "income", "task": None, "further": [["hours", None], ["job", None]]}


@pytest.mark.parametrize(
    ("spec", "path", "what"),
    [
        ({}, "train.learner", "the project has 3 targets, and `auto` predicts one"),
        ({"learner": "lightgbm"}, "train.learner", "the project has 3 targets, and `lightgbm` predicts one"),
        ({"automl": "2m"}, "train.automl", "the project has 3 targets, and `automl` predicts one"),
        ({"given": "a.bsm"}, "train.given", "the project has 3 targets, and `given` predicts one"),
        ({"learner": "network", "robust": "pgd"}, "train.robust", "`robust` is about one target"),
        ({"learner": "network", "private": 3}, "train.private", "`private` is about one target"),
        (
            {"learner": "network", "params": {"objective": {"trades": {"beta": 3}}}},
            "train.params.objective",
            "the objective 'trades' is about one target",
        ),
        (
            {"learner": "network", "params": {"objective": "pgd"}},
            "train.params.objective",
            "the objective 'pgd' is about one target",
        ),
        (
            {"learner": "network", "target_weights": {"hour": 2.0}},
            "train.target_weights.hour",
            "'hour' is no target",
        ),
    ],
)
def test_what_has_one_target_says_so_before_anything_is_trained(
    spec: dict[str, Any], path: str, what: str
) -> None:
    (fault,) = check_columns(TrainSpec.model_validate(spec), {}, SHARED)
    assert fault.path == path
    assert fault.what.startswith(what)
    assert fault.fix


def test_one_target_takes_every_learner_and_several_a_network() -> None:
    one = {**SHARED, "further": []}
    assert not check_columns(TrainSpec.model_validate({"automl": "2m"}), {}, one)
    weighed = {"learner": "network", "target_weights": {"income": 2.0, "job": 0.1}}
    assert not check_columns(TrainSpec.model_validate(weighed), {}, SHARED)
    with pytest.raises(ValueError, match="greater than 0"):
        TrainSpec.model_validate({"target_weights": {"job": 0.0}})
