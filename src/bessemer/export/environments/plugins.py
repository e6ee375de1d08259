"""The environments, by name. `NAME.txt` (Python) or `NAME/` (Node) beside this file says what is in one."""

from __future__ import annotations

from collections.abc import Mapping

from bessemer.export.environments.place import Environment

ENVIRONMENTS: Mapping[str, Environment] = {}
