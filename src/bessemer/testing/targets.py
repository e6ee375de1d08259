"""What every target of an export must keep. In a plug-in's own tests, with a loaded `model`:

from bessemer.testing.targets import check_target

def test_my_target(model, tmp_path):
    check_target("my_target", MyTarget, model, tmp_path)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.spec import Spec
from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.export.proof import Proof, compare, not_run
from bessemer.export.protocol import NotRunError, Source, UncarriedError
from bessemer.export.record import files_of
from bessemer.export.samples import samples_of

if TYPE_CHECKING:
    from bessemer.export.protocol import Target
    from bessemer.package.model import Model

KINDS = ("graph", "core", "network", "native")


def check_target(
    name: str,
    kind: type[Target],
    model: Model,
    folder: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    same_bytes: bool = True,
) -> Proof | str:
    """Export a model twice, run it, and hold it against the package.

    Args:
        folder: an empty one. settings: of the target.
        same_bytes: whether two exports must be the same, byte by byte; only where a tool of others cannot.

    Returns:
        the proof, or why the target does not carry the model, which a caller holds against what it expects.

    Raises:
        AssertionError: the target breaks its protocol; the text says how.
    """
    check_declared(name, kind)
    target = kind(kind.Settings.model_validate(dict(settings or {})))
    source = Source(model)
    made: list[Path] = []
    for part in ("one", "two") if same_bytes else ("one",):
        made.append(folder / part)
        made[-1].mkdir(parents=True)
        why = _exported(target, source, made[-1])
        if why:
            assert why == why.strip().rstrip("."), f"{name}: a reason is a clause: {why!r}"
            return why
    _check_files(name, made)
    samples = samples_of(model)
    try:
        answers = target.check(source, made[0], samples)
    except NotRunError as error:
        return not_run(str(error), target.limit)
    proof = compare(model, samples, answers, target.limit)
    assert answers.runtime, f"{name}: which runtime, and its version?"
    assert proof.passed, f"{name}: differs by {proof.difference} in {proof.runtime}, {proof.flips} flips"
    return proof


def check_declared(name: str, kind: type[Target]) -> None:
    """What a target says of itself."""
    assert kind.takes in KINDS, f"{name}: it takes '{kind.takes}'"
    assert not kind.environment or kind.environment in ENVIRONMENTS, (
        f"{name}: no environment '{kind.environment}'"
    )
    assert 0 <= kind.limit < 1, f"{name}: a limit of {kind.limit}"
    assert issubclass(kind.Settings, Spec), f"{name}: its settings are no Spec"
    for setting, field in kind.Settings.model_fields.items():
        assert field.description, f"{name}: the setting '{setting}' has no description"


def _exported(target: Target, source: Source, folder: Path) -> str:
    try:
        if why := target.refuses(source):
            return why
        usage = target.export(source, folder)
    except UncarriedError as error:
        return str(error)
    assert usage.strip(), "nothing says how it is used"
    assert any(files_of(folder)), "nothing was written"
    return ""


def _check_files(name: str, made: list[Path]) -> None:
    """No folder of this machine stands in a file, and the same model gives the same bytes."""
    read: Callable[[Path], dict[str, bytes]] = lambda folder: {  # noqa: E731
        path.relative_to(folder).as_posix(): path.read_bytes() for path in files_of(folder)
    }
    contents = [read(folder) for folder in made]
    for file, content in contents[0].items():
        assert str(made[0]).encode() not in content, f"{name}: a path of this machine stands in {file}"
    for other in contents[1:]:
        assert other.keys() == contents[0].keys(), f"{name}: two exports have other files"
        for file, content in other.items():
            assert content == contents[0][file], f"{name}: {file} is another the second time"
