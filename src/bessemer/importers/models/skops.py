"""Models of scikit-learn as skops keeps them (`skops.io.dump`)."""

from __future__ import annotations

from typing import ClassVar

from bessemer.importers.models.foreign import Asked, Foreign
from bessemer.importers.models.sklearn.archive import is_archive, open_archive
from bessemer.importers.models.trees import reading


class Skops:
    """An estimator, or a pipeline that ends in one."""

    TITLE: ClassVar[str] = "skops"

    def recognises(self, head: bytes) -> bool:
        return is_archive(head)

    def read(self, data: bytes, asked: Asked) -> Foreign:
        from bessemer.importers.models.sklearn.boosters import is_lightgbm, of_lightgbm
        from bessemer.importers.models.sklearn.front import front_of
        from bessemer.importers.models.sklearn.models import to_foreign

        with reading("archive of skops"):
            top = open_archive(data)
            if is_lightgbm(top):
                return of_lightgbm(top, asked)
            front, model = front_of(top, asked)
            return to_foreign(model, front, asked)
