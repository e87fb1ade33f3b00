"""Model files for the tests of trust: how they are saved, and how a crafted one is made by editing its schema."""

import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    StandardScaler,
)

GENERATOR = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "age": GENERATOR.normal(size=60),
        "income": np.where(np.arange(60) % 9 == 0, np.nan, GENERATOR.normal(size=60)),
        "town": pd.Series(np.array(list("xyz") * 20, dtype=object), dtype=object),
    }
)
LABELS = np.array(["no", "yes"])[(FRAME["age"] > 0).to_numpy().astype(int)]


def features(encoder: Any = None) -> Any:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (encoder or OneHotEncoder(), ["town"]),
        sparse_threshold=0,
    )


def saved(path: Path, model: Any) -> Path:
    skops.io.dump(model, path)
    return path


def own_model(path: Path) -> Path:
    import ownmodel.features as own_features  # type: ignore[import-not-found]

    model = make_pipeline(own_features.Scale(own_features.Run()), FunctionTransformer(own_features.double), Ridge())
    return saved(path, model)


def forget(own: Path) -> None:
    for marker in ("imported", "ran"):
        (own.parent.parent / marker).unlink()
    for name in [name for name in sys.modules if name.split(".")[0] == "ownmodel"]:
        del sys.modules[name]


def edit(path: Path, change: Callable[[dict[str, Any]], None], extra: dict[str, bytes] | None = None) -> Path:
    """Rewrite the schema inside a model file."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(content["schema.json"])
    change(schema)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**content, "schema.json": json.dumps(schema).encode(), **(extra or {})}.items():
            archive.writestr(name, data)
    return path


def rename(path: Path, old: str, new: str) -> Path:
    """Give nodes of one class or module another."""

    def change(schema: dict[str, Any]) -> None:
        for node in nodes(schema):
            node["__class__"] = new if node["__class__"] == old else node["__class__"]
            node["__module__"] = new if node["__module__"] == old else node["__module__"]

    return edit(path, change)


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "__loader__" in value:
            yield value
        for each in value.values():
            yield from nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from nodes(each)


def text(value: str) -> dict[str, Any]:
    return {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": json.dumps(value),
        "is_json": True,
    }


def node(loader: str, full_name: str, **more: Any) -> dict[str, Any]:
    module, name = full_name.rsplit(".", 1)
    return {"__class__": name, "__module__": module, "__loader__": loader, **more}


def a_list(*items: Any, **more: Any) -> dict[str, Any]:
    return node("ListNode", "builtins.list", content=list(items), **more)


def plant(path: Path, planted: dict[str, Any]) -> Path:
    """Replace the pipeline's `verbose` with a node."""
    return edit(path, lambda schema: schema["content"]["content"].__setitem__("verbose", planted))
