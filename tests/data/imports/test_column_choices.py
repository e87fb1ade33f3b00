"""What an import takes, leaves out and warns about, and the options that say otherwise."""

from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib.data.files.formats import CsvFormat
from platform_lib.data.imports.options import ReadingOptions, parse_types
from platform_lib.data.imports.plan import ImportPlan, ImportRequest, plan_import
from platform_lib.errors import UsageError
from platform_lib.settings import Project

ROWS = 80


def table(**columns: Callable[[int], object]) -> str:
    """A CSV of ROWS rows with the given columns, a noisy feature and a target of two classes."""
    columns = {**columns, "noise": lambda row: row * 7919 % 31, "y": lambda row: "pq"[row * 104729 % 7 % 2]}
    lines = [",".join(columns)]
    lines += [",".join(f'"{make(row)}"' for make in columns.values()) for row in range(ROWS)]
    return "\n".join(lines) + "\n"


def reason(done: ImportPlan, name: str) -> str:
    return next(column.reason for column in done.report.columns if column.name == name)


@pytest.fixture
def planned(bare: Project, write: Callable[..., Path]) -> Callable[..., ImportPlan]:
    def plan(content: str, *, columns: tuple[str, ...] = (), **options: object) -> ImportPlan:
        reading = ReadingOptions(types=parse_types(columns), **options)  # type: ignore[arg-type]
        return plan_import(bare, ImportRequest(file=write(content), target="y", options=reading))

    return plan


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("name", ["rownames", "x1", ""])
def test_a_row_number_stays_out_of_the_model(planned: Callable[..., ImportPlan], name: str, start: int) -> None:
    done = planned(table(**{name: lambda row: row + start}))

    name = name or "Unnamed: 0"
    assert name not in done.contract.columns
    assert name in done.table.column_names
    assert any(note.startswith(f"{name}: left out") and f"'{name}:integer'" in note for note in done.report.notes)
    if name != "Unnamed: 0":
        kept = planned(table(**{name: lambda row: row + start}), columns=(f"{name}:integer",))
        assert name in kept.contract.features


