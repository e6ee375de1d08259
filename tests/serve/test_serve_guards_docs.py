"""The page about access names every setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from bessemer.core.spec import Spec
from bessemer.serve.guards import keyfile, spec

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "access.md").read_text("utf-8")
SPECS = [
    one for one in vars(spec).values() if isinstance(one, type) and issubclass(one, Spec) and one is not Spec
]


@pytest.mark.parametrize("section", [*SPECS, keyfile.KeyEntry], ids=lambda section: section.__name__)
def test_every_setting_is_on_the_page_and_described(section: type[Spec]) -> None:
    assert not [name for name in section.model_fields if f"`{name}`" not in PAGE]
    assert all(field.description for field in section.model_fields.values())


def test_every_public_path_is_on_the_page() -> None:
    for path in spec.PUBLIC_PATHS:
        assert path.rpartition("/")[2] in PAGE
