"""The learner `network`: one graph for all inputs, the same bytes, checkpoints, budgets, weights, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from learner_support import check_quantile, check_time_left, check_weights, fit, summary
from network_support import DIGITS, MIXED, TINY, mixed, mixed_problem, opened, some

from bessemer.core.errors import UsageError
from bessemer.testing.learners import check_learner, problem, rows, run_head
from bessemer.train.learner import Part
from bessemer.train.learners.network import Network
from bessemer.train.params import Param

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_thread")
TASKS = pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])


class Quick(Network):
    """The same learner, in a hurry."""

    PARAMS: ClassVar[dict[str, Param]] = {
        **Network.PARAMS,
        **{
            name: replace(Network.PARAMS[name], default=value)
            for name, value in {**TINY, "batch_size": 64}.items()
        },
    }


@pytest.mark.slow
@TASKS
def test_it_conforms(task: Any, tmp_path: Path) -> None:
    check_learner(Quick, task, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"combiner": "attention", "hidden_layers": 0}])
def test_the_graph_says_what_torch_says_for_every_kind_of_input(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    own = opened(mixed_problem(), mixed(200), mixed(100, 1), tmp_path, settings)
    own.run()
    model = own.model()
    X = mixed(60, 2).X
    X[0], X[1, 33:43], X[2, 43:] = np.nan, [3.0, 500.0, -4.0, 0, 0, 0, 0, 0, 0, 0], 1e30
    margin = own.training.judge.margin(own.net, X)
    assert np.isfinite(margin).all()
    for twin in (run_head(model.to_onnx(), X), model.margin(X)):
        assert np.max(np.abs(twin - margin) / np.maximum(1, np.abs(margin))) < 1e-5
    assert {node.domain for node in model.to_onnx().graph.node} == {""}
    assert np.ptp(margin, axis=0).min() > 0.01


@pytest.mark.slow
def test_every_input_counts(tmp_path: Path) -> None:
    """A network of all inputs knows more than one whose inputs are blanked one after the other."""
    train, test = mixed(600), mixed(300, 2)
    params = {**TINY, "batch_size": 50, "epochs": 14, "learning_rate": 0.02}
    model = fit(Network, mixed_problem(), train, mixed(100, 1), tmp_path, params)

    def right(X: np.ndarray) -> float:
        return float(np.mean(model.margin(X).argmax(axis=1) == test.y))

    whole = right(test.X)
    assert whole > 0.8
    for block in MIXED[:2]:
        X = test.X.copy()
        X[:, block.start : block.stop] = np.nan
        assert right(X) < whole - 0.02, block.group


def test_a_column_has_an_encoder_of_its_own(tmp_path: Path) -> None:
    own = opened(mixed_problem(), mixed(50), mixed(50, 1), tmp_path, {"encoders": {"about": "mlp"}})
    names = [type(module).__module__.rpartition(".")[2] for module in own.net.encoders]
    assert names == ["convnet", "text_cnn", "mlp", "mlp"]


def test_another_seed_is_another_network(tmp_path: Path) -> None:
    found = {
        summary(
            fit(
                Network,
                DIGITS,
                some(0, 100),
                some(100, 150),
                tmp_path / str(k),
                TINY,
                seed=lambda label, k=k: k,
            )
        )
        for k in range(2)
    }
    assert len(found) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "settings"),
    [
        (1, {}),
        (8, {"ema": 0.9, "accumulate": 2, "shift": 1, "mixup": 0.3}),
        (10, {"optimizer": "sgd", "sampler": "balanced", "precision": "bfloat16", "learning_rate": "auto"}),
    ],
)
def test_a_fit_that_fell_over_in_the_middle_of_an_epoch_goes_on(
    step: int, settings: dict[str, Any], tmp_path: Path
) -> None:
    """From the last checkpoint, which is every second step; some steps are taken twice, with the same outcome."""

    def go(folder: str, falls_at: int = -1) -> str:
        own = opened(
            DIGITS,
            some(0, 110),
            some(110, 150),
            tmp_path / folder,
            {**settings, "epochs": 8, "checkpoint_steps": 2},
        )
        take, taken = own.training.stepper.take, 0

        def counted(*args: Any) -> float:
            nonlocal taken
            if (taken := taken + 1) > falls_at > 0:
                raise KeyboardInterrupt
            return float(take(*args))

        own.training.stepper.take = counted
        own.run()
        return summary(own.model())

    whole = go("whole")
    for falls_at in (step, step + 1):
        with pytest.raises(KeyboardInterrupt):
            go("fell", falls_at)
    assert go("fell") == whole


def test_a_checkpoint_of_another_fit_is_not_used(tmp_path: Path) -> None:
    first = opened(DIGITS, some(0, 60), some(60, 90), tmp_path)
    first.run()
    other = opened(DIGITS, some(0, 60), some(60, 90), tmp_path, fingerprint="another")
    assert not other.training.resume()
    assert opened(DIGITS, some(0, 60), some(60, 90), tmp_path).training.resume()


def test_parts_of_a_step_add_up_to_the_whole(tmp_path: Path) -> None:
    """Gradients that accumulate are those of the large batch, also where classes weigh differently."""
    of = replace(DIGITS, weights=tuple(0.5 + 0.1 * k for k in range(10)))
    bare = {"image_encoder": {"convnet": {"width": 4, "stages": 1, "dropout": 0}}, "dropout": 0.0}
    sizes = {"large": {"batch_size": 48}, "small": {"batch_size": 16, "accumulate": 3}}
    found = {}
    for name, size in sizes.items():
        own = opened(of, some(0, 100), some(100, 150), tmp_path / name, {**bare, **size})
        own.run()
        found[name] = own.training.judge.margin(own.net, some(150, 200).X)
    np.testing.assert_allclose(found["small"], found["large"], atol=2e-4)
    assert np.ptp(found["small"]) > 0.1


def test_rows_are_read_a_batch_at_a_time(tmp_path: Path) -> None:
    """The training matrix stays on disk, and the model is that of a matrix in memory."""
    part = some(0, 200)
    np.save(tmp_path / "X.npy", part.X)
    asked: list[int] = []

    class Mapped(np.memmap):
        def __getitem__(self, key: Any) -> Any:
            found = super().__getitem__(key)
            asked.append(found.size)
            return found

    mapped = np.load(tmp_path / "X.npy", mmap_mode="r").view(Mapped)
    on_disk = fit(Network, DIGITS, Part(mapped, part.y), some(200, 250), tmp_path / "a", TINY)
    in_memory = fit(Network, DIGITS, part, some(200, 250), tmp_path / "b", TINY)
    assert summary(on_disk) == summary(in_memory)
    assert len(asked) >= 3 * (200 // 16)
    assert max(asked) == 16 * 64


def test_curves_are_told_as_they_grow_and_once_more_after_a_kill(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    fitted = [
        fit(
            Network, DIGITS, some(0, 100), some(100, 150), tmp_path, TINY,
            on_round=lambda name, step, value: told.append((name, step)),
        )
        for _ in range(2)
    ]  # fmt: skip
    epochs = [
        (name, step) for step in (1, 2, 3) for name in ("train_loss", "valid_log_loss", "learning_rate")
    ]
    assert told[:9] == epochs
    assert sorted(told[9:]) == sorted(epochs)
    assert summary(fitted[0]) == summary(fitted[1])
    assert [step for step, _ in fitted[0].curves["train_loss"]] == [1, 2, 3]


@pytest.mark.slow
def test_the_loss_reaches_the_run_and_the_history(train_stage: Callable[..., Any]) -> None:
    params = {**TINY, "check": "note"}
    model, history, emitted = train_stage("binary", learner="network", params=params)
    assert model.meta["learner"] == "network"
    metrics = [(data["name"], data["step"]) for kind, data in emitted if kind == "metric"]
    assert [step for name, step in metrics if name == "train_loss"] == [1, 2, 3]
    assert "network.train_loss" in history.json("history.json")["curves"]
    notes = [data["text"] for kind, data in emitted if kind == "note"]
    assert any(text.startswith("self-check: the network learnt") for text in notes)


def test_it_ends_in_time(tmp_path: Path) -> None:
    check_time_left(Network, tmp_path, after=200, params={**TINY, "epochs": 400})


def test_patience(tmp_path: Path) -> None:
    part = some(0, 100)
    noise = replace(part, y=np.random.default_rng(0).permutation(part.y))
    params = {**TINY, "epochs": 60, "learning_rate": 0.02}
    fitted = fit(Network, DIGITS, part, noise, tmp_path, params, early_stopping=4)
    epochs = len(fitted.curves["valid_log_loss"])
    assert epochs == fitted.iterations + 4 < 60


@pytest.mark.slow
def test_the_best_epoch_ships(tmp_path: Path) -> None:
    from bessemer.train.metrics import output_of

    valid = some(100, 200)
    params = {**TINY, "epochs": 25, "learning_rate": 0.05, "schedule": "constant"}
    fitted = fit(Network, DIGITS, some(0, 100), valid, tmp_path, params)
    curve = dict(fitted.curves["valid_log_loss"])
    assert fitted.iterations == min(curve, key=lambda epoch: curve[epoch])
    value = DIGITS.metric(valid.y, output_of("multiclass", fitted.margin(valid.X)))
    assert value == pytest.approx(curve[fitted.iterations], rel=1e-4)


def test_an_untrained_network_says_the_prior(tmp_path: Path) -> None:
    part = some(0, 300)
    params = {**TINY, "learning_rate": 1e-7, "epochs": 1}
    fitted = fit(Network, DIGITS, part, part, tmp_path, params)
    shares = np.bincount(part.y.astype(int)) / len(part)
    np.testing.assert_allclose(fitted.margin(part.X) - np.log(shares), 0, atol=1e-3)


@pytest.mark.slow
def test_weights_count(tmp_path: Path) -> None:
    params = {**TINY, "batch_size": 100, "epochs": 40, "learning_rate": 0.03, "weight_decay": 0.0}
    check_weights(Network, tmp_path, params, rounds=100)


@pytest.mark.slow
def test_quantiles(tmp_path: Path) -> None:
    params = {**TINY, "epochs": 60, "batch_size": 128, "learning_rate": 0.01, "dropout": 0.0}
    check_quantile(Network, tmp_path, {**params, "table_encoder": {"mlp": {"size": 64}}}, rounds=100)


def test_torchs_own_generator_is_left_alone_and_does_not_matter(tmp_path: Path) -> None:
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        expected = torch.rand(3)
        torch.manual_seed(seed)
        found.append(
            summary(
                fit(Network, DIGITS, some(0, 60), some(60, 90), tmp_path / str(seed), {**TINY, "shift": 1})
            )
        )
        assert torch.equal(torch.rand(3), expected)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"image_encoder": "resnt"}, "did you mean 'resnet'"),
        ({"image_encoder": "text_cnn"}, "those are convnet"),
        ({"image_encoder": {"resnet": {"dept": 18}}}, "it has"),
        ({"image_encoder": {"resnet": {}, "vit": {}}}, "one at a time"),
        ({"encoders": {"photo": "wit"}}, "photo: no encoder is called 'wit'"),
        ({"encoders": {"photo": 3}}, "is not an encoder"),
        ({"learning_rate": "fast"}, "'fast' is not one of auto"),
        ({"learning_rate": 100}, "not between"),
        ({"objective": "pgdd"}, "no objective is called"),
        ({"sampler": "even"}, "shuffled, balanced"),
    ],
)
def test_wrong_parameters_are_faults_of_the_project_file(params: dict[str, Any], said: str) -> None:
    from pydantic import ValidationError

    from bessemer.train.spec import TrainSpec

    with pytest.raises(ValidationError, match=said):
        TrainSpec(learner="network", params=params)


@pytest.mark.parametrize(
    ("of", "params", "said"),
    [
        (mixed_problem(), {"mixup": 0.2}, "do not go together"),
        (problem("regression"), {"sampler": "balanced"}, "is for classes"),
        (mixed_problem(), {"encoders": {"foto": "linear"}}, "'foto' is no image"),
        (mixed_problem(), {"encoders": {"photo": "text_cnn"}}, "no encoder of kind image"),
    ],
)
def test_parameters_that_do_not_fit_the_data(
    of: Any, params: dict[str, Any], said: str, tmp_path: Path
) -> None:
    part = rows("regression", 50) if of.task == "regression" else mixed(50)
    with pytest.raises(UsageError, match=said):
        opened(of, part, part, tmp_path, params)


@pytest.mark.slow
def test_it_reads_digits_better_than_a_straight_line(tmp_path: Path) -> None:
    from bessemer.train.learners.linear import Linear

    train, valid, test = some(0, 1000), some(1000, 1200), some(1200, 1797)
    params = {"image_encoder": {"convnet": {"width": 16}}, "epochs": 10}
    wrong = {
        learner.NAME: np.mean(
            fit(learner, DIGITS, train, valid, tmp_path / learner.NAME, own, rounds=100)
            .margin(test.X)
            .argmax(1)
            != test.y
        )
        for learner, own in ((Network, params), (Linear, {}))
    }
    assert wrong["network"] < 0.6 * wrong["linear"]
