"""Session fixtures: one control plane and one network per test session.

A test module that uses them sets

    pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

so that one worker owns them, and leaves nothing behind in the cluster.
"""

from collections.abc import Iterator

import pytest

from tests.k8slab.lab import Lab
from tests.k8slab.network import Network


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A running control plane with three fake nodes."""
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="session")
def network(lab: Lab) -> Iterator[Network]:
    """The lab's cluster network, in its own namespace."""
    with Network(lab) as network:
        yield network
