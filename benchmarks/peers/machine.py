"""What a benchmark ran on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """The processor, its cores, the memory and this Python."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(memory),
        "python": sys.version.split()[0],
    }
