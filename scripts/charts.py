"""Pull the platform's Helm charts at their pinned versions: `python -m scripts.charts FOLDER`.

The folder serves as `chart_mirror` of an air-gapped site, and as MLP_CHARTS for the tests.
"""

import subprocess
import sys
from pathlib import Path

from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.versions import CHARTS
from platform_lib.infra.kubernetes.helm_service import chart_source


def main(folder: Path) -> None:
    """Pull what is missing in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for chart in CHARTS.values():
        name, repository = chart_source(chart, Mirrors())
        if not (folder / f"{chart.name}-{chart.version}.tgz").is_file():
            command = ["helm", "pull", name, "--version", chart.version, "--destination", str(folder)]
            subprocess.run([*command, "--repo", repository] if repository else command, check=True)
    print(f"MLP_CHARTS={folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
