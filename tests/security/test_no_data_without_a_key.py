"""No value of the data reaches anybody without a key, and no value of a sensitive column leaves the process at all.

A table of invented people is imported, trained on and served with the real commands. Everything that they write or
answer is then searched for the table's cells.
"""

import csv
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as parquet
import pytest

from platform_lib.cli import main
from platform_lib.data.contract import read_contract
from platform_lib.serving.auth.api_keys import new_key
from platform_lib.settings import Project
from tests.waiting import wait_until

SENSITIVE = ("name", "email", "phone", "iban", "diagnosis")
ROWS = 120


def people(rows: int = ROWS) -> list[dict[str, str]]:
    """Invented people. Every text is unlike anything that a program writes by itself."""
    dice = random.Random(0)
    firsts = [
        "Adeline",
        "Bertrand",
        "Chiara",
        "Dmitri",
        "Esperanza",
        "Farouk",
        "Gudrun",
        "Hiroshi",
        "Ingeborg",
        "Jovan",
    ]
    lasts = ["Quillfeather", "Oberhauser", "Castellanos", "Vandermeer", "Nakagawa", "Petrovic", "Lindqvist", "Mbeki"]
    table = []
    for number in range(rows):
        first, last = dice.choice(firsts), dice.choice(lasts)
        digits = f"{dice.randrange(10**18):018d}"
        check = 98 - int(f"{digits}131400") % 97
        ill = dice.random() < 0.4
        table.append(
            {
                "customer": str(870_000 + number),
                "name": f"{first} {last}",
                "email": f"{first}.{last}{number}@mailbox.example".lower(),
                "phone": f"+49 {dice.randrange(150, 180)} {dice.randrange(10**6, 10**7)}",
                "iban": f"DE{check:02d}{digits}",
                "diagnosis": dice.choice(["Sarcoidosis", "Narcolepsy", "Psoriasis"]) if ill else "Wellbeing",
                "district": dice.choice(["Kreuzkamp", "Lerchenau", "Moosgrund"]),
                "visits": str(dice.randrange(1, 40)),
                "balance": f"{dice.uniform(-5000, 90000):.2f}",
                "outcome": "readmitted" if ill and dice.random() < 0.8 else "discharged",
            }
        )
    return table


@dataclass(frozen=True)
class Ward:
    """The project that was trained on the table, and what the commands printed."""

    project: Project
    rows: list[dict[str, str]]
    printed: dict[str, str]
    """By command."""

    def texts(self, *columns: str) -> set[str]:
        """Cells that are texts, without numbers, which occur everywhere."""
        names = columns or tuple(self.rows[0])
        return {row[name] for row in self.rows for name in names if re.search(r"[A-Za-z+]", row[name])}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory, generate: Any) -> Ward:
    folder = tmp_path_factory.mktemp("ward")
    project: Project = generate(folder / "project")
    rows = people()
    with (folder / "ward.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    commands = {
        "import": [
            "data", "import", str(folder / "ward.csv"), "--target", "outcome", "--id", "customer",
            "--sensitive", "diagnosis",
        ],
        "train": ["train", "--allow-dirty", "gate.thresholds={}", "slices=[district,diagnosis]"],
        "show": ["models", "show", "1"],
        "show --rows": ["models", "show", "1", "--rows"],
        "show --json": ["models", "show", "1", "--json"],
    }  # fmt: skip
    return Ward(project, rows, {name: said(project, *arguments) for name, arguments in commands.items()})


def said(project: Project, *arguments: str) -> str:
    """Run a command in this process, where the libraries are loaded; return all that it prints."""
    printed = StringIO()
    with chdir(project.root), redirect_stdout(printed), redirect_stderr(printed), pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert not ended.value.code, printed.getvalue()
    return printed.getvalue()


