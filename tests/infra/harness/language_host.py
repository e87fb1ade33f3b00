"""Language host that runs Python programs for the real Pulumi engine.

It replaces Pulumi's own `pulumi-language-python`, which only comes with the download of the command-line tool; the tool
itself can be built from its Go modules (`tests/k8slab/sources/build_pulumi.sh`).

    pulumi-language-python [--option=…] ENGINE_ADDRESS       print the port and serve until the parent exits
    python -m tests.infra.harness.language_host run …        started for each run: the program, connected to the engine
"""

import argparse
import asyncio
import json
import os
import runpy
import signal
import subprocess
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """The engine's door to Python."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def Handshake(self, request: Any, context: Any) -> Any:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="1.0.0")

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:
        return language_pb2.GetRequiredPluginsResponse()

    def InstallDependencies(self, request: Any, context: Any) -> Any:
        return iter(())

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def About(self, request: Any, context: Any) -> Any:
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        return language_pb2.GetProgramDependenciesResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def RunPlugin(self, request: Any, context: Any) -> Any:
        """Run a plugin that is a Python program, such as a policy pack. The engine reads the port from its output."""
        command = [
            _python(request.info),
            str(Path(request.info.program_directory, request.info.entry_point)),
            *request.args,
        ]
        process = subprocess.Popen(
            command, cwd=request.pwd, env=dict(line.split("=", 1) for line in request.env), stdout=subprocess.PIPE
        )
        context.add_callback(process.terminate)
        assert process.stdout is not None
        for line in process.stdout:
            yield language_pb2.RunPluginResponse(stdout=line)
        yield language_pb2.RunPluginResponse(exitcode=process.wait())

    def Run(self, request: Any, context: Any) -> Any:
        """The whole run of a program; what it prints goes where the tool prints."""
        folder = Path(request.info.root_directory or request.pwd)
        settings = {
            "project": request.project,
            "stack": request.stack,
            "parallel": request.parallel,
            "dry_run": request.dryRun,
            "monitor": request.monitor_address,
            "engine": self._engine,
            "organization": request.organization,
            "root_directory": str(folder),
        }
        environment = {
            **os.environ,
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH")])),
        }
        program = Path(request.info.program_directory or request.pwd, request.info.entry_point or request.program)
        command = [
            _python(request.info),
            "-m",
            "tests.infra.harness.language_host",
            "run",
            json.dumps(settings),
            str(program),
        ]
        done = subprocess.run(command, cwd=request.pwd, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        return language_pb2.RunResponse(
            error=f"the program ended with exit code {done.returncode}" if done.returncode else ""
        )


def _python(info: Any) -> str:
    """The interpreter of the environment that a project or policy pack names."""
    named = dict(info.options).get("virtualenv")
    return str(Path(info.root_directory, named, "bin", "python")) if named else sys.executable


def run(settings: dict[str, Any], program: str) -> None:
    """Run a program as a stack of the engine."""
    import pulumi
    from pulumi.runtime import get_config_env, get_config_secret_keys_env, set_all_config
    from pulumi.runtime.stack import run_in_stack

    set_all_config(get_config_env(), get_config_secret_keys_env())
    pulumi.runtime.configure(pulumi.runtime.Settings(**settings))
    folder = program if Path(program).is_dir() else str(Path(program).parent)
    sys.path.insert(0, folder)
    sys.argv = [program]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(run_in_stack(lambda: runpy.run_path(program, run_name="__main__")))
    except pulumi.RunError as err:  # Pulumi's own host shows its message alone too
        sys.exit(f"error: {err}")


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["run"]:
        run(json.loads(arguments[1]), arguments[2])
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    given, _ = parser.parse_known_args(arguments)
    server = grpc.server(futures.ThreadPoolExecutor(4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(given.engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    signal.signal(signal.SIGINT, lambda *_: server.stop(0))  # how the engine ends its plugins
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1:])
