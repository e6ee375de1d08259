"""The order of classes, and which of two is the positive one."""

from __future__ import annotations

from collections.abc import Sequence

from bessemer.core.errors import DataError, Fault, ProjectError, did_you_mean

Class = bool | int | str

#: Words of which the second is what people ask about.
_PAIRS = (
    ("false", "true"), ("f", "t"), ("no", "yes"), ("n", "y"), ("off", "on"), ("0", "1"), ("-1", "1"),
    ("negative", "positive"), ("neg", "pos"), ("-", "+"), ("absent", "present"), ("benign", "malignant"),
    ("ham", "spam"), ("good", "bad"), ("normal", "abnormal"), ("normal", "anomaly"), ("legitimate", "fraud"),
    ("stayed", "churned"), ("stay", "churn"), ("retained", "churned"), ("active", "churned"), ("paid", "default"),
    ("healthy", "sick"), ("alive", "dead"), ("survived", "died"), ("pass", "fail"), ("passed", "failed"),
    ("ok", "error"), ("loser", "winner"), ("lost", "won"), ("loss", "win"), ("rejected", "accepted"),
)  # fmt: skip
_NEGATION = ("not ", "not_", "not-", "no ", "no_", "no-", "non ", "non_", "non-", "non", "un")


def ordered(values: Sequence[Class]) -> list[Class]:
    """Classes in the order of their index; of two, the positive one is the last.

    >>> ordered(["yes", "no"]), ordered([">50K", "<=50K"]), ordered(["spam", "not spam"])
    (['no', 'yes'], ['<=50K', '>50K'], ['not spam', 'spam'])
    """
    classes = sorted(values)
    if len(classes) == 2 and all(isinstance(c, str) for c in classes):
        first, second = (str(c).strip().lower() for c in classes)
        negated = any(second == prefix + first for prefix in _NEGATION)
        if (second, first) in _PAIRS or negated:
            classes.reverse()
    return classes


def label(value: Class) -> str:
    """A class as text, as it is shown and used as a key.

    >>> label(True), label(3), label("a")
    ('true', '3', 'a')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_case(classes: Sequence[Class], target: str) -> None:
    """
    Raises:
        DataError: two classes differ only in upper and lower case.
    """
    groups: dict[str, list[str]] = {}
    for name in map(label, classes):
        groups.setdefault(name.lower(), []).append(name)
    twice = [" and ".join(f"'{name}'" for name in group) for group in groups.values() if len(group) > 1]
    if twice:
        shown = "; ".join(twice[:5]) + (f" and {len(twice) - 5} more" if len(twice) > 5 else "")
        raise DataError(
            f"classes of '{target}' differ only in case: {shown}",
            why="outputs are named by their classes, and upper and lower case are the same to SQL",
            fix=f'write each one way, as with `acquire: {{sql: ...}}`: lower("{target}")',
        )


def with_positive(classes: list[Class], positive: Class | None) -> list[Class]:
    """The classes of a binary target with the wanted one last.

    Raises:
        ProjectError: the target has no such class, or more than two.
    """
    if positive is None:
        return classes
    found = [c for c in classes if label(c) == label(positive)]
    if len(classes) != 2:
        what = f"`positive` is for two classes, the target has {len(classes) or 'none'}"
        raise ProjectError([Fault("annotate.positive", None, what, "leave it out")])
    if not found:
        what = f"the target has no class '{label(positive)}'"
        raise ProjectError(
            [Fault("annotate.positive", None, what, did_you_mean(label(positive), map(label, classes)))]
        )
    return [c for c in classes if c is not found[0]] + found