def test_numbers_in_another_order_are_no_row_numbers(planned: Callable[..., ImportPlan]) -> None:
    done = planned(table(a=lambda row: ROWS - row, b=lambda row: row + 2, c=lambda row: row // 2))

    assert done.contract.features == ("a", "b", "c", "noise")


def test_the_only_feature_is_kept(planned: Callable[..., ImportPlan]) -> None:
    content = "x,y\n" + "".join(f"{row},{'pq'[row % 2]}\n" for row in range(ROWS))

    assert planned(content).contract.features == ("x",)


def test_a_blank_column_without_a_name_is_dropped(planned: Callable[..., ImportPlan]) -> None:
    done = planned("a,b,,y\n" + "".join(f"{row * 3},{row % 5}, ,{'pq'[row % 2]}\n" for row in range(ROWS)))

    assert done.table.column_names == ["a", "b", "y"]
    assert "Column 3 has no name and no values: dropped." in done.report.notes


@pytest.mark.parametrize("above", ["sep=;\n", "# exported 2026-01-01\n# by hand\n", '"sep=;"\n'])
def test_lines_above_the_header_are_skipped(planned: Callable[..., ImportPlan], above: str) -> None:
    plain = table(a=lambda row: row * 3).replace(",", ";")

    assert planned(above + plain).table.equals(planned(plain).table)


@pytest.mark.parametrize(
    ("cell", "expected", "said"),
    [
        (lambda row: f"${row * 700:,}.00", ("number", CsvFormat(unit="$")), "'$700.00' is read as 700.00 in $"),
        (lambda row: f"{row * 700:,}", ("integer", None), "--decimal , if ',' is the decimal sign"),
        (lambda row: f"{row}%", ("integer", CsvFormat(unit="%")), "'1%' is read as 1 in %"),
        (lambda row: "?" if row == 5 else row * 3, ("integer", CsvFormat(missing=("?",))), "'?' is read as missing"),
        (lambda row: f"{row % 12 + 1}/{row % 28 + 1}/2026", ("datetime", CsvFormat(dates="month-first")), "is read as"),
        (lambda row: f"{row % 12 + 1}/{row % 12 + 1}/2026", ("string", None), "--dates day-first or --dates month"),
        (lambda row: f"2026/{row % 12 + 1}/1", ("datetime", None), "--column a:string keeps the text"),
        (lambda row: f"{row % 24}:30", ("string", None), "times of day are kept as text"),
        (lambda row: ["Yes", "yes", "NO", "no"][row % 4], ("string", None), "'Yes', 'yes' differ only in upper and"),
        (lambda row: f"a long story of the {row}th kind", ("string", None), "free text"),
        (lambda row: "many" if row == 5 else row * 3, ("string", None), "--missing a=many if it means missing"),
        (lambda row: f"20{row % 20:02d}{row % 12 + 1:02d}01", ("datetime", CsvFormat(dates="compact")), "YYYYMMDD"),
    ],
    ids=["$", "1,234", "%", "?", "mdy", "ambiguous", "ymd", "clock", "case", "free text", "mixed", "compact"],
)  # fmt: skip
def test_a_decision_is_reported_with_the_option_that_changes_it(
    planned: Callable[..., ImportPlan], cell: Callable[[int], object], expected: tuple[str, CsvFormat | None], said: str
) -> None:
    done = planned(table(a=lambda row: cell(row + 1)))

    column = done.contract.columns["a"]
    assert (column.type, column.csv) == expected
    assert said in reason(done, "a")


@pytest.mark.parametrize("name", ["zip", "Postal Code", "plz", "ship_zipcode"])
def test_postal_codes_are_texts(planned: Callable[..., ImportPlan], name: str) -> None:
    content = table(**{name: lambda row: 10115 + row % 4})

    assert planned(content).contract.columns[name].allowed == ["10115", "10116", "10117", "10118"]
    assert planned(content, columns=(f"{name}:integer",)).contract.columns[name].type == "integer"


def test_unix_time_needs_a_name_or_an_option(planned: Callable[..., ImportPlan]) -> None:
    content = table(created=lambda row: 1640995200 + row * 86400, other=lambda row: 1640995200 + row * 86400)

    assert [planned(content).contract.columns[name].type for name in ("created", "other")] == ["datetime", "integer"]
    assert planned(content, columns=("other:datetime",)).contract.columns["other"].type == "datetime"


def test_options_say_what_missing_means(planned: Callable[..., ImportPlan]) -> None:
    content = table(a=lambda row: "XL" if row < 9 else row, b=lambda row: "?" if row < 5 else row, c=lambda _: "NA")
    done = planned(content, missing=("a=XL",), not_missing=("b=?", "c=NA"))

    assert [done.table.column(name).null_count for name in "abc"] == [9, 0, 0]
    assert done.contract.columns["a"].csv == CsvFormat(missing=("XL",))
    assert done.contract.columns["b"].type == "string"


@pytest.mark.parametrize(
    ("blank", "classes", "dropped"), [("x", ["None", "p", "q", "x"], 0), ("", ["p", "q"], 40), ("NA", ["p", "q"], 40)]
)
def test_none_is_a_class_where_nothing_else_is_missing(
    planned: Callable[..., ImportPlan], blank: str, classes: list[str], dropped: int
) -> None:
    content = "a,y\n" + "".join(f"{row % 9},{['p', 'None', 'q', blank][row % 4]}\n" for row in range(ROWS))

    done = planned(content)

    assert done.contract.columns["y"].allowed == classes
    assert done.table.num_rows == ROWS - dropped
    assert [text for text in done.report.warnings if "'None'" in text and "missing 'y=" in text]
    assert planned(content, missing=("None",)).contract.columns["y"].allowed == [c for c in classes if c != "None"]


@pytest.mark.parametrize(
    ("feature", "told"),
    [
        (lambda row, label: "2026-01-01" if label == "q" else "", "whether it is missing predicts it with 100%"),
        (lambda row, label: row % 5 + (10 if label == "q" else 0), "alone it predicts it with 100%"),
        (lambda row, label: row % 5 if row % 9 else row % 5 + (10 if label == "q" else 0), None),
        (lambda row, label: f"id-{row}", None),
    ],
    ids=["missingness", "range", "weak", "identifier"],
)
def test_what_alone_gives_the_target_away_is_named(
    planned: Callable[..., ImportPlan], feature: Callable[[int, str], object], told: str | None
) -> None:
    labels = ["pq"[row * 104729 % 7 % 2] for row in range(ROWS)]

    done = planned(table(a=lambda row: feature(row, labels[row])))

    found = [text for text in done.report.warnings if "away" in text]
    assert len(found) == (told is not None)
    assert told is None or (told in found[0] and "--column a:ignore" in found[0])


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (("zip",), "--column is 'zip', expected NAME:TYPE"),
        (("zip:text",), "--column is 'zip:text', expected NAME:TYPE"),
        (("a:strin",), "Did you mean a:string?"),
        (("nois:string",), "Did you mean 'noise'?"),
        (("a:integer",), "--column a:integer: the value 'XL' cannot be read as integer"),
        (("a:datetime",), "cannot be read as datetime"),
        (("a:boolean",), "cannot be read as boolean"),
    ],
)
def test_a_wrong_option_is_refused(planned: Callable[..., ImportPlan], columns: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        planned(table(a=lambda row: "XL" if row == 70 else row), columns=columns)

    assert sentence in str(refused.value)


def test_a_name_that_mlp_predict_writes_is_named(planned: Callable[..., ImportPlan]) -> None:
    done = planned(table(prediction=lambda row: row % 3, probability_p=lambda row: row % 5))

    assert [text.split(" is ")[0] for text in done.report.warnings] == ["'prediction'", "'probability_p'"]
