"""Parts of dates and times: the library's own `DateParts`."""

from typing import Any

import numpy as np

from platform_lib.serving.fastpath.blocks import Kind, NotCovered, Numbers, Step, TransformerFamily


def _date_parts(fitted: Any, kind: Kind) -> Step:
    if kind != "times":
        raise NotCovered(f"its input is {kind}")
    parts = tuple(fitted.parts)
    if set(parts) - set(_PARTS):
        raise NotCovered("it has unknown parts")

    def transform(block: Any) -> Numbers:
        missing = np.isnat(block)
        has_gaps = bool(missing.any())
        times = np.where(missing, np.datetime64(0, "us"), block) if has_gaps else block
        out = np.empty((len(block), block.shape[1], len(parts)))
        for position, part in enumerate(parts):
            out[:, :, position] = _PARTS[part](times)
        if has_gaps:
            out[missing] = np.nan
        return out.reshape(len(block), -1)

    return Step(transform)


def _days(times: Any) -> Any:
    return times.astype("datetime64[D]")


_PARTS = {
    "year": lambda times: times.astype("datetime64[Y]").astype(np.int64) + 1970,
    "month": lambda times: times.astype("datetime64[M]").astype(np.int64) % 12 + 1,
    "day": lambda times: (_days(times) - times.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1,
    "weekday": lambda times: (_days(times).astype(np.int64) + 3) % 7,  # 1970-01-01 was a Thursday
    "hour": lambda times: (times - _days(times)) // np.timedelta64(1, "h"),
}

TRANSFORMERS: TransformerFamily = {"platform_lib.project.transformers.DateParts": _date_parts}
