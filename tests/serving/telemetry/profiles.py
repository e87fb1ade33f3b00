"""A reference profile with one numeric and one text column."""

import numpy as np
import pandas as pd

from platform_lib.data.contract import Column, DataContract
from platform_lib.model.artifact import Predictions
from platform_lib.model.profile import Profile, build_profile, parse_profile


def make_profile() -> Profile:
    contract = DataContract(
        name="t",
        path="t.csv",
        task="classification",
        target="y",
        columns={"x": Column(type="number"), "c": Column(type="string"), "y": Column(type="string")},
    )
    frame = pd.DataFrame({"x": np.arange(100.0), "c": pd.Series(["a", "b"] * 50, dtype=object)})
    return parse_profile(
        build_profile(frame, Predictions(np.array(["n", "p"] * 50, dtype=object), None, ("n", "p")), contract)
    )
