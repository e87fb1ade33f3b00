"""An interval."""

import msgspec


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A 95 % interval."""

    low: float
    high: float
