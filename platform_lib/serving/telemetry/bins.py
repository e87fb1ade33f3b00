"""Count live rows per bin of the reference profile, over all worker processes. Prometheus rules detect drift.

Each process counts in its own memory-mapped file, and `scrape` sums the files. The counts of a process that dies stay,
so that no counter ever decreases.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from platform_lib.files import write_atomically
from platform_lib.model.profile import Bins, Profile, bin_of

PREDICTION = "prediction"
"""Feature name of the prediction's bins; `prediction of the model` if a column has this name."""
_KEPT_VERSIONS = 3
"""Versions whose series are kept: canary, current and previous. It limits the number of series."""


@dataclass(frozen=True, slots=True)
class BinCount:
    """One series."""

    version: str
    feature: str
    bin: str
    count: int
    reference_share: float


class BinCounter:
    """This process's counts for one version. One thread counts."""

    def __init__(self, folder: Path, version: str, profile: Profile) -> None:
        self._columns: list[tuple[str, int]] = []
        self._profile = profile
        labels: list[tuple[str, str, float]] = []
        own = PREDICTION if PREDICTION not in profile.features else "prediction of the model"
        for name, bins in [*profile.features.items(), (own, profile.prediction)]:
            self._columns.append((name, len(labels)))
            labels += [(name, label, share) for label, share in zip(bins.labels, bins.shares, strict=True)]
        _keep_latest(folder, version)
        stem = f"bins-{_file_part(version)}"
        write_atomically(folder / f"{stem}.json", json.dumps({"version": version, "labels": labels}))
        path = folder / f"{stem}-{os.getpid()}.counts"
        if not path.is_file():
            write_atomically(path, b"\0" * 8 * len(labels))
        self._counts = np.asarray(np.memmap(path, dtype=np.int64, mode="r+", shape=(len(labels),)))
        self._numbers = _NumberBins(
            {name: (bins, start) for (name, start), bins in self._listed() if bins.kind == "number"}
        )
        self._others = [
            (name, start, bins, _places(bins)) for (name, start), bins in self._listed() if bins.kind != "number"
        ]

    def _listed(self) -> Iterator[tuple[tuple[str, int], Bins]]:
        return zip(self._columns, [*self._profile.features.values(), self._profile.prediction], strict=True)

    def tally(self, columns: Mapping[str, Sequence[Any]], predictions: Sequence[Any]) -> NDArray[np.int64]:
        """Count n rows per bin, in any thread; pass the result to `add`.

        Args:
            columns: By feature, n values.
            predictions: n predictions.
        Returns:
            Counts of shape (bins of all features,).
        """
        values = {**columns, self._columns[-1][0]: predictions}
        found: list[int] = []
        for name, start, bins, places in self._others:
            if bins.kind == "time":
                found += [start + bin_of(bins, value) for value in values[name]]
            else:
                other = len(bins.values)
                found += [
                    start + (places[value] if value in places else _trimmed_place(places, value, other))
                    for value in values[name]
                ]
        indices = np.concatenate((np.array(found, dtype=np.intp), self._numbers.indices(values)))
        return np.bincount(indices, minlength=len(self._counts)).astype(np.int64, copy=False)

    def add(self, tally: NDArray[np.int64]) -> None:
        """Add the result of `tally`. Only one thread may do this."""
        np.add(self._counts, tally, out=self._counts)

    def count(self, columns: Mapping[str, Sequence[Any]], predictions: Sequence[Any]) -> None:
        """Count n rows: by feature n values, and n predictions."""
        self.add(self.tally(columns, predictions))


class _NumberBins:
    """Finds the bins of all numeric columns at once."""

    def __init__(self, columns: Mapping[str, tuple[Bins, int]]) -> None:
        self._names = list(columns)
        longest = max((len(bins.edges) for bins, _ in columns.values()), default=0)
        self._edges = np.full((len(columns), longest, 1), np.inf)
        for place, (bins, _) in enumerate(columns.values()):
            self._edges[place, : len(bins.edges), 0] = bins.edges
        self._starts = np.array([start for _, start in columns.values()], dtype=np.intp).reshape(-1, 1)
        self._missing = np.array([len(bins.shares) - 1 for bins, _ in columns.values()], dtype=np.intp).reshape(-1, 1)

    def indices(self, columns: Mapping[str, Sequence[Any]]) -> NDArray[np.intp]:
        """Do what `bin_of` does for each value, by comparing all values with all edges."""
        if not self._names:
            return np.empty(0, dtype=np.intp)
        values = np.array([columns[name] for name in self._names], dtype=np.float64)
        places = (values[:, None, :] >= self._edges).sum(axis=1)
        return (np.where(np.isnan(values), self._missing, places) + self._starts).ravel()


def _places(bins: Bins) -> dict[Any, int]:
    """Return the bin by value, as requests and predictions represent values."""
    places: dict[Any, int] = {text: place for place, text in enumerate(bins.values)}
    if bins.kind == "boolean":
        places |= {False: 0, True: 1}
    else:
        # Labels that are not strings: 3, 3.0 and true, as `category_text` writes them.
        places |= {int(text): place for text, place in list(places.items()) if _is_whole(text)}
        places |= {is_true: places[text] for is_true, text in ((False, "false"), (True, "true")) if text in places}
    places[None] = len(bins.shares) - 1
    return places


def _trimmed_place(places: Mapping[Any, int], value: Any, other: int) -> int:
    """Return the bin of a text as the model sees it: `data.frame` removes white space, and a blank text is missing."""
    return places.get(value.strip() or None, other) if isinstance(value, str) else other


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"0|-?[1-9][0-9]*", text) is not None


def read_counts(folder: Path) -> Iterator[BinCount]:
    """Yield all series, including those at zero, summed over the processes."""
    for file in sorted(folder.glob("bins-*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        labels = document["labels"]
        total = np.zeros(len(labels), dtype=np.int64)
        for counts in folder.glob(f"{file.stem}-*.counts"):
            part = np.fromfile(counts, dtype=np.int64)
            if len(part) == len(total):
                total += part
        for (feature, label, share), count in zip(labels, total.tolist(), strict=True):
            yield BinCount(document["version"], feature, label, count, share)


def _keep_latest(folder: Path, version: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    others = [file for file in folder.glob("bins-*.json") if file.stem != f"bins-{_file_part(version)}"]
    for file in sorted(others, key=lambda other: other.stat().st_mtime)[: -(_KEPT_VERSIONS - 1)]:
        file.unlink(missing_ok=True)
        for counts in folder.glob(f"{file.stem}-*.counts"):
            counts.unlink(missing_ok=True)


def _file_part(version: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", version)
