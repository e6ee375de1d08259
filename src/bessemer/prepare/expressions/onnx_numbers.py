"""Arithmetic and functions of numbers as ONNX nodes: float64 in, float64 out, NaN for NULL.

onnxruntime has no float64 kernels of the inverse angles and of tan, and no rounding away from zero; they are
made here of what it has, to the last bits of a float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from bessemer.prepare.expressions.emitter import Emitter

#: Functions that are one operator of ONNX.
SIMPLE = {
    "abs": "Abs",
    "floor": "Floor",
    "ceil": "Ceil",
    "negate": "Neg",
    "sign": "Sign",
    "exp": "Exp",
    "sin": "Sin",
    "cos": "Cos",
    "sqrt": "Sqrt",
    "ln": "Log",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
}


def finite(e: Emitter, x: str) -> str:
    """The number with infinity made NaN."""
    return e.where(e.op("IsInf", x), e.missing("number"), x)


def remainder(e: Emitter, x: str, y: str) -> str:
    return e.op("Mod", x, y, fmod=1)


def truncate(e: Emitter, x: str) -> str:
    """Towards zero."""
    return e.op("Mul", e.op("Sign", x), e.op("Floor", e.op("Abs", x)))


def round_away(e: Emitter, x: str) -> str:
    """To the nearest whole number, halves away from zero: |x| - floor(|x|) is exact, so no sum can round up."""
    size = e.op("Abs", x)
    whole = e.op("Floor", size)
    up = e.op("GreaterOrEqual", e.op("Sub", size, whole), e.double(0.5))
    return e.op("Mul", e.op("Sign", x), e.where(up, e.op("Add", whole, e.double(1.0)), whole))


def round_to(e: Emitter, x: str, digits: int) -> str:
    """To decimal digits as DuckDB does it: scaled by a power of ten, rounded, scaled back."""
    factor = e.double(10.0 ** abs(digits))
    there, back = ("Mul", "Div") if digits >= 0 else ("Div", "Mul")
    rounded = e.op(back, round_away(e, e.op(there, x, factor)), factor)
    unfit = e.op("Or", e.op("IsInf", rounded), e.op("IsNaN", rounded))
    return e.where(unfit, x, rounded)


def as_integer(e: Emitter, x: str, bits: int) -> str:
    """To the nearest integer of so many bits, halves to even; NaN where it does not fit."""
    rounded = e.op("Round", x)
    low, high = e.double(-(2.0 ** (bits - 1))), e.double(2.0 ** (bits - 1))
    fits = e.op("And", e.op("GreaterOrEqual", rounded, low), e.op("Less", rounded, high))
    return e.where(fits, rounded, e.missing("number"))


def power(e: Emitter, x: str, y: str) -> str:
    """pow, with NaN for an operand that is NaN also where IEEE 754 says 1, and for a result that is infinite."""
    missing = e.op("Or", e.op("IsNaN", x), e.op("IsNaN", y))
    return e.where(missing, e.missing("number"), finite(e, e.op("Pow", x, y)))


def logarithm(base: float, e: Emitter, x: str) -> str:
    """log to a base: a power of the base gives a whole number exactly, as the C library does."""
    estimate = e.op("Div", e.op("Log", x), e.double(math.log(base)))
    whole = e.op("Round", estimate)
    exact = e.op("Equal", e.op("Pow", e.double(base), whole), x)
    return e.where(exact, whole, estimate)


def tangent(e: Emitter, x: str) -> str:
    return e.op("Div", e.op("Sin", x), e.op("Cos", x))


def angle(e: Emitter, y: str, x: str) -> str:
    """atan2: onnxruntime's float32 atan, then one exact correction in float64.

    If t is near the angle a of (x, y), then tan(a - t) = (y cos t - x sin t) / (x cos t + y sin t); the float32
    estimate is within 1e-6, so that the tangent is its own arc to 1e-18.
    """
    zero = e.double(0.0)
    x, y = (e.where(e.op("Equal", v, zero), zero, v) for v in (x, y))  # a zero with a minus sign loses it
    size = e.op("Max", e.op("Abs", x), e.op("Abs", y))
    size = e.where(e.op("Equal", size, zero), e.double(1.0), size)
    x, y = e.op("Div", x, size), e.op("Div", y, size)
    origin = e.op("And", e.op("Equal", x, zero), e.op("Equal", y, zero))
    ratio = e.cast(e.op("Div", y, e.where(origin, e.double(1.0), x)), "float32")
    estimate = e.cast(e.op("Atan", ratio), "float64")
    half_turn = e.where(e.op("Less", y, zero), e.double(-math.pi), e.double(math.pi))
    estimate = e.op("Add", estimate, e.where(e.op("Less", x, zero), half_turn, zero))
    sine, cosine = e.op("Sin", estimate), e.op("Cos", estimate)
    across = e.op("Sub", e.op("Mul", y, cosine), e.op("Mul", x, sine))
    along = e.op("Add", e.op("Mul", x, cosine), e.op("Mul", y, sine))
    along = e.where(origin, e.double(1.0), along)
    return e.op("Add", e.where(origin, zero, estimate), e.op("Div", across, along))


def _leg(e: Emitter, x: str) -> str:
    """sqrt(1 - x^2), without losing digits near 1; NaN beyond."""
    one = e.double(1.0)
    return e.op("Sqrt", e.op("Mul", e.op("Sub", one, x), e.op("Add", one, x)))


def arc_sine(e: Emitter, x: str) -> str:
    return angle(e, x, _leg(e, x))


def arc_cosine(e: Emitter, x: str) -> str:
    return angle(e, _leg(e, x), x)


def arc_tangent(e: Emitter, x: str) -> str:
    return angle(e, x, e.double(1.0))


#: Functions of one or two numbers that take several nodes.
FUNCTIONS: dict[str, Callable[..., str]] = {
    "finite": finite,
    "remainder": remainder,
    "trunc": truncate,
    "round": round_away,
    "pow": power,
    "log10": lambda e, x: logarithm(10.0, e, x),
    "log2": lambda e, x: logarithm(2.0, e, x),
    "tan": tangent,
    "asin": arc_sine,
    "acos": arc_cosine,
    "atan": arc_tangent,
    "atan2": angle,
}
