"""The customers of a made-up telephone company, some of whom cancel: the table of `make demo`."""

import csv
import math
import random
from pathlib import Path
from typing import Any

COUNT, SEED = 2000, 7
LOYAL = {
    "months": 61,
    "contract": "two years",
    "plan": "basic",
    "monthly_charge": 24.9,
    "support_calls": 0,
    "late_payments": 0,
    "data_gb": 3.5,
    "region": "north",
}
LEAVING = {
    "months": 2,
    "contract": "monthly",
    "plan": "premium",
    "monthly_charge": 68.4,
    "support_calls": 6,
    "late_payments": 2,
    "data_gb": 31.0,
    "region": "coast",
}
_CHARGE = {"basic": 22.0, "plus": 38.0, "premium": 59.0}
_CONTRACT = {"monthly": 0.9, "yearly": -0.6, "two years": -1.8}


def customers(count: int = COUNT, seed: int = SEED) -> list[dict[str, Any]]:
    """Make up customers; the same seed gives the same ones.

    New customers with monthly contracts, high bills and many calls to the support cancel more often, and those who call
    often more so where the bill is high, which a linear model cannot express.
    """
    draw = random.Random(seed)
    return [_customer(draw, number) for number in range(1, count + 1)]


def write_customers(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the table as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _customer(draw: random.Random, number: int) -> dict[str, Any]:
    months = int(draw.expovariate(1 / 26)) + 1
    contract = draw.choices(list(_CONTRACT), weights=(5, 3, 2))[0]
    plan = draw.choices(list(_CHARGE), weights=(4, 4, 2))[0]
    charge = round(_CHARGE[plan] + draw.gauss(0, 5), 2)
    calls = min(9, int(draw.expovariate(1 / 1.6)))
    late = min(5, int(draw.expovariate(1 / 0.7)))
    score = _CONTRACT[contract] - 0.02 * months + 0.035 * (charge - 35) + 0.45 * late
    score += 0.35 * calls * (1.6 if charge > 45 else 0.5) - 1.4
    cancelled = draw.random() < 1 / (1 + math.exp(-score))
    return {
        "customer_id": f"C{number:05d}",
        "months": months,
        "contract": contract,
        "plan": plan,
        "monthly_charge": charge,
        "support_calls": calls,
        "late_payments": late,
        "data_gb": round(draw.lognormvariate(2, 0.8), 1) if draw.random() > 0.04 else "",
        "region": draw.choice(("north", "south", "coast", "city")),
        "cancelled": "yes" if cancelled else "no",
    }
