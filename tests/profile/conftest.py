"""The hand-made model of the evaluate tests serves here as well."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "evaluate"))
