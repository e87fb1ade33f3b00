"""`make demo`: from a clone to predictions, with the commands that a user would type, each printed before it runs.

It generates a project under build/demo, trains on the sample table, serves the model and predicts. It then imports a
larger table under DVC, starts the local platform, and shows that the gate refuses a worse model and that a promotion
and a rollback change the predictions of the running server.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
PENGUIN = {
    "island": "Biscoe",
    "bill_length_mm": 48.2,
    "bill_depth_mm": 14.3,
    "flipper_length_mm": 210,
    "body_mass_g": 4600,
    "sex": None,
    "year": 2009,
}


class DemoFailed(Exception):
    """A step did not do what the demo shows."""


@dataclass
class Clock:
    """Records the seconds of each part, for the table at the end."""

    parts: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        print(f"\n━━ {name} " + "━" * max(0, 76 - len(name)), flush=True)
        start = time.monotonic()
        yield
        self.parts.append((name, time.monotonic() - start))

    def seconds(self, *names: str) -> float:
        return sum(seconds for name, seconds in self.parts if name in names)


@dataclass
class Shell:
    """Runs commands in the generated project and prints them."""

    project: Path
    runner: str
    """`uv` or `pdm`."""

    def environment(self) -> dict[str, str]:
        foreign = ("VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT")
        env = {name: value for name, value in os.environ.items() if name not in foreign}
        tools = Path(sys.executable).parent
        return env | {"PATH": f"{tools}{os.pathsep}{env.get('PATH', '')}"}

    def __call__(self, *words: str, expect: int = 0, folder: Path | None = None) -> str:
        """Run a command, print and return its standard output; an exit code other than `expect` ends the demo."""
        print(f"\n$ {shlex.join(words)}", flush=True)
        done = subprocess.run(
            words, cwd=folder or self.project, env=self.environment(), stdout=subprocess.PIPE, text=True, check=False
        )
        print(done.stdout, end="", flush=True)
        if done.returncode != expect:
            raise DemoFailed(f"`{shlex.join(words)}` exited with code {done.returncode}, expected {expect}.")
        return done.stdout

    def mlp(self, *words: str, expect: int = 0) -> str:
        return self(self.runner, "run", "mlp", *words, expect=expect)

    @contextmanager
    def background(self, *words: str) -> Iterator[None]:
        """Run a server while the block runs."""
        print(f"\n$ {shlex.join(words)} &", flush=True)
        flags: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if os.name == "nt"
            else {"start_new_session": True}
        )
        process = subprocess.Popen(words, cwd=self.project, env=self.environment(), stdout=subprocess.DEVNULL, **flags)
        try:
            yield
        finally:
            if os.name == "nt":
                process.terminate()
            else:
                os.killpg(process.pid, 15)
            process.wait(timeout=30)


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise DemoFailed(f"waited {timeout_s:.0f} s for {what}, without success.")
        time.sleep(0.1)


def get_json(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def is_ready(url: str) -> bool:
    try:
        get_json(f"{url}/readyz")
    except (urllib.error.URLError, OSError, ValueError):
        return False
    return True


def predict(url: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Request predictions from the running server, and print the request as a user would type it."""
    body = json.dumps({"rows": rows})
    shown = body if len(body) < 400 else body[:360] + " …"
    print(f"\n$ curl -s {url}/predict -H 'Content-Type: application/json' -d '{shown}'", flush=True)
    answer: dict[str, Any] = get_json(f"{url}/predict", {"rows": rows})
    text = json.dumps(answer)
    print(text if len(text) < 600 else text[:560] + " …")
    return answer


def served_version(url: str) -> str:
    return str(get_json(f"{url}/model")["version"])


def first_loop(shell: Shell, clock: Clock) -> None:
    """Train on the sample table, serve and predict, without any other server."""
    with clock.part("train on the sample"):
        shell.mlp("train")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with clock.part("serve and predict"), shell.background(shell.runner, "run", "mlp", "serve", "--port", str(port)):
        wait_until(lambda: is_ready(url), "the model server")
        if predict(url, [PENGUIN])["predictions"] != ["Gentoo"]:
            raise DemoFailed("the model trained on the sample no longer predicts Gentoo for a Gentoo penguin.")


def write_digits(path: Path) -> list[dict[str, Any]]:
    """Write the larger table: scikit-learn's 1,797 handwritten digits of 8 × 8 pixels. Returns 60 rows to predict."""
    from sklearn.datasets import load_digits

    images = load_digits(as_frame=True)
    images.frame.rename(columns={"target": "digit"}).to_csv(path, index=False)
    rows: list[dict[str, Any]] = images.data.head(60).to_dict(orient="records")
    return rows


def larger_table(shell: Shell, clock: Clock) -> list[dict[str, Any]]:
    with clock.part("import a larger table under DVC"):
        table = shell.project.parent / "digits.csv"
        rows = write_digits(table)
        shell.mlp("data", "import", str(table), "--target", "digit")
        shell("git", "add", "-A")
        shell("git", "commit", "-q", "-m", "data: digits")
        shell.mlp("data", "push")
    return rows


