"""`make demo`: who will cancel? From a table to a running platform, with the commands that a user would type.

It generates a project under build/demo, imports a table of 2,000 customers, starts the local platform, trains, predicts
over HTTP, and shows that the gate refuses a worse model and that a promotion and a rollback change the predictions of
the running server. The platform stays up, with links to its pages, until `make demo-down`.
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
sys.path.insert(0, str(REPOSITORY))

from scripts import patience  # noqa: E402
from scripts.customers import COUNT, LEAVING, LOYAL, customers, write_customers  # noqa: E402

PROJECT = "churn-model"
MLP = ".venv/Scripts/mlp" if os.name == "nt" else ".venv/bin/mlp"
DURATION = "about 5 minutes on a machine that is busy with other work, and less on an idle one"
"""Measured at a load of 13 on two cores: benchmarks/README.md."""
COMPARED = 60
"""Customers whose predictions are compared before and after a promotion."""


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
        """The seconds of some parts, or of all."""
        return sum(seconds for name, seconds in self.parts if not names or name in names)


@dataclass
class Shell:
    """Runs commands in the generated project and prints them."""

    project: Path

    def environment(self) -> dict[str, str]:
        foreign = ("VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT")
        env = {name: value for name, value in os.environ.items() if name not in foreign}
        tools = Path(sys.executable).parent
        return env | {"PATH": f"{tools}{os.pathsep}{env.get('PATH', '')}"}

    def __call__(self, *words: str, expect: int = 0, folder: Path | None = None) -> str:
        """Run a command, print and return its standard output; an exit code other than `expect` ends the demo."""
        print(f"\n$ {shlex.join(words)}", flush=True)
        done = subprocess.run(
            self._found(words),
            cwd=folder or self.project,
            env=self.environment(),
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        print(done.stdout, end="", flush=True)
        if done.returncode != expect:
            raise DemoFailed(f"`{shlex.join(words)}` exited with code {done.returncode}, expected {expect}.")
        return done.stdout

    def mlp(self, *words: str, expect: int = 0) -> str:
        return self(MLP, *words, expect=expect)

    def _found(self, words: tuple[str, ...]) -> list[str]:
        return [str(self.project / MLP) if words[0] == MLP else words[0], *words[1:]]

    @contextmanager
    def background(self, *words: str) -> Iterator[None]:
        """Run a server while the block runs."""
        print(f"\n$ {shlex.join(words)} &", flush=True)
        is_windows = os.name == "nt"
        new_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        flags: dict[str, Any] = {"creationflags": new_group} if is_windows else {"start_new_session": True}
        process = subprocess.Popen(
            self._found(words), cwd=self.project, env=self.environment(), stdout=subprocess.DEVNULL, **flags
        )
        try:
            yield
        finally:
            process.terminate() if is_windows else os.killpg(process.pid, 15)
            process.wait(timeout=30)


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


def create_project(shell: Shell, clock: Clock, package_manager: str) -> None:
    """Generate the project and install its packages."""
    with clock.part("generate a project"):
        answers = {"project_name": PROJECT, "data_source": "own", "package_manager": package_manager}
        data = [word for name, value in answers.items() for word in ("--data", f"{name}={value}")]
        copier = str(Path(sys.executable).parent / "copier")
        command = (copier, "copy", "--defaults", "--quiet", "--vcs-ref", "HEAD", *data)
        shell(*command, str(REPOSITORY), str(shell.project), folder=shell.project.parent)
    with clock.part("install its packages"):
        print("\n$ make setup", flush=True)
        if patience.run("Installing", ["make", "setup"], folder=shell.project, env=shell.environment()):
            raise DemoFailed("`make setup` failed; its output is above.")


def import_customers(shell: Shell, clock: Clock) -> list[dict[str, Any]]:
    """Import the table; returns rows to predict, without id and target."""
    with clock.part(f"import {COUNT:,} customers"):
        rows = customers()
        table = shell.project.parent / "customers.csv"
        write_customers(table, rows)
        print(f"\n{table}:")
        for line in table.read_text(encoding="utf-8").splitlines()[:4]:
            print(f"  {line}")
        shell.mlp("data", "import", str(table), "--target", "cancelled", "--id", "customer_id")
        shell("git", "add", "-A")
        shell("git", "commit", "-q", "-m", "data: customers")
    return [{name: None if row[name] == "" else row[name] for name in LOYAL} for row in rows]


def platform_loop(shell: Shell, clock: Clock, rows: list[dict[str, Any]]) -> None:
    """Train a first model, a worse one and another good one through Prefect and MLflow while the server runs."""
    with clock.part("start MLflow, Prefect and the model server"):
        shell.mlp("up", "--auto-ports")
    state = json.loads((shell.project / ".mlp" / "platform.json").read_text(encoding="utf-8"))
    url = state["services"]["models"]["url"]
    with clock.part("train a first model"):
        shell.mlp("train")
        first = wait_for_new_version(url, not_version=None)
    with clock.part("will these two customers cancel?"):
        shown = predict(url, [LOYAL, LEAVING])
        before = predictions(url, rows)
        if len(set(map(str, shown["predictions"]))) != 2:
            raise DemoFailed("the model predicts the same for a loyal customer and for one who is about to leave.")
    with clock.part("a worse model is refused"):
        shell.mlp("train", "model=forest", "model.params.max_depth=1", "model.params.n_estimators=2", expect=1)
        if predictions(url, rows) != before or served_version(url) != first:
            raise DemoFailed("the predictions changed although the gate refused the model.")
        print(f"\nThe gate refused the model; the server still serves version {first}.")
    with clock.part("a better model is promoted: it gives more weight to the few who cancel"):
        shell.mlp("train", "model.class_weight=balanced", "--no-promote")
        shell.mlp("promote")
        second = wait_for_new_version(url, not_version=first)
        after = predictions(url, rows)
        changed = sum(a != b for a, b in zip(before, after, strict=True))
        if not changed:
            raise DemoFailed("the promoted model gives the same predictions as the previous one.")
        print(f"\nThe server now serves version {second}; {changed} of {len(rows)} predictions changed.")
    with clock.part("roll back"):
        shell.mlp("rollback")
        wait_for_new_version(url, not_version=second)
        if predictions(url, rows) != before:
            raise DemoFailed("after the rollback the predictions differ from the earlier ones.")
        print("\nThe predictions are exactly the same as before the promotion.")
    with clock.part("look at the result"):
        shell.mlp("models")


def predictions(url: str, rows: list[dict[str, Any]]) -> list[Any]:
    """Request predictions without printing them."""
    return list(get_json(f"{url}/predict", {"rows": rows})["predictions"])


def wait_for_new_version(url: str, *, not_version: str | None) -> str:
    """Wait until the server has loaded another version."""

    def is_loaded() -> bool:
        try:
            version = get_json(f"{url}/model").get("version")
        except (urllib.error.URLError, OSError, ValueError):
            return False
        return version is not None and str(version) != not_version

    wait_until(is_loaded, "the promotion to reach the server")
    return served_version(url)


def goodbye(shell: Shell, clock: Clock, *, is_up: bool) -> None:
    """Print the times, what is where, and what to do next."""
    print("\nSeconds per part:")
    for name, seconds in clock.parts:
        print(f"  {seconds:6.1f}  {name}")
    total, setup = clock.seconds(), clock.seconds("install its packages")
    print(f"  {total:6.1f}  in total: {setup:.0f} for the installation, {total - setup:.0f} for the rest")
    print(f"""
