"""What types values have, and which operators go element by element."""

from __future__ import annotations

from collections.abc import Mapping

from bessemer.export.rowwise.program import Type

#: NumPy's name -> ours.
TYPES: Mapping[str, Type] = {
    "float32": "f32",
    "float64": "f64",
    "int64": "i64",
    "int32": "i32",
    "bool": "bool",
    "object": "str",
}

#: Of one row's programs; a language may know fewer, and says so.
EACH = frozenset(
    """Abs Add And Atan Cast Ceil Clip Cos Div Equal Erf Exp Floor Gelu Greater GreaterOrEqual IsInf IsNaN LabelEncoder
    Less LessOrEqual Log Max Min Mod Mul Neg Not Or Pow RegexFullMatch Relu Round Selu Sigmoid Sign Sin Softplus Sqrt
    StringConcat StringNormalizer Sub Tanh Where""".split()  # noqa: SIM905
)
