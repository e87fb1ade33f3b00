"""What the receiver has accepted, on disk: each alert once, one retraining per cooldown, none lost by a restart."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from platform_lib.monitoring.retraining.alerts import Alert
from platform_lib.monitoring.retraining.retrain import Reason

Decision = Literal["queued", "known", "cooldown"]
_TABLES = """
CREATE TABLE IF NOT EXISTS episodes (episode TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS runs (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, accepted REAL NOT NULL, reason TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, next_try REAL NOT NULL, outcome TEXT
);
"""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 2.0, 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A retraining that was accepted and is not started yet."""

    key: str
    """Equal for each attempt, so that a service can recognise a repeated one."""
    reason: Reason
    attempts: int
    """Failed ones."""
    next_try: float
    """Seconds since the epoch."""


class Inbox:
    """A SQLite file. All methods may be called from any thread."""

    def __init__(self, file: Path) -> None:
        """Open the file; create it if there is none."""
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.executescript(_TABLES)

    def accept(self, alert: Alert, *, model: str, now: float, cooldown_s: float) -> Decision:
        """Decide on a firing alert, and store the decision before this returns.

        Args:
            alert: A reason to retrain.
            model: That it is about.
            now: Seconds since the epoch.
            cooldown_s: Seconds after an accepted retraining in which no other is accepted.
        Returns:
            `queued` for a new retraining, `known` if a call has brought this alert before, `cooldown` if another alert
            has started a retraining lately.
        """
        with self._open() as database:
            try:
                database.execute("INSERT INTO episodes VALUES (?)", (alert.episode,))
            except sqlite3.IntegrityError:
                return "known"
            latest = database.execute("SELECT max(accepted) FROM runs WHERE model = ?", (model,)).fetchone()[0]
            if latest is not None and now < latest + cooldown_s:
                return "cooldown"
            key = hashlib.sha256(f"{model}/{alert.episode}".encode()).hexdigest()
            reason = msgspec.json.encode(alert.reason()).decode()
            database.execute(
                "INSERT INTO runs (key, model, accepted, reason, next_try) VALUES (?, ?, ?, ?, ?)",
                (key, model, now, reason, now),
            )
            return "queued"

    def waiting(self) -> list[Waiting]:
        """What is not started yet, the next attempt first."""
        with self._open() as database:
            rows = database.execute(
                "SELECT key, reason, attempts, next_try FROM runs WHERE outcome IS NULL ORDER BY next_try"
            ).fetchall()
        return [
            Waiting(key=key, reason=msgspec.json.decode(reason, type=Reason), attempts=attempts, next_try=next_try)
            for key, reason, attempts, next_try in rows
        ]

    def failed(self, run: Waiting, now: float) -> None:
        """Put off the next attempt: by two seconds, then twice as long each time, at most five minutes."""
        wait = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**run.attempts)
        with self._open() as database:
            database.execute(
                "UPDATE runs SET attempts = attempts + 1, next_try = ? WHERE key = ?", (now + wait, run.key)
            )

    def ended(self, run: Waiting, outcome: str) -> None:
        """Store what became of a retraining; it is not started again."""
        with self._open() as database:
            database.execute("UPDATE runs SET outcome = ? WHERE key = ?", (outcome, run.key))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        try:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.commit()
        finally:
            database.close()