The project is a git repository of its own: {shell.project}
  src/    features, model and pipeline, for you to change
  conf/   configuration and data contracts
  .mlp/   runs, models and the state of the local platform (not in git)

Try next:
  cd {shlex.quote(str(shell.project))}
  {MLP} models show                           how good the champion is, and where it errs
  {MLP} sweep model=logistic,forest           search hyperparameters
  {MLP} data import YOUR.csv --target COLUMN  your own table instead""")
    if is_up:
        print("\nThe platform is up. `make demo-down`, in this repository, stops it.")
        shell.mlp("status")


def stop(project: Path) -> None:
    """Stop the platform of a demo, even if its environment is gone; nothing happens if none is running."""
    if (project / ".mlp" / "platform.json").is_file():
        command = [sys.executable, "-m", "platform_lib.cli", "down"]
        subprocess.run(command, cwd=project, env=Shell(project).environment(), check=False)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / "build" / "demo", help="deleted first (default: %(default)s)"
    )
    parser.add_argument("--package-manager", choices=["uv", "pdm"], default="uv")
    parser.add_argument("--stop", action="store_true", help="stop the platform at the end, as for CI")
    parser.add_argument("--down", action="store_true", help="only stop the platform of an earlier demo")
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    shell, clock = Shell(folder / PROJECT), Clock()
    stop(shell.project)
    if options.down:
        return
    print(f"A project predicts which customers cancel. This takes {DURATION}.", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    succeeded = False
    try:
        create_project(shell, clock, options.package_manager)
        rows = import_customers(shell, clock)
        platform_loop(shell, clock, rows[:COMPARED])
        goodbye(shell, clock, is_up=not options.stop)
        succeeded = True
    except DemoFailed as err:
        sys.exit(f"\nThe demo stopped: {err}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
    finally:
        if options.stop or not succeeded:
            stop(shell.project)


if __name__ == "__main__":
    main()
