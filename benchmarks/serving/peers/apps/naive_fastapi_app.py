"""Plain FastAPI program: a pydantic row, a frame of the rows, `predict`."""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, create_model

columns = json.loads(Path("columns.json").read_text())
types = {
    name: str if name in columns["texts"] else int if name in columns["wholes"] else float for name in columns["names"]
}
fields: dict[str, Any] = {
    name: (kind, ...) if columns["plain"] or kind is int else (kind | None, None) for name, kind in types.items()
}
Row = create_model("Row", **fields)


class Request(BaseModel):
    """Rows to predict."""

    rows: list[Row]  # type: ignore[valid-type]


class Answer(BaseModel):
    """One prediction per row."""

    predictions: list[str]


app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/predict")
def predict(request: Request) -> Answer:
    """Predict. A missing string must be NaN, as in training: None would be an unknown category."""
    frame = pd.DataFrame([row.model_dump() for row in request.rows])  # type: ignore[attr-defined]
    if not columns["plain"]:
        frame = frame.fillna(np.nan)
    return Answer(predictions=model.predict(frame).tolist())
