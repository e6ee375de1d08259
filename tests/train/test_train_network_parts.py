"""What the training loop is made of: guard, self-check, averages, samplers, augmentation, the finder of the rate."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learner_support import fit
from network_support import DIGITS, TINY, mixed, mixed_problem, opened, some

from bessemer.core.blocks import Block
from bessemer.core.errors import UsageError
from bessemer.core.spec import Spec
from bessemer.testing.learners import problem
from bessemer.train.learner import Part
from bessemer.train.learners.network import Network

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_thread")


def batch(rows: int = 40, seed: int = 3) -> Any:
    from bessemer.train.networks.batch import Batch

    part = some(0, rows)
    weight = torch.linspace(0.5, 1.5, rows)
    return Batch(torch.from_numpy(part.X), torch.from_numpy(part.y.astype(np.int64)), weight, rows, seed)


# the guard -------------------------------------------------------------------------------------------
class Breaking:
    """The loss, which is no number at some steps, or whose gradient is none."""

    SAMPLER = ""

    class Settings(Spec):
        pass

    def __init__(self, inner: Any, at: set[int], gradient: bool) -> None:
        self._inner, self._at, self._gradient, self._step = inner, at, gradient, 0

    def gradients(self, net: Any, part: Any, loss: Any) -> float:
        value = float(self._inner.gradients(net, part, loss))
        if self._step not in self._at:
            return value
        if not self._gradient:
            return math.nan
        next(net.parameters()).grad.view(-1)[0] = math.inf
        return value

    def finish(self, net: Any, step: int) -> None:
        self._step = step + 1


@pytest.mark.parametrize("gradient", [False, True])
def test_a_step_that_is_no_number_changes_nothing(gradient: bool, tmp_path: Path) -> None:
    from bessemer.train.networks.values import arrays_of

    noted: list[str] = []
    own = opened(DIGITS, some(0, 110), some(110, 150), tmp_path, note=noted.append)
    stepper = own.training.stepper
    stepper._objective = Breaking(stepper._objective, {2, 3, 9}, gradient)
    seen: list[tuple[dict[str, Any], dict[str, Any]]] = []
    take = stepper.take

    def watched(*args: Any) -> float:
        before = arrays_of(own.net)
        loss = float(take(*args))
        seen.append((before, arrays_of(own.net)))
        return loss

    stepper.take = watched
    own.run()
    same = [all(np.array_equal(a[k], b[k]) for k in a) for a, b in seen]
    assert [step for step, still in enumerate(same) if still] == [2, 3, 9]
    assert noted == ["3 steps were left out: their loss or gradient was not finite"]
    fitted = own.model()
    assert fitted.curves["skipped_steps"][-1] == (3, 3.0)
    assert np.isfinite(fitted.margin(some(150, 200).X)).all()


@pytest.mark.slow
def test_too_many_of_them_end_the_training_with_the_best_so_far(tmp_path: Path) -> None:
    part, valid = some(0, 160), some(160, 220)
    own = opened(DIGITS, part, valid, tmp_path / "broken", {"epochs": 20})
    stepper = own.training.stepper
    stepper._objective = Breaking(stepper._objective, set(range(25, 1000)), gradient=False)
    own.run()
    fitted = own.model()
    assert stepper.guard.skipped == 20
    assert len(fitted.curves["valid_log_loss"]) == 5
    whole = opened(DIGITS, part, valid, tmp_path / "whole", {"epochs": 20})
    whole.run()
    assert list(fitted.curves["valid_log_loss"][:2]) == whole.model().curves["valid_log_loss"][:2]


def test_gradients_are_shortened_to_the_largest_norm() -> None:
    from bessemer.train.networks.guard import Guard

    layer = torch.nn.Linear(3, 2)
    for clip, expected in ((1.0, 1.0), (0.0, math.sqrt(8) * 5), (100.0, math.sqrt(8) * 5)):
        for p in layer.parameters():
            p.grad = torch.full_like(p, 5.0)
        assert Guard(layer, clip).admit(0.1)
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in layer.parameters()))
        assert norm == pytest.approx(expected, rel=1e-5)


# the self-check --------------------------------------------------------------------------------------
def checked(part: Part, workdir: Path, **params: Any) -> str:
    noted: list[str] = []
    own = opened(DIGITS, part, some(200, 230), workdir, {"epochs": 1, **params}, note=noted.append)
    own.run()
    return noted[0]


def test_a_network_that_learns_one_batch_passes(tmp_path: Path) -> None:
    said = checked(some(0, 100), tmp_path, check="stop", learning_rate=0.01)
    found = re.match(
        r"self-check: the network learnt 32 rows by heart, loss (\S+) -> (\S+) in \d+ steps", said
    )
    assert found is not None
    first, last = map(float, found.groups())
    assert first == pytest.approx(math.log(10), abs=0.1), "ten classes, of which it knows nothing yet"
    assert last <= first / 4


@pytest.mark.slow
def test_a_network_that_does_not_is_told_of_or_stops(tmp_path: Path) -> None:
    said = r"self-check: the network did not learn 32 rows by heart, loss (2\.\d+) -> \1 in 300 steps"
    with pytest.raises(UsageError) as caught:
        checked(some(0, 100), tmp_path, check="stop", learning_rate=1e-7)
    assert re.fullmatch(said, caught.value.what)
    assert "learning_rate 1e-07" in caught.value.why
    assert "check: note" in caught.value.fix


def test_rows_that_nothing_can_be_learnt_from_are_no_fault(tmp_path: Path) -> None:
    part = some(0, 60)
    alike = Part(np.tile(part.X[:1], (60, 1)), part.y)
    assert "nothing to learn" in checked(alike, tmp_path, check="stop")


def test_few_rows_are_read_at_once_to_find_those_that_differ(tmp_path: Path) -> None:
    from bessemer.train.networks.overfit import _different

    class Watched:
        def __init__(self, X: np.ndarray) -> None:
            self.X, self.read = X, []

        def __getitem__(self, rows: Any) -> np.ndarray:
            self.read.append(len(rows))
            return self.X[rows]

    part = some(0, 60)
    repeated = Part(np.concatenate([np.repeat(part.X[:1], 700, axis=0), part.X]), np.tile(part.y, 13)[:760])
    own = opened(DIGITS, repeated, some(60, 90), tmp_path, {"batch_size": 256})
    watched = Watched(repeated.X)
    batch = _different(replace(own.feed, X=watched))
    assert batch is not None
    assert len(np.unique(batch.X.numpy(), axis=0)) == len(batch) == 32
    assert max(watched.read) <= 32
    assert len(watched.read) > 2


def test_where_the_metric_is_never_a_number_the_last_epoch_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bessemer.train.metrics import Metric

    noted: list[str] = []
    monkeypatch.setattr(Metric, "__call__", lambda *_: math.nan)
    own = opened(DIGITS, some(0, 110), some(110, 150), tmp_path, note=noted.append)
    own.run()
    assert own.training.judge.best_epoch == own.training.state.epoch == 3
    assert noted == ["log_loss of the validation rows was of no epoch a number: the last epoch ships"]


@pytest.mark.slow
def test_the_check_changes_nothing(tmp_path: Path) -> None:
    found = {
        fit(Network, DIGITS, some(0, 80), some(80, 120), tmp_path / check, {**TINY, "check": check}).native()
        for check in ("none", "note")
    }
    assert len(found) == 1


# averages, optimisers, precision ---------------------------------------------------------------------
def test_the_average_of_the_weights_is_what_is_judged_and_ships(tmp_path: Path) -> None:
    own = opened(DIGITS, some(0, 110), some(110, 150), tmp_path, {"ema": 0.8, "learning_rate": 0.02})
    stepper, name = own.training.stepper, "head.outputs.bias"
    expected = own.net.state_dict()[name].double().clone()
    take, taken = stepper.take, 0

    def watched(*args: Any) -> float:
        nonlocal taken, expected
        loss = float(take(*args))
        taken += 1
        decay = min(0.8, (1 + taken) / (10 + taken))
        expected = decay * expected + (1 - decay) * own.net.state_dict()[name].double()
        return loss

    stepper.take = watched
    own.run()
    judged = own.training.judged.state_dict()[name]
    torch.testing.assert_close(judged.double(), expected, rtol=1e-5, atol=1e-6)
    assert (judged - own.net.state_dict()[name]).abs().max() > 1e-4
    own.model()
    assert own.training.judge.best_epoch == 3
    torch.testing.assert_close(own.net.state_dict()[name], judged)


def test_sgd_has_nesterovs_momentum() -> None:
    """On a parabola, whose gradient is known: v = 0.9 v + g, and a step of g + 0.9 v (Sutskever et al. 2013)."""
    from bessemer.train.networks.optimizer import follow, optimizer_of

    layer = torch.nn.Linear(3, 2)
    values = [p.detach().double().numpy().copy() for p in layer.parameters()]
    optimizer, speed = optimizer_of("sgd", layer), [np.zeros_like(v) for v in values]
    for _ in range(6):
        sum((p**2).sum() for p in layer.parameters()).backward()
        follow(optimizer, 0.02, 0.0)
        for k, value in enumerate(values):
            speed[k] = 0.9 * speed[k] + 2 * value
            values[k] = value - 0.02 * (2 * value + 0.9 * speed[k])
    for p, value in zip(layer.parameters(), values, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), value, rtol=1e-4, atol=1e-6)


def test_weights_decay_and_vectors_do_not() -> None:
    from bessemer.train.networks.optimizer import follow, optimizer_of

    for name in ("adamw", "sgd"):
        layer = torch.nn.Linear(3, 2)
        before = [p.detach().clone() for p in layer.parameters()]
        follow(optimizer_of(name, layer), 0.1, 0.5)
        torch.testing.assert_close(layer.weight, before[0] * 0.95)
        torch.testing.assert_close(layer.bias, before[1])


@pytest.mark.slow
def test_bfloat16_is_for_training_alone(tmp_path: Path) -> None:
    """The same start and rows, rounded otherwise in training; what is judged is what the float32 graph says."""
    margin = {}
    for precision in ("float32", "bfloat16"):
        params = {"precision": precision, "learning_rate": 0.01, "epochs": 6}
        own = opened(DIGITS, some(0, 200), some(200, 260), tmp_path / precision, params)
        own.run()
        model = own.model()
        margin[precision] = model.margin(some(260, 300).X)
        np.testing.assert_allclose(
            own.training.judge.margin(own.net, some(260, 300).X), margin[precision], atol=1e-4
        )
    away = np.abs(margin["bfloat16"] - margin["float32"])
    assert 1e-4 < away.mean() < 0.2 * np.abs(margin["float32"]).mean()


# rows, schedules, the rate ---------------------------------------------------------------------------
def test_every_row_once_an_epoch_and_each_epoch_otherwise() -> None:
    from bessemer.train.networks.sampler import Shuffled

    sampler = Shuffled(np.zeros(60), 20, seed=5)
    epochs = [np.concatenate([sampler.rows(3 * e + k) for k in range(3)]) for e in range(3)]
    assert all(sorted(epoch) == list(range(60)) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    np.testing.assert_array_equal(epochs[0][20:40], sampler.rows(1))


def test_a_balanced_sampler_shows_every_class_as_often(tmp_path: Path) -> None:
    from bessemer.train.networks.sampler import Balanced

    y = np.repeat([0.0, 1.0, 2.0], [900, 90, 10])
    drawn = np.concatenate([Balanced(y, 32, seed=5).rows(step) for step in range(300)])
    assert np.bincount(y[drawn].astype(int)).tolist() == [3200, 3200, 3200]
    times = np.bincount(drawn, minlength=1000)
    assert times[:900].max() < 15
    assert times[990:].min() > 250
    params = {**TINY, "sampler": "balanced", "epochs": 4, "learning_rate": 0.02}
    rare = np.concatenate([np.flatnonzero(some(0, 600).y == 1)[:40], np.flatnonzero(some(0, 600).y == 8)[:4]])
    part = some(0, 600).take(rare)
    of = {
        sampler: fit(Network, DIGITS, part, part, tmp_path / sampler, {**params, "sampler": sampler}).margin(
            part.X
        )
        for sampler in ("balanced", "shuffled")
    }
    favour = {name: float((margin[:, 8] - margin[:, 1]).mean()) for name, margin in of.items()}
    assert favour["balanced"] > favour["shuffled"] + 0.3


def test_the_rate_of_each_step_is_the_schedules(tmp_path: Path) -> None:
    from bessemer.train.networks.schedule import rate

    params = {"warmup": 0.25, "schedule": "linear", "learning_rate": 0.008}
    own = opened(DIGITS, some(0, 64), some(64, 90), tmp_path, params)
    take, rates = own.training.stepper.take, []

    def watched(parts: Any, step: int, rate: float) -> float:
        rates.append(rate)
        return float(take(parts, step, rate))

    own.training.stepper.take = watched
    own.run()
    at = (np.arange(12) + 0.5) / 12
    np.testing.assert_allclose(rates, [0.008 * rate("linear", 0.25, a) for a in at], rtol=1e-9)
    assert max(rates) == rates[3]
    assert rates[0] == pytest.approx(0.008 / 6)


@pytest.mark.slow
def test_a_rate_is_found_that_learns(tmp_path: Path) -> None:
    noted: list[str] = []
    params = {"learning_rate": "auto", "epochs": 8}
    own = opened(DIGITS, some(0, 400), some(400, 500), tmp_path, params, note=noted.append)
    own.run()
    found = own.model().params["learning_rate"]
    assert noted == [f"learning rate {found:g}, found by a trial"]
    assert 1e-4 < found < 0.1
    test = some(500, 800)
    assert np.mean(own.model().margin(test.X).argmax(axis=1) == test.y) > 0.7


def test_where_no_rate_helps_the_usual_one_is_taken(tmp_path: Path) -> None:
    noted: list[str] = []
    part = some(0, 60)
    alike = Part(np.tile(part.X[:1], (60, 1)), np.arange(60) % 10.0)
    params = {"learning_rate": "auto", "epochs": 1}
    own = opened(DIGITS, alike, alike, tmp_path, params, note=noted.append)
    own.run()
    assert noted == ["learning rate 0.002, the usual one: the loss of the trial never fell"]


# images as they might have been ----------------------------------------------------------------------
BLOCKS = (Block("image", "image", 0, 64, (1, 8, 8)),)


def augmented(seed: int = 3, **settings: Any) -> tuple[np.ndarray, np.ndarray, Any]:
    from bessemer.train.networks.augment import Augment

    before = batch(seed=seed)
    after = Augment(**settings).apply(before, BLOCKS)
    return before.X.numpy().reshape(-1, 8, 8), after.X.numpy().reshape(-1, 8, 8), after


def test_half_of_the_images_are_mirrored() -> None:
    before, after, _ = augmented(flip=True)
    mirrored = [bool(np.array_equal(b[:, ::-1], a)) for b, a in zip(before, after, strict=True)]
    still = [bool(np.array_equal(b, a)) for b, a in zip(before, after, strict=True)]
    assert all(m or s for m, s in zip(mirrored, still, strict=True))
    assert 10 < sum(mirrored) < 30


def test_images_move_by_whole_pixels() -> None:
    before, after, _ = augmented(shift=2)
    wide = np.pad(before, ((0, 0), (2, 2), (2, 2)), mode="edge")
    moves = []
    for k, image in enumerate(after):
        found = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if np.allclose(wide[k, i : i + 8, j : j + 8], image, atol=1e-5)
        ]
        assert found, k
        moves.append(found[0])
    assert len(set(moves)) > 10


def test_a_turn_of_a_wide_image_is_one_of_pixels() -> None:
    """A half turn, which is exact, of an image that is twice as wide as high; and no turn at all."""
    from bessemer.train.networks.augment import Augment, _warped

    x = torch.arange(32.0).reshape(1, 1, 4, 8)
    turn = np.array([[[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]], dtype=np.float32)
    torch.testing.assert_close(_warped(x, turn, True), x.flip(2, 3))
    square = torch.zeros(1, 1, 16, 32)
    square[0, 0, 6:10, 14:18] = 1.0
    settings = Augment(rotate=45.0)
    for seed in range(4):
        placements = settings._placements(1, (16, 32), np.random.default_rng(seed))
        turned = _warped(square, placements, True)
        assert float(turned.sum()) == pytest.approx(
            16, rel=0.08
        )  # an image that is squeezed has another area


def test_a_crop_shows_a_part_as_large_as_the_whole() -> None:
    before, after, _ = augmented(crop=0.5)
    assert np.abs(before - after).mean() > 0.03
    assert after.min() >= 0
    assert after.max() <= 1 + 1e-6
    flat = augmented(crop=0.5)[2].X.numpy()
    np.testing.assert_array_equal(flat, augmented(crop=0.5)[2].X.numpy())
    assert not np.array_equal(flat, augmented(seed=4, crop=0.5)[2].X.numpy())


def test_a_square_is_blanked() -> None:
    before, after, _ = augmented(cutout=0.5)
    for b, a in zip(before, after, strict=True):
        changed = np.argwhere(~np.isclose(a, b))
        assert (np.ptp(changed, axis=0) <= 3).all()
        np.testing.assert_allclose(a[tuple(changed.T)], b.mean(), rtol=1e-5)


def test_the_loss_of_a_mixture_is_that_of_both_rows() -> None:
    from bessemer.train.networks.batch import Loss

    before, _, after = augmented(mixup=0.5)
    share = after.mixed.share
    loss = Loss("multiclass")
    output = torch.randn(40, 10, generator=torch.Generator().manual_seed(0))
    each = torch.nn.functional.cross_entropy(output, batch().y, reduction="none") * batch().weight
    other = torch.nn.functional.cross_entropy(output, after.mixed.y, reduction="none") * after.mixed.weight
    torch.testing.assert_close(loss.each(output, after), share * each + (1 - share) * other)
    order = [int(np.flatnonzero((batch().weight == w).numpy())[0]) for w in after.mixed.weight]
    mixture = share * before + (1 - share) * before[order]
    np.testing.assert_allclose(after.X.numpy().reshape(-1, 8, 8), mixture, rtol=1e-5)


def test_only_images_are_moved() -> None:
    from bessemer.train.networks.augment import Augment
    from bessemer.train.networks.batch import Batch

    part, of = mixed(30), mixed_problem()
    y = torch.from_numpy(part.y.astype(np.int64))
    before = Batch(torch.from_numpy(part.X), y, torch.ones(30), 30, 7)
    after = Augment(flip=True, shift=1, cutout=0.3).apply(before, of.blocks)
    np.testing.assert_array_equal(after.X[:, 32:], part.X[:, 32:])
    assert not np.array_equal(after.X[:, :32], part.X[:, :32], equal_nan=True)
    np.testing.assert_array_equal(before.X, part.X)


@pytest.mark.parametrize(("task", "smoothing"), [("binary", 0.2), ("multiclass", 0.2), ("regression", 0.0)])
def test_losses_are_the_fields(task: Any, smoothing: float) -> None:
    from bessemer.train.networks.batch import Batch, Loss

    of = problem(task)
    output = torch.randn(6, of.outputs, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 1, 0, 1, 0]) if task != "regression" else torch.linspace(-1, 1, 6)
    rows = Batch(torch.zeros(6, 1), y, torch.ones(6), 6, 0)
    found = Loss(task, None, smoothing).each(output, rows).numpy()
    if task == "regression":
        expected = (y.numpy() - output.numpy()[:, 0]) ** 2
    else:
        margin = output.numpy() if task == "multiclass" else np.c_[np.zeros(6), output.numpy()[:, 0]]
        log_share = margin - np.log(np.exp(margin).sum(axis=1, keepdims=True))
        label = np.eye(margin.shape[1])[y.numpy()] * (1 - smoothing) + smoothing / margin.shape[1]
        expected = -(label * log_share).sum(axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


# wide rows ---------------------------------------------------------------------------------------------
def test_a_graph_is_asked_for_some_wide_rows_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says does not depend on how many, and the parity check still sees every row."""
    from bessemer.core.errors import PackageError
    from bessemer.train import native_model, parity

    X = some(100, 160).X
    fitted = fit(Network, DIGITS, some(0, 60), some(60, 100), tmp_path, TINY)
    whole = fitted.margin(X)
    monkeypatch.setattr(native_model, "_VALUES", 7 * 64)
    monkeypatch.setattr(parity, "_VALUES", 7 * 64)
    np.testing.assert_allclose(fitted.margin(X), whole, atol=1e-6)
    assert parity.check_parity(fitted.to_onnx(), X, whole) < 1e-5
    wrong = whole.copy()
    wrong[58, 3] += 1
    with pytest.raises(PackageError, match="row 58 "):
        parity.check_parity(fitted.to_onnx(), X, wrong)
