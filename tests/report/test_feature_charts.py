"""Charts of features."""

from xml.etree.ElementTree import fromstring

import pytest

from platform_lib.report.feature_charts import dependence_figures
from platform_lib.training.diagnostics.tables import Dependence


@pytest.mark.parametrize("classes", [2, 5])
def test_the_legend_of_categories_covers_no_point(classes: int) -> None:
    names = [f"class {number}" for number in range(classes)]
    found = Dependence(
        feature="island", kind="category", values=["a", "b"], rows=9, classes=names, means=[[0.9, 0.1]] * classes
    )
    [figure] = dependence_figures([found])

    chart = fromstring(figure.chart.markup())
    [box] = [each for each in chart.iter("rect") if each.get("class") == "behind"]
    dots = [each.get("d", "") for each in chart.iter("path") if "dots" in each.get("class", "")]
    highest = min(float(dot[1:].split("h")[0].split()[1]) for path in dots for dot in path.split("h0") if dot)
    assert highest - 4 > float(box.get("y", "")) + float(box.get("height", ""))
