"""Words for scores and their differences, without any library."""


def amount(value: float) -> str:
    """A score or a difference with four decimals, or four digits if it is large or tiny."""
    magnitude = abs(value)
    return f"{value:.4f}" if magnitude < 1000 and (magnitude >= 0.001 or magnitude == 0) else f"{value:.4g}"


def gain_text(low: float, high: float) -> str:
    """The interval of a gain in words: `better by 0.01 to 0.03`, `between 0.01 worse and 0.03 better`.

    Args:
        low: Lower end; above 0 is better.
        high: Upper end, ≥ low.
    """
    if amount(low) == amount(high) == amount(0.0):
        return "the same"
    if low >= 0:
        return f"better by {amount(low)} to {amount(high)}"
    if high <= 0:
        return f"worse by {amount(-high)} to {amount(-low)}"
    return f"between {amount(-low)} worse and {amount(high)} better"
