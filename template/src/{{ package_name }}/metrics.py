"""Metrics of your own. Yours to change.

Each is measured in every training, shown with its standard error, and can be `gate.metric` or the goal of a search.
"""

# import numpy as np
# from numpy.typing import NDArray
# from platform_lib.project import Predictions, metric
#
#
# @metric(greater_is_better=False)
# def cost(truth: NDArray[np.object_], predictions: Predictions) -> float:
#     """Cost per row: a missed case costs 10, a false alarm 1."""
#     missed = (truth == "yes") & (predictions.values == "no")
#     false_alarm = (truth == "no") & (predictions.values == "yes")
#     return float(10 * missed.mean() + false_alarm.mean())
