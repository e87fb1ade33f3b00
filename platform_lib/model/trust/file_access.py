"""Keep models from touching files: no step opens a file that a request names, and no fitting cache on a path is used.

Of scikit-learn's constructor parameters, `input` of the text vectorizers and `memory` of pipelines and clustering name
files. A test goes through all estimators and fails on a new parameter of the kind.
"""

import gc
import json
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from platform_lib.errors import UntrustedModel

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_VECTORIZERS = frozenset({"CountVectorizer", "HashingVectorizer", "TfidfVectorizer"})
_OPENS_FILES = ("filename", "file")
# Values that hold no estimators; a function's globals would lead to whole modules.
_LEAVES = (str, bytes, int, float, complex, type, ModuleType, FunctionType, BuiltinFunctionType)


def check_node(node: dict[str, Any], file: str) -> None:
    """Refuse an object in a model file whose attribute `input` makes it open files.

    Args:
        node: A node of the file's schema.
        file: Name of the file, for the message.
    Raises:
        UntrustedModel: It opens files that its input names.
    """
    if node["__loader__"] != "ObjectNode":
        return
    state = node.get("content")
    attributes = state.get("content") if isinstance(state, dict) else None
    if not isinstance(attributes, dict) or "input" not in attributes:
        return
    value = _text(attributes["input"])
    is_vectorizer = node["__module__"] == "sklearn.feature_extraction.text" and node["__class__"] in _VECTORIZERS
    if value in _OPENS_FILES or (is_vectorizer and value != "content"):
        raise _opens_files(f"{file} holds a {node['__class__']}", value)


def check_objects(pipeline: "Pipeline", title: str) -> None:
    """Refuse a pipeline in which a text vectorizer opens files: a crafted file may hide attributes from `check_node`.

    Args:
        pipeline: Loaded, and not yet used.
        title: Of the model, for the message.
    Raises:
        UntrustedModel: A step opens files that its input names.
    """
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

    for found in _objects(pipeline):
        if isinstance(found, CountVectorizer | HashingVectorizer):  # TfidfVectorizer is a CountVectorizer
            value = getattr(found, "input", "content")
            if type(value) is not str or value != "content":
                raise _opens_files(f"{title} holds a {type(found).__name__}", value)


def drop_caches(pipeline: "Pipeline") -> None:
    """Remove the caches of fitting: to fit a loaded pipeline again would read pickles from the cache's folder."""
    caches = {
        name: None
        for name, value in pipeline.get_params(deep=True).items()
        if value is not None and name.rsplit("__", 1)[-1] == "memory"
    }
    if caches:
        pipeline.set_params(**caches)


def _objects(start: Any) -> Iterator[Any]:
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        value = waiting.pop()
        if isinstance(value, _LEAVES) or id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        # NumPy does not tell the garbage collector which objects an array holds.
        waiting.extend(value.ravel().tolist() if _holds_objects(value) else gc.get_referents(value))


def _holds_objects(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == object


def _text(node: Any) -> Any:
    """The value of a JSON node; None for every other node."""
    if not isinstance(node, dict) or node.get("__loader__") != "JsonNode":
        return None
    try:
        return json.loads(node["content"])
    except (KeyError, TypeError, ValueError):
        return None


def _opens_files(what: str, value: Any) -> UntrustedModel:
    return UntrustedModel(
        f"{what} with input={value!r:.40}, so that each prediction would open files that the request names. Use "
        "input='content', and give it the text itself."
    )