def platform_loop(shell: Shell, clock: Clock, rows: list[dict[str, Any]]) -> None:
    """Train a first model, a worse one and a better one through Prefect and MLflow while the server runs."""
    with clock.part("start the local platform"):
        shell.mlp("up", "--auto-ports")
    state = json.loads((shell.project / ".mlp" / "platform.json").read_text(encoding="utf-8"))
    url = state["services"]["models"]["url"]
    with clock.part("train through Prefect and MLflow"):
        shell.mlp("train", "model=forest", "model.params.max_depth=4", "model.params.n_estimators=20", "--new-baseline")
        first = wait_for_new_version(url, not_version=None, columns=set(rows[0]))
        before = predict(url, rows)["predictions"]
    with clock.part("a worse model is refused"):
        shell.mlp("train", "model=forest", "model.params.max_depth=1", "model.params.n_estimators=2", expect=1)
        if predict(url, rows)["predictions"] != before or served_version(url) != first:
            raise DemoFailed("the predictions changed although the gate refused the model.")
        print(f"\nThe gate refused the model; the server still serves version {first}.")
    with clock.part("a better model is promoted"):
        shell.mlp("train", "model=logistic", "model.params.C=0.01", "--no-promote")
        shell.mlp("promote")
        second = wait_for_new_version(url, not_version=first, columns=set(rows[0]))
        after = predict(url, rows)["predictions"]
        changed = sum(a != b for a, b in zip(before, after, strict=True))
        if not changed:
            raise DemoFailed("the promoted model gives the same predictions as the previous one.")
        print(f"\nThe server now serves version {second}; {changed} of {len(rows)} predictions changed.")
    with clock.part("roll back"):
        shell.mlp("rollback")
        wait_for_new_version(url, not_version=second, columns=set(rows[0]))
        if predict(url, rows)["predictions"] != before:
            raise DemoFailed("after the rollback the predictions differ from the earlier ones.")
        print("\nThe predictions are exactly the same as before the promotion.")
    with clock.part("look at the result"):
        shell.mlp("models")
        shell.mlp("lineage")
        shell.mlp("status")


def wait_for_new_version(url: str, *, not_version: str | None, columns: set[str]) -> str:
    """Wait until the server has loaded a version that has the table's columns."""

    def is_loaded() -> bool:
        try:
            model = get_json(f"{url}/model")
        except (urllib.error.URLError, OSError, ValueError):
            return False
        is_new = model.get("version") is not None and str(model["version"]) != not_version
        return is_new and columns == set(model.get("columns", columns))

    wait_until(is_loaded, "the promotion to reach the server")
    return served_version(url)


def goodbye(shell: Shell, clock: Clock) -> None:
    project = shell.project
    print("\nSeconds per part:")
    for name, seconds in clock.parts:
        print(f"  {seconds:6.1f}  {name}")
    total = sum(seconds for _, seconds in clock.parts)
    setup = clock.seconds("create its environment")
    loop = clock.seconds("generate a project", "train on the sample", "serve and predict")
    print(f"  {total:6.1f}  in total, {setup:.1f} of it for the installation")
    print(f"From generating the project to the first served prediction: {loop:.1f} s, without the installation.")
    print(f"""
What is where:
  {project}              the generated project, a git repository of its own
  {project}/src          features, model and pipeline, for you to change
  {project}/conf         configuration and data contracts
  {project}/.mlp         runs, models and the state of the local platform (not in git)

Next steps, in that folder:
  {shell.runner} run mlp data import YOUR.csv --target COLUMN      import your own table
  {shell.runner} run mlp sweep model=logistic,forest               search hyperparameters
  {shell.runner} run mlp up                                        start MLflow, Prefect and the server on default ports
  {shell.runner} run jupyter lab notebooks/explore.ipynb           explore in a notebook (first add jupyterlab)
""")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / "build" / "demo", help="deleted first (default: %(default)s)"
    )
    parser.add_argument("--package-manager", choices=["uv", "pdm"], default="uv")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    stop_earlier(folder / "demo-model")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shell, clock = Shell(folder / "demo-model", options.package_manager), Clock()
    try:
        with clock.part("generate a project"):
            answers = ["--data", "project_name=demo-model", "--data", f"package_manager={options.package_manager}"]
            settings = ["--defaults", "--quiet", "--vcs-ref", "HEAD", *answers]
            shell("copier", "copy", *settings, str(REPOSITORY), str(shell.project), folder=folder)
        with clock.part("create its environment"):
            shell("make", "setup")
        first_loop(shell, clock)
        rows = larger_table(shell, clock)
        try:
            platform_loop(shell, clock, rows)
        finally:
            shell.mlp("down")
    except DemoFailed as err:
        sys.exit(f"\nThe demo stopped: {err}")
    goodbye(shell, clock)


def stop_earlier(project: Path) -> None:
    """Stop the platform that an interrupted demo may have left running."""
    if (project / ".mlp" / "platform.json").is_file():
        Shell(project, "uv").mlp("down")


if __name__ == "__main__":
    main()