@dataclass(frozen=True)
class Server:
    """`mlp serve`, ready."""

    url: str
    metrics_url: str
    key: str
    output: Path

    @property
    def keyed(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def serving(ward: Ward, folder: Path, *arguments: str) -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    output, keys = folder / "output.txt", folder / "keys.yaml"
    key = new_key(keys, "ward", ["predict", "admin"])
    command = [sys.executable, "-m", "platform_lib.cli", "serve", "--port", "0", "--metrics-port", "0"]
    command += ["--keys", str(keys), *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with (
        output.open("wb") as file,
        subprocess.Popen(command, cwd=ward.project.root, stdout=file, stderr=file, env=environment) as process,
    ):

        def said(pattern: str) -> str | None:
            assert process.poll() is None, output.read_text()
            match = re.search(pattern, output.read_text(encoding="utf-8"))
            return match[1] if match else None

        try:
            url = wait_until(lambda: said(r"on (http://\S+), described"), "the address")
            metrics = wait_until(lambda: said(r"Metrics on (http://\S+)\.\n"), "the metrics' address")
            wait_until(lambda: said(r"(Try:\n.*\n)"), "the example request")
            yield Server(url, metrics, key, output)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture(scope="module")
def server(ward: Ward, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("keyed")
    with serving(ward, folder, "--log", str(folder / "log")) as server:
        yield server


def found(text: str, values: set[str]) -> list[str]:
    return sorted(value for value in values if value in text)


def row_of(ward: Ward, number: int = 0) -> dict[str, Any]:
    row: dict[str, Any] = {name: value for name, value in ward.rows[number].items() if name != "outcome"}
    return row | {"visits": int(row["visits"]), "balance": float(row["balance"]), "customer": int(row["customer"])}


OPEN_PATHS = (
    "/openapi.json", "/docs", "/docs/start.js", "/healthz", "/readyz", "/readyz/pod", "/ping", "/version", "/v2", "/v2/health/live",
    "/v2/health/ready", "/v2/models/sample-model/ready", "/v2/models/other/ready", "/nothing", "/model",
    "/v2/models/sample-model", "/labels", "/predict", "/metrics",
)  # fmt: skip


def test_what_is_open_holds_no_text_of_the_table(ward: Ward, server: Server) -> None:
    for path in OPEN_PATHS:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = httpx.get(server.url + path, headers=headers)
            assert not found(answer.text, ward.texts()), path
    document = httpx.get(f"{server.url}/openapi.json").text
    assert "known-values" not in document and "Seen in training" not in document


def test_errors_before_the_key_hold_no_text_of_the_table(ward: Ward, server: Server) -> None:
    bodies = [b"{", b'{"rows": []}', json.dumps({"rows": [{"district": "?"}]}).encode()]
    for path in ("/predict", "/invocations", "/v2/models/sample-model/infer", "/labels"):
        for body in bodies:
            answer = httpx.post(server.url + path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 401, path
            assert not found(answer.text, ward.texts()), path


def test_the_start_output_holds_no_text_of_the_table_and_its_request_works(ward: Ward, server: Server) -> None:
    text = server.output.read_text(encoding="utf-8")
    assert not found(text, ward.texts())
    command = re.search(r"^curl .*$", text, re.MULTILINE)
    assert command is not None
    words = shlex.split(command[0].replace("$KEY", server.key))
    headers = dict(words[place + 1].split(": ") for place, word in enumerate(words) if word == "-H")
    answer = httpx.post(words[2], headers=headers, content=words[words.index("-d") + 1].encode())
    assert answer.status_code == 200, answer.text


def test_a_key_shows_the_example_and_known_values_but_nothing_sensitive(ward: Ward, server: Server) -> None:
    example = httpx.get(f"{server.url}/model", headers=server.keyed).json()["example"]
    assert example["district"] in ward.texts("district")
    assert httpx.post(f"{server.url}/predict", headers=server.keyed, json={"rows": [example]}).status_code == 200
    document = httpx.get(f"{server.url}/openapi.json", headers=server.keyed)
    row = document.json()["components"]["schemas"]["Row"]["properties"]
    assert set(row["district"]["x-known-values"]) == ward.texts("district")
    for path in ("/model", "/openapi.json", "/v2/models/sample-model"):
        text = httpx.get(server.url + path, headers=server.keyed).text
        assert not found(text, ward.texts(*SENSITIVE)), path


def test_log_metrics_and_errors_hold_no_value_of_a_sensitive_column(ward: Ward, server: Server, tmp_path: Path) -> None:
    hidden = ward.texts(*SENSITIVE)
    sent = [row_of(ward, number) for number in range(30)]
    answer = httpx.post(f"{server.url}/predict", headers=server.keyed, json={"rows": sent})
    assert answer.status_code == 200 and not found(answer.text, hidden)
    for name in SENSITIVE:
        bad = {**sent[0], name: [sent[0][name]]}
        answer = httpx.post(f"{server.url}/predict", headers=server.keyed, json={"rows": [bad]})
        assert answer.status_code == 422 and name in answer.json()["detail"]
        assert not found(answer.text, hidden), name
    metrics = httpx.get(server.metrics_url).text
    assert 'feature="district"' in metrics
    assert not found(metrics, hidden)
    assert not [name for name in SENSITIVE if f'feature="{name}"' in metrics]
    log = server.output.parent / "log"

    def logged() -> list[Path]:
        return list(log.rglob("*.parquet"))

    wait_until(logged, "the request log", timeout_s=60)
    tables = [parquet.read_table(file).to_pydict() for file in logged()]
    assert "Moosgrund" in str(tables)
    assert not found(str(tables), hidden)
    assert not found(server.output.read_text(encoding="utf-8"), hidden)


def test_the_store_holds_no_value_of_a_sensitive_column(ward: Ward) -> None:
    store = ward.project.root / ".mlp"
    hidden = {value.encode() for value in ward.texts(*SENSITIVE)}
    files = [file for file in store.rglob("*") if file.is_file()]
    names = {file.name for file in files}
    assert {"model.skops", "input_example.json", "answers.json", "evaluation.json", "diagnostics.json"} <= names
    assert "reference_rows.json" in names
    for file in files:
        content = file.read_bytes()
        assert not [value for value in hidden if value in content], file.relative_to(store)


def test_the_contract_and_the_commands_show_no_value_of_a_sensitive_column(ward: Ward) -> None:
    hidden = ward.texts(*SENSITIVE)
    contract = read_contract(ward.project.root / "conf" / "data" / "ward.yaml")
    assert {name for name, column in contract.columns.items() if column.sensitive} == set(SENSITIVE)
    shown: Mapping[str, str] = {
        "contract": (ward.project.root / "conf" / "data" / "ward.yaml").read_text(encoding="utf-8"),
        **ward.printed,
    }
    for command, text in shown.items():
        assert "diagnosis" in text or command == "train", command
        assert not found(text, hidden), command
