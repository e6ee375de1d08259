"""Attacks on models that are somewhere else: what is sent, what is paid for it, and how answers are read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from bessemer.attack.outside import inputs_of, pixel_blocks
from bessemer.attack.piecemeal import merged
from bessemer.attack.protocol import Found, share_point
from bessemer.attack.raw_matrix import raw_matrix
from bessemer.attack.surface import Surface
from bessemer.core.constraints import Limit
from bessemer.core.errors import UsageError
from bessemer.core.signature import Field
from bessemer.package.image_pixels import read_image, write_image
from bessemer.package.remote.client import Client, Door
from bessemer.package.remote.purse import Purse, SpentError
from bessemer.package.remote.scores import class_scores

CLASSES = ["no", "yes"]


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_purse_is_kept_to() -> None:
    purse = Purse(most=10)
    purse.take(6)
    with pytest.raises(SpentError, match="6 of 10"):
        purse.take(5)
    purse.take(4)
    assert purse.asked == 10


def test_questions_come_no_faster_than_they_may() -> None:
    clock = Clock()
    purse = Purse(per_second=10, sleep=clock.sleep, clock=lambda: clock.now)
    for _ in range(5):
        purse.take(20)
    assert clock.now == pytest.approx(8.0)  # the fifth twenty begin when the first eighty are paid for


@pytest.mark.parametrize(
    ("value", "second", "more"),
    [
        ({"prediction": "yes", "probability": {"no": 0.25, "yes": 0.75}}, 0.75, True),
        ({"prediction": "yes", "probability": [0.25, 0.75]}, 0.75, True),
        ({"prediction": [0.25, 0.75], "output_0": [0.25, 0.75]}, 0.75, True),
        ([0.25, 0.75], 0.75, True),
        ([[0.25, 0.75]], 0.75, True),
        ({"label": "yes", "probability": 0.75}, 0.75, True),
        ("yes", None, False),
        (1, None, False),
        ({"prediction": "yes"}, None, False),
    ],
)
def test_scores_are_read_as_servers_write_them(value: Any, second: float | None, more: bool) -> None:
    scores, had = class_scores([value], CLASSES)
    assert had.tolist() == [more]
    if second is None:
        assert scores.tolist() == [[0.0, 1.0]]
    else:
        assert np.exp(scores[0]).tolist() == pytest.approx([1 - second, second])


def test_the_class_that_is_said_counts_not_the_most_probable_one() -> None:
    """A server decides by a threshold of its own."""
    scores, _ = class_scores([{"prediction": "yes", "probability": {"no": 0.7, "yes": 0.3}}], CLASSES)
    assert scores.argmax() == 1


def test_truths_are_classes_too() -> None:
    scores, more = class_scores(
        [{"prediction": True, "probability": {"false": 0.2, "true": 0.8}}], [False, True]
    )
    assert (scores.argmax(), more[0]) == (1, True)


def test_an_answer_that_is_no_class_is_refused() -> None:
    with pytest.raises(UsageError, match="none of the classes"):
        class_scores(["maybe"], CLASSES)


class Busy(BaseHTTPRequestHandler):
    """Answers every second request only: to the others it is too busy."""

    asked: ClassVar[list[Any]] = []
    patient: ClassVar[str] = "3"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((body, {name.lower(): value for name, value in self.headers.items()}))
        busy = self.path == "/never" or len(self.asked) % 2 == 1
        text = json.dumps({"predictions": ["no" for _ in body["rows"]]}).encode()
        self.send_response(429 if busy else 200)
        if busy:
            self.send_header("retry-after", self.patient)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def busy() -> Iterator[str]:
    Busy.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_busy_server_is_asked_again_when_it_says(busy: str) -> None:
    clock = Clock()
    door = Door(headers={"x-api-key": "open sesame"})
    client = Client(f"{busy}/predict", [Field("a", "number", "float32")], door, sleep=clock.sleep)
    assert client.ask([{"a": 1.0}] * 40) == ["no"] * 40
    assert clock.now == 6.0
    assert client.purse.asked == 80, "whoever asks again asks once more"
    assert {len(body["rows"]) for body, _ in Busy.asked} == {32, 8}
    assert all(headers["x-api-key"] == "open sesame" for _, headers in Busy.asked)


def test_a_server_that_stays_busy_is_given_up(busy: str) -> None:
    client = Client(f"{busy}/never", [Field("a", "number", "float32")], Door(), sleep=lambda seconds: None)
    with pytest.raises(UsageError, match="429"):
        client.ask([{"a": 1.0}])
    assert len(Busy.asked) == 6


def test_only_what_moved_is_sent_as_something_else() -> None:
    table = pa.table({"n": [2**40 + 1, 5, None], "x": [0.1, 0.2, 0.3], "t": ["a", "b", None]})
    matrix = raw_matrix(inputs_of(table), table, {})
    X = matrix.of(table)
    assert matrix.table(X, table).equals(table)
    X[1, 0] += 2
    X[0, 1] = 7.0
    moved = matrix.table(X, table).to_pydict()
    assert moved["n"] == [2**40 + 1, 7, None]
    assert moved["x"] == [7.0, 0.2, 0.3]
    assert raw_matrix(inputs_of(table), table, {"n": Limit(immutable=True)}).numbers == (inputs_of(table)[1],)


def test_whole_numbers_move_by_whole_steps_and_within_the_budget() -> None:
    one = np.ones(2, dtype=np.float32)
    surface = Surface(
        np.array([0, 1]), 0 * one, 4 * one, -9 * one, 9 * one, 2, None, "", np.array([1, 0], dtype=np.float32)
    )
    base = np.array([[10, 10]], dtype=np.float32)
    moved = surface.moved(base) + np.float32([[0.7, 0.7]])
    assert surface.placed(base, moved).tolist() == [[12.0, pytest.approx(12.8)]]
    assert surface.placed(base, surface.moved(base)).tolist() == base.tolist()


def test_pixels_are_sent_as_levels_of_a_file() -> None:
    image = np.arange(12).reshape(3, 4, 1) / 255
    table = pa.table({"photo": [write_image(image)] * 2})
    matrix = raw_matrix(inputs_of(table), table, {})
    assert matrix.shape == (1, 3, 4)
    X = matrix.of(table)
    X[1, 0] = 50 / 255
    sent = matrix.table(X, table)["photo"].to_pylist()
    assert sent[0] == table["photo"][0].as_py()
    found = read_image(sent[1])
    assert found[0, 0, 0] == pytest.approx(50 / 255)
    assert np.array_equal(found.ravel()[1:], read_image(sent[0]).ravel()[1:])


def test_images_are_found_among_the_features_of_a_package() -> None:
    names = [f"photo[{y},{x}] {c}" for c in ("red", "green", "blue") for y in range(2) for x in range(3)]
    features = [{"name": "age", "group": "age", "kind": "number"}]
    features += [{"name": name, "group": "photo", "kind": "pixel"} for name in names]
    (block,) = pixel_blocks(features)
    assert (block.start, block.stop, block.shape) == (1, 19, (3, 2, 3))


def test_parts_of_a_sample_are_put_together() -> None:
    def found(right: int, stands: int, queries: float) -> Found:
        points = (
            share_point(0.0, right, 2, 0.95, queries=0.0),
            share_point(0.1, stands, 2, 0.95, queries=queries),
        )
        return Found("accuracy", "", 2, points)

    whole = merged([found(2, 1, 10.0), found(1, 1, 40.0)], 0.95, 5)
    assert whole.rows == 4
    assert [point.value for point in whole.curve] == [0.75, 0.5]
    assert whole.curve[1].more["queries"] == pytest.approx((2 * 10 + 40) / 3)
    assert whole.curve[1] == share_point(0.1, 2, 4, 0.95, queries=whole.curve[1].more["queries"])
    assert whole.notes == ("the questions were enough for 4 of 5 rows",)
