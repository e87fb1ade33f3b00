"""Pictures are drawn from the tables alone, without a display, and say what they show."""

import subprocess
import sys
from collections.abc import Callable
from io import BytesIO

import msgspec
import pytest
from PIL import Image

from platform_lib.training.diagnostics.build import diagnose
from platform_lib.training.diagnostics.pictures.draw import draw_pictures
from tests.training.diagnostics.tables_of_rows import Fitted, numbers, three_classes, two_classes

BOTH = {"importance", "dependence", "slices"}
CLASSES = {"confusion", "roc", "precision_recall", "calibration", "scores"} | BOTH
NUMBERS = {"predicted_actual", "residuals", "residual_histogram", "errors"} | BOTH


@pytest.mark.parametrize(
    ("made", "expected"), [(two_classes, CLASSES | {"thresholds"}), (three_classes, CLASSES), (numbers, NUMBERS)]
)
def test_each_task_has_its_pictures(made: Callable[[], Fitted], expected: set[str]) -> None:
    fitted = made()
    found = diagnose(fitted.pipeline, fitted.rows, metric="mae" if made is numbers else "log_loss", slices=["city"])

    drawn, failed = draw_pictures(found)

    assert failed == {}
    assert {picture.file for picture, _ in drawn} == {f"diagnostics/{name}.png" for name in expected}
    for picture, content in drawn:
        image = Image.open(BytesIO(content))
        assert image.format == "PNG"
        assert 200 < image.height < 1200
        assert 500 < image.width < 1300
        assert image.info["Description"] == picture.description
        assert picture.description.endswith(".")
        assert _colours(image) > 20, picture.file
    assert sum(len(content) for _, content in drawn) < 500_000


def _colours(image: Image.Image) -> int:
    return len(image.convert("RGB").getcolors(maxcolors=1_000_000) or [])


def test_signs_of_mathematics_in_names_are_shown_as_they_are() -> None:
    made = two_classes()
    names = {"strong": r"price_$^{\x$", "city": "a_b^c$"}
    found = diagnose(made.pipeline, made.rows, metric="log_loss")
    assert found.importances is not None
    features = [
        msgspec.structs.replace(part, feature=names.get(part.feature, part.feature))
        for part in found.importances.features
    ]
    renamed = msgspec.structs.replace(found, importances=msgspec.structs.replace(found.importances, features=features))

    _, failed = draw_pictures(renamed)

    assert failed == {}


def test_computing_the_tables_does_not_load_matplotlib() -> None:
    script = (
        "import sys\n"
        "from tests.training.diagnostics.tables_of_rows import two_classes\n"
        "from platform_lib.training.diagnostics.build import diagnose\n"
        "import platform_lib.training.diagnostics.store\n"
        "made = two_classes(rows=300, held_out=100)\n"
        "diagnose(made.pipeline, made.rows, metric='log_loss')\n"
        "print('matplotlib' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.split()[-1] == "False"
