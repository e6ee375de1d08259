"""What the project file may say about the report."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bessemer.core.spec import Spec


class ReportSpec(Spec):
    """Settings of the report stage.

    >>> ReportSpec().theme
    'auto'
    """

    title: str | None = Field(None, description="The page's title; the project's name where left out.")
    theme: Literal["auto", "light", "dark"] = Field(
        "auto", description="Colours of the page when it is opened; auto follows the reader's system."
    )
    samples: int = Field(
        20,
        ge=0,
        le=1000,
        description="how many single values are shown of a text, an identifier, a broken rule, a doubted row; 0: none",
    )
    whatif: int = Field(
        1500,
        ge=0,
        le=20_000,
        description="the most kilobytes that the model, compressed, may take in the page, which then predicts "
        "changed rows by itself; 0: none",
    )
    server: str | None = Field(
        None,
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$",
        description="a server of this model, as http://localhost:8080, that the page may ask when its reader says "
        "so; without it the page cannot connect to anything",
    )
