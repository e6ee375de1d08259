"""torch inside TensorFlow and TensorFlow inside torch: values, and gradients held against differences."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from environments import environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def python() -> Path:
    """Both frameworks side by side, which Bessemer's own environment does not have."""
    return environment("interop", "tensorflow-cpu==2.21.0", "torch==2.13.0", "numpy==2.4.6")


def run(python: Path, script: str) -> str:
    head = (
        "import tensorflow as tf, torch\n"
        "from torch.autograd import gradcheck\n"
        "from bessemer.interop.tensorflow import to_tensorflow, to_torch\n"
        "torch.manual_seed(0); tf.random.set_seed(0)\n"
    )
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [str(python), "-c", head + script], capture_output=True, text=True, env=surroundings
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_tensorflow_inside_torch(python: Path) -> None:
    run(
        python,
        """
w = tf.constant([[1.0, -2.0], [0.5, 3.0], [2.0, 0.25]], tf.float64)
layer = to_torch(lambda x: tf.nn.softplus(x @ w))
x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
assert torch.allclose(layer(x), torch.nn.functional.softplus(x @ torch.tensor(w.numpy())))
assert gradcheck(layer, (x,))
two = to_torch(tf.function(lambda x, y: (x * y, tf.reduce_sum(x ** 2, axis=1))))
y = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
assert gradcheck(two, (x, y))
""",
    )


def test_ids_and_unused_arguments_have_no_gradient(python: Path) -> None:
    run(
        python,
        """
layer = to_torch(lambda table, ids, unused: (tf.gather(table, ids), tf.shape(ids)))
table = torch.randn(4, 3, requires_grad=True)
unused = torch.ones(2, requires_grad=True)
rows, shape = layer(table, torch.tensor([2, 2, 0]), unused)
rows.sum().backward()
assert table.grad.tolist() == [[1.0] * 3, [0.0] * 3, [2.0] * 3, [0.0] * 3], table.grad
assert unused.grad.tolist() == [0.0, 0.0]
assert not shape.requires_grad and shape.tolist() == [3]
try:
    layer(table, [1], unused)
except TypeError as error:
    assert "argument 1 is a list" in str(error)
else:
    raise AssertionError("a list was taken")
""",
    )


def test_a_keras_model_trains_a_torch_layer(python: Path) -> None:
    """Gradients come through a frozen Keras model to weights of torch before it."""
    run(
        python,
        """
keras_model = tf.keras.Sequential([tf.keras.layers.Dense(8, activation="tanh"), tf.keras.layers.Dense(1)])
keras_model.build((None, 4))
front = torch.nn.Linear(3, 4)
behind = to_torch(keras_model)
optimiser = torch.optim.Adam(front.parameters(), 0.05)
x = torch.randn(64, 3)
target = behind(torch.nn.Linear(3, 4)(x)).detach()
losses = []
for _ in range(200):
    optimiser.zero_grad()
    loss = ((behind(front(x)) - target) ** 2).mean()
    loss.backward()
    optimiser.step()
    losses.append(float(loss))
assert losses[-1] < 0.01 * losses[0], (losses[0], losses[-1])
""",
    )


def test_torch_inside_tensorflow(python: Path) -> None:
    run(
        python,
        """
module = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.GELU(), torch.nn.Linear(5, 2)).double()
layer = to_tensorflow(module)
x = tf.constant(torch.randn(6, 3, dtype=torch.float64).numpy())
assert abs(layer(x).numpy() - module(torch.from_numpy(x.numpy())).detach().numpy()).max() < 1e-12
for f in (layer, tf.function(layer)):
    theory, numeric = tf.test.compute_gradient(f, [x])
    assert max(abs(a - b).max() for a, b in zip(theory, numeric)) < 1e-6
assert all(p.grad is None for p in module.parameters())
several = to_tensorflow(lambda x, ids: (x[ids] * 2, ids + 1), [tf.float64, tf.int64])
variable = tf.Variable(x)
with tf.GradientTape() as tape:
    rows, numbers = several(variable, tf.constant([1, 1], tf.int64))
    loss = tf.reduce_sum(rows)
slope = tape.gradient(loss, variable).numpy()
assert slope[1].tolist() == [4.0] * 3 and slope[0].tolist() == [0.0] * 3
assert numbers.numpy().tolist() == [2, 2]
""",
    )


def test_scalars_go_both_ways(python: Path) -> None:
    """What most losses are: tensors of rank 0, in, out, and as gradients."""
    run(
        python,
        """
loss = to_torch(lambda x, scale: scale * tf.reduce_sum(x ** 2))
x = torch.randn(3, dtype=torch.float64, requires_grad=True)
scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
made = loss(x, scale)
assert made.shape == () and gradcheck(loss, (x, scale))
made.backward()
assert scale.grad.shape == () and torch.allclose(x.grad, 3 * x.detach())
assert to_torch(lambda n: n + 1)(torch.tensor(2)).item() == 3
layer = to_tensorflow(lambda x, scale: scale * (x ** 2).sum())
values, factor = tf.constant([1.0, 2.0], tf.float64), tf.constant(0.5, tf.float64)
for f in (layer, tf.function(layer)):
    assert f(values, factor).numpy() == 2.5
    with tf.GradientTape() as tape:
        tape.watch([values, factor])
        total = f(values, factor)
    of_values, of_factor = tape.gradient(total, [values, factor])
    assert of_values.numpy().tolist() == [1.0, 2.0] and of_factor.numpy() == 5.0
""",
    )


def test_there_and_back(python: Path) -> None:
    run(
        python,
        """
there = to_tensorflow(lambda x: torch.sin(x))
back = to_torch(lambda x: there(x) ** 2)
x = torch.randn(4, dtype=torch.float64, requires_grad=True)
assert gradcheck(back, (x,))
""",
    )
