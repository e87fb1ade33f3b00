"""Build and run images for real: buildah builds in its own store, crun runs the result.

As in a cluster, crun runs an OCI container with its own process, mount and host namespaces, a read-only root, no
capabilities, no new privileges and the image's user. Not covered: seccomp profiles, cgroup limits, and a registry's
pull. There is no image registry: mmdebstrap makes the base image once from Debian's packages, and it is kept in
~/.cache/mlp-engines. Needs root.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engines import FOLDER, need_engine

PROGRAMS = ("buildah", "crun", "mmdebstrap")


def need_image_engines() -> None:
    """Skip, or fail in CI, if one of the programs or root is missing."""
    for name in PROGRAMS:
        need_engine(name)
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("REQUIRE_ENGINES") else pytest.skip)("root is needed to build and run images")


def base_tarball() -> Path:
    """A minimal Debian of this machine's release with its Python, as one archive.

    Created once, from the package source that this machine uses.
    """
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines() if "=" in line
    )
    suite = release["VERSION_CODENAME"].strip('"')
    target = FOLDER.parent / f"base-{suite}-python3.tar"
    if not target.is_file():
        named = [
            Path("/etc/apt/sources.list"),
            *(Path("/etc/apt/sources.list.d") / f"{name}.sources" for name in ("debian", "ubuntu")),
        ]
        sources = "\n\n".join(file.read_text(encoding="utf-8") for file in named if file.is_file())
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_suffix(f".{os.getpid()}.tar")
        options = ["--variant=minbase", "--include=python3,python3-venv", '--aptopt=Acquire::Check-Valid-Until "false"']
        _run(["mmdebstrap", "--quiet", *options, suite, str(draft), "-"], stdin=sources)
        draft.replace(target)
    return target


def base_python() -> str:
    """`3.11`: the Python of `base_tarball`."""
    with tempfile.TemporaryDirectory() as scratch:
        _run(["tar", "-xf", str(base_tarball()), "-C", scratch, "./usr/bin/python3"])
        return (Path(scratch) / "usr" / "bin" / "python3").readlink().name.removeprefix("python")


@dataclass(frozen=True, slots=True)
class Image:
    """A built image with its file system mounted."""

    root: Path
    config: dict[str, Any]
    """As the OCI says: User, Env, Entrypoint, Cmd, WorkingDir."""


class Builder:
    """buildah with its own store, which contains the base image that the Dockerfile names."""

    def __init__(self, store: Path) -> None:
        self._store = store
        # vfs copies the whole tree for each step; overlay needs a kernel that supports it.
        driver = "overlay" if "\toverlay\n" in Path("/proc/filesystems").read_text(encoding="utf-8") else "vfs"
        self._environment = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": driver}
        base = self.run("from", "scratch")
        self.run("add", "--quiet", base, str(base_tarball()), "/")
        self.run("commit", "--quiet", base, f"docker.io/library/python:{base_python()}-slim")
        self.run("rm", base)

    def run(self, *words: str) -> str:
        """Run buildah and return its output."""
        return _run(
            ["buildah", "--root", str(self._store / "store"), "--runroot", str(self._store / "run"), *words],
            env=self._environment,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment that a process needs to call `command`."""
        return {name: self._environment[name] for name in ("BUILDAH_ISOLATION", "STORAGE_DRIVER")}

    @property
    def command(self) -> str:
        """The command that builds in this store without pulling: what a user passes to `make image` as BUILD."""
        return f"buildah --root {self._store}/store --runroot {self._store}/run bud --pull-never --layers"

    def mounted(self, tag: str) -> Image:
        """Mount a built image."""
        container = self.run("from", "--pull-never", tag)
        config = json.loads(self.run("inspect", "--type", "image", tag))["OCIv1"]["config"]
        return Image(Path(self.run("mount", container)), config)

    def close(self) -> None:
        """Unmount everything and delete the containers."""
        self.run("umount", "--all")
        self.run("rm", "--all")


@contextmanager
def builder() -> Iterator[Builder]:
    """A builder whose store, some gigabytes, is deleted at the end."""
    need_image_engines()
    store = Path(tempfile.mkdtemp(prefix="mlp-images-"))
    made = Builder(store)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(store, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Container:
    """A running container."""

    process: "subprocess.Popen[bytes]"
    pid_file: Path
    log: Path

    def kill(self, signum: signal.Signals) -> None:
        """Send a signal to the first process, as a cluster does."""
        os.kill(self.pid, signum)

    @property
    def pid(self) -> int:
        """PID of the first process, seen from outside; 0 before it exists."""
        return int(self.pid_file.read_text() or 0) if self.pid_file.is_file() else 0

    def wait(self, timeout_s: float = 120) -> int:
        """Wait for the container to end and return its exit code."""
        return self.process.wait(timeout_s)

    def said(self) -> str:
        """Return the output so far."""
        return self.log.read_text(encoding="utf-8")


@contextmanager
def container(
    image: Image,
    folder: Path,
    *,
    command: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    volumes: Mapping[str, Path] | None = None,
    empty: Sequence[str] = ("/tmp",),
    own_network: bool = False,
    user: int | None = None,
) -> Iterator[Container]:
    """Run an image until the block ends.

    Args:
        folder: Empty folder for the container's bundle.
        command: Replaces the image's command; the entry point stays.
        volumes: Path in the container → folder or file here.
        empty: Paths that get an empty volume; everything else is read-only.
        own_network: If false, the container shares this machine's loopback.
        user: Replaces the image's user.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = image.config
    owner = user if user is not None else int(config["User"].split(":")[0])
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        *(
            {"destination": place, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]}
            for place in empty
        ),
        *(
            {"destination": place, "type": "bind", "source": str(path), "options": ["bind", "rw"]}
            for place, path in (volumes or {}).items()
        ),
    ]
    namespaces = ["pid", "ipc", "uts", "mount", *(["network"] if own_network else [])]
    specification = {
        "ociVersion": "1.0.2",
        "root": {"path": str(image.root), "readonly": True},
        "process": {
            "user": {"uid": owner, "gid": owner},
            "args": [*config["Entrypoint"], *(command if command is not None else config["Cmd"])],
            "env": [*config["Env"], *(f"{name}={value}" for name, value in (environment or {}).items())],
            "cwd": config["WorkingDir"],
            "noNewPrivileges": True,
            "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
        },
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": kind} for kind in namespaces],
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
        },
    }
    (folder / "config.json").write_text(json.dumps(specification), encoding="utf-8")
    name, pid_file, log = folder.name, folder / "pid", folder / "log.txt"
    run = f"crun --root {folder}/state --cgroup-manager=disabled run --bundle {folder} --pid-file {pid_file} {name}"
    # crun refuses a mixture of both cgroup versions, which some machines have: it is shown the newer one.
    script = f"mount --make-rprivate / && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec {run}"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        ) as process,
    ):
        running = Container(process, pid_file, log)
        try:
            yield running
        finally:
            if process.poll() is None:
                if running.pid:
                    os.kill(running.pid, signal.SIGKILL)
                else:
                    process.kill()
                process.wait(30)


def _run(command: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str | None = None) -> str:
    done = subprocess.run(command, env=env, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, (
        f"{' '.join(command)} exited {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    )
    return done.stdout.strip()
