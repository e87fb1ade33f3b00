"""The list of all prediction protocols. Add a codec here and it has routes, metrics and documentation."""

from platform_lib.serving.protocols.codec import Codec
from platform_lib.serving.protocols.mlflow import MlflowCodec
from platform_lib.serving.protocols.open_inference import OpenInferenceCodec
from platform_lib.serving.protocols.rows import RowsCodec

CODECS: tuple[Codec, ...] = (RowsCodec(), MlflowCodec(), OpenInferenceCodec())
