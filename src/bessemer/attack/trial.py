"""Attacks tried on a victim one after the other, and what is told of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from bessemer.attack.protocol import Attack, Found, Sample, Victim
from bessemer.core.errors import FormatError
from bessemer.core.stage import Context

#: Runs an attack that has not refused.
Run = Callable[[Attack, Victim, Sample, Context, Callable[[], None]], Found]


def plain(attack: Attack, victim: Victim, sample: Sample, ctx: Context, advance: Callable[[], None]) -> Found:
    """All of the sample at once."""
    return attack.attack(victim, sample, ctx, advance)


def tried(
    attacks: Mapping[str, Attack],
    victim: Victim,
    sample: Sample,
    ctx: Context,
    samples: int,
    run: Run = plain,
) -> dict[str, Any]:
    """What each attack has found, by its name, as `attacks` of `robustness.json`; without its settings.

    Args:
        samples: attacked rows that are kept of each. run: how one is run.
    """
    found: dict[str, Any] = {}
    for name, attack in attacks.items():
        if why := attack.refuses(victim):
            found[name] = _left_out(name, attack, why, ctx)
            continue
        try:
            with ctx.progress(name, len(sample)) as bar:
                result = run(attack, victim, sample, ctx, bar.advance)
        except (
            FormatError
        ) as error:  # what is attacked is not what ships: the text says how far apart they are
            found[name] = _left_out(name, attack, error.what, ctx)
            continue
        found[name] = {"kind": attack.kind, **asdict(result), "samples": result.samples[:samples]}
    return found


def _left_out(name: str, attack: Attack, why: str, ctx: Context) -> dict[str, Any]:
    ctx.warn(f"{name} is left out: {why}")
    return {"kind": attack.kind, "refused": why}
