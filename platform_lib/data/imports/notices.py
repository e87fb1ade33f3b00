"""What people should know about a column of texts, each with the option of `mlp data import` that changes it."""

import re
import shlex

import pyarrow as pa
import pyarrow.compute as pc

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_CLOCK = r"^\d{1,2}:\d\d(:\d\d)?( ?[aApP][mM])?$"
_DATE_LIKE = (
    r"(?i)^(\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2}[./-]\d{4}|.*\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"[a-z]*[ .,-]*'?\d{1,4}\b)"
)
_MANY_WORDS = 4
_MIN_FREE_TEXTS = 20


def text_notices(values: pa.ChunkedArray, name: str) -> list[str]:
    """Notices about a column that stays text.

    Args:
        values: Shape (n,), without surrounding white space, at least one present.
        name: Of the column.
    """
    present = values.drop_null()
    counts = pc.value_counts(present)
    texts, repeats = counts.field("values"), counts.field("counts")
    notices: list[str] = []
    is_number = pc.match_substring_regex(texts, _NUMBER)
    numbers = pc.sum(repeats.filter(is_number)).as_py() or 0
    is_date = pc.match_substring_regex(texts, _DATE_LIKE)
    dates = pc.sum(repeats.filter(is_date)).as_py() or 0
    if 0.5 <= numbers / len(present) < 1:
        notices.append(
            _mixed(values, texts, pc.invert(is_number), name, f"{numbers} of {len(present)} values are numbers")
        )
    elif 0.9 <= dates / len(present) < 1:
        notices.append(
            _mixed(values, texts, pc.invert(is_date), name, f"{dates} of {len(present)} values look like dates")
        )
    elif dates == len(present):
        notices.append(
            f"looks like dates, but {texts[0].as_py()!r:.40} and others cannot be read in one way, so the texts are "
            "kept: write dates as YYYY-MM-DD"
        )
    elif pc.all(pc.match_substring_regex(texts, _CLOCK)).as_py():
        notices.append("times of day are kept as text: make a number of them, such as minutes since midnight")
    elif same := _case_variants(texts):
        notices.append(
            f"{', '.join(map(repr, same))} differ only in upper and lower case, and count as different values"
        )
    elif is_free_text(present):
        notices.append(
            "free text: the default features ignore texts that seldom repeat; use it in features.py, or leave it out "
            f"with --column {shlex.quote(name + ':ignore')}"
        )
    return notices


def looks_like_dates(values: pa.ChunkedArray) -> bool:
    """Whether most texts look like dates, whatever their form."""
    is_date = pc.match_substring_regex(values.drop_null(), _DATE_LIKE)
    return bool(pc.mean(is_date.cast(pa.int64())).as_py() >= 0.9)


def _mixed(values: pa.ChunkedArray, texts: pa.Array, is_other: pa.Array, name: str, what: str) -> str:
    other = texts.filter(is_other)[0].as_py()
    row = pc.index(values, pa.scalar(other, values.type)).as_py()
    option = f"--missing {shlex.quote(f'{name}={other}')}"
    return f"mixed: {what}, but {other!r:.40} in row {row} is not, so all are text ({option} if it means missing)"


def _case_variants(texts: pa.Array) -> list[str]:
    if len(texts) > 200:
        return []
    spellings: dict[str, list[str]] = {}
    for text in texts.to_pylist():
        spellings.setdefault(text.casefold(), []).append(text)
    return next((sorted(same) for same in spellings.values() if len(same) > 1), [])


def is_free_text(values: pa.ChunkedArray) -> bool:
    """Whether texts are sentences that seldom repeat, shape (n,)."""
    present = values.drop_null()
    texts = pc.unique(present)
    if len(texts) < _MIN_FREE_TEXTS or len(texts) < 0.5 * len(present):
        return False
    words = sorted(len(re.findall(r"\w+", text)) for text in texts[:1000].to_pylist())
    return words[len(words) // 2] >= _MANY_WORDS
