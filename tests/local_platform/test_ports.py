"""Which port each service gets, and the error when one is taken."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from platform_lib.errors import ServiceError, UsageError
from platform_lib.local_platform import ports
from platform_lib.local_platform.startup import bring_up
from platform_lib.local_platform.state import PlatformState
from tests.local_platform.conftest import MakeService


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen()
        yield int(listener.getsockname()[1])


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Default ports that are free on this machine."""
    first, second, third = ports.free_ports(3)
    values = {"mlflow": first, "prefect": second, "models": third, "runner": 0}
    monkeypatch.setattr(ports, "USUAL", values)
    return values


def choose(
    requested: dict[str, int] | None = None,
    *,
    kept: dict[str, int] | None = None,
    running: dict[str, int] | None = None,
    auto: bool = False,
) -> dict[str, int]:
    return ports.choose(requested or {}, kept=kept or {}, running=running or {}, auto=auto)


def test_default_ports_are_used_if_they_are_free(usual: dict[str, int]) -> None:
    chosen = choose()
    assert {name: chosen[name] for name in ("mlflow", "prefect", "models")} == {
        name: usual[name] for name in ("mlflow", "prefect", "models")
    }


def test_the_runner_gets_any_free_port(usual: dict[str, int]) -> None:
    assert choose()["runner"] not in (0, *usual.values())


def test_a_requested_port_overrides_the_previous_one(usual: dict[str, int]) -> None:
    [wanted] = ports.free_ports(1)
    assert choose({"mlflow": wanted}, kept={"mlflow": usual["models"]})["mlflow"] == wanted


def test_a_restarted_service_keeps_its_port(usual: dict[str, int]) -> None:
    [had] = ports.free_ports(1)
    assert choose(kept={"mlflow": had})["mlflow"] == had
    assert choose(kept={"mlflow": had}, auto=True)["mlflow"] == had


def test_automatic_ports_are_free_distinct_and_not_the_defaults(usual: dict[str, int]) -> None:
    chosen = choose(auto=True)
    assert len({*chosen.values(), *usual.values()}) == 8
    assert all(ports.is_free(port) for port in chosen.values())


def test_automatic_ports_avoid_a_port_that_was_taken_meanwhile(usual: dict[str, int]) -> None:
    with listening() as taken:
        assert choose(kept={"mlflow": taken}, auto=True)["mlflow"] != taken


def test_a_running_services_own_port_does_not_count_as_taken(usual: dict[str, int]) -> None:
    with listening() as own:
        assert choose(kept={"mlflow": own}, running={"mlflow": own})["mlflow"] == own


def test_a_taken_port_is_reported_with_its_holder_and_both_remedies(
    usual: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as taken:
        monkeypatch.setitem(usual, "prefect", taken)
        with pytest.raises(ServiceError) as caught:
            choose()
    message = str(caught.value)
    assert message.startswith(f"port {taken}, needed for prefect, is in use by ")
    assert f"process {os.getpid()}" in message
    assert "`mlp up --prefect-port PORT`" in message
    assert "`mlp up --auto-ports`" in message


def test_a_requested_port_that_is_taken_is_refused_even_with_automatic_ports(usual: dict[str, int]) -> None:
    with listening() as taken, pytest.raises(ServiceError, match=f"^port {taken}, needed for models"):
        choose({"models": taken}, auto=True)


def test_two_services_cannot_have_one_port(usual: dict[str, int]) -> None:
    [port] = ports.free_ports(1)
    with pytest.raises(UsageError, match=f"^mlflow and models cannot both use port {port}"):
        choose({"mlflow": port, "models": port})


def test_a_listener_on_all_addresses_makes_the_port_taken() -> None:
    with listening("0.0.0.0") as taken:
        assert not ports.is_free(taken)


def test_another_projects_platform_is_named_with_its_folder(state: PlatformState, make_service: MakeService) -> None:
    service = make_service("mlflow")
    bring_up(state, [service])
    assert f"the local platform of {state.root}: `mlp down` there stops it" in ports.holder(service.port)
