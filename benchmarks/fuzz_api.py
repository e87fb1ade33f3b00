"""Fuzz the whole API of a real server with schemathesis, with every check and with keys.

python -m benchmarks.fuzz_api --examples 200
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from platform_lib.serving.auth.access import Access
from platform_lib.serving.auth.api_keys import KeyRing, new_key
from platform_lib.serving.http.app import create_app
from platform_lib.serving.request_log.recorder import LogSettings, RequestLog
from tests.serving.live import live
from tests.serving.sample_models import FixedSource, fitted, loaded

CONFIGURATION = Path(__file__).parents[1] / "tests" / "serving" / "schemathesis.toml"


def fuzz(folder: Path, examples: int, seed: int) -> subprocess.CompletedProcess[str]:
    """Send `examples` bodies per operation, plus the cases that schemathesis adds; exit code 0 if no check fails."""
    key = new_key(folder / "keys.yaml", "fuzzer", ["predict", "labels", "admin"])
    log = RequestLog(LogSettings(location=str(folder / "log")))
    app = create_app(FixedSource(loaded(fitted())), access=Access(KeyRing(folder / "keys.yaml")), request_log=log)
    try:
        with live(app) as url:
            command = [
                str(Path(sys.executable).with_name("st")),
                "--config-file",
                str(CONFIGURATION),
                "--no-color",
                "run",
                f"{url}/openapi.json",
            ]
            command += [
                "--header",
                f"Authorization: Bearer {key}",
                "--checks",
                "all",
                "--max-examples",
                str(examples),
                "--seed",
                str(seed),
            ]
            return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3600)
    finally:
        log.close()


def main() -> int:
    """Print the summary of schemathesis."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        done = fuzz(Path(folder), arguments.examples, arguments.seed)
    print(done.stdout if done.returncode else done.stdout[done.stdout.index("SUMMARY") :])
    print(f"{time.monotonic() - start:.0f} s, exit code {done.returncode}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
