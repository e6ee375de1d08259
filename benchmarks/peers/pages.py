"""Tools that describe a table in one HTML page: what each needs, and its program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from peers.environment import made


@dataclass(frozen=True)
class PageTool:
    """title: as the table shows it. requirements: its environment. program: reads argv[1] (Parquet), writes argv[2]."""

    title: str
    requirements: tuple[str, ...]
    program: str


_READ = "import sys\nimport pandas as pd\nframe = pd.read_parquet(sys.argv[1])\n"
TOOLS = {
    "skrub": PageTool(
        "skrub TableReport",
        ("skrub==0.11.0", "pandas>=2.2", "pyarrow", "matplotlib"),
        _READ
        + "from pathlib import Path\n"
        + "from skrub import TableReport\n"
        + "report = TableReport(frame, plot_distributions=True, compute_associations=True)\n"
        + "Path(sys.argv[2]).write_text(report.html())\n",
    ),
    "evidently": PageTool(
        "Evidently DataSummary",
        ("evidently==0.7.23", "pandas<3", "pyarrow"),
        _READ
        + "from evidently import Report\n"
        + "from evidently.presets import DataSummaryPreset\n"
        + "Report([DataSummaryPreset()]).run(frame, None).save_html(sys.argv[2])\n",
    ),
    # its code still imports pkg_resources, which newer setuptools have not
    "ydata": PageTool(
        "ydata-profiling, minimal",
        ("ydata-profiling==4.18.4", "setuptools<81", "pyarrow"),
        _READ
        + "from ydata_profiling import ProfileReport\n"
        + "ProfileReport(frame, minimal=True, progress_bar=False).to_file(sys.argv[2])\n",
    ),
    "sweetviz": PageTool(
        "sweetviz",
        ("sweetviz==2.3.3", "numpy<2", "pandas<3", "setuptools<81", "pyarrow<24"),
        _READ
        + "import sweetviz\n"
        + "sweetviz.analyze(frame, target_feat='target', pairwise_analysis='off').show_html(\n"
        + "    sys.argv[2], open_browser=False)\n",
    ),
}


def python(name: str) -> Path:
    """The interpreter of a tool's environment, which is made when it is not there, or was made of something else.

    Raises:
        CalledProcessError: pip could not.
    """
    return made(f"page-{name}", TOOLS[name].requirements)
