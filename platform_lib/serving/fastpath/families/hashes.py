"""Hashed texts of sensitive columns: the library's own `HashedTexts`."""

from typing import Any

from platform_lib.serving.fastpath.blocks import Kind, NotCovered, Step, Texts, TransformerFamily


def _hashed_texts(fitted: Any, kind: Kind) -> Step:
    from platform_lib.project.transformers import hashed_text  # imported with the model

    if kind != "texts":
        raise NotCovered(f"its input is {kind}")
    salt = fitted.salt

    def transform(block: Texts) -> Texts:
        return [[None if value is None else hashed_text(value, salt) for value in values] for values in block]

    return Step(transform, "texts")


TRANSFORMERS: TransformerFamily = {"platform_lib.project.transformers.HashedTexts": _hashed_texts}
