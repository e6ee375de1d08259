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
