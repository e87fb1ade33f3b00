"""All servers under comparison, in the order of the report."""

from benchmarks.serving.peers.adapters import bentoml, litserve, mlflow_serve, mlserver, naive_fastapi, ray_serve
from benchmarks.serving.peers.peer import Peer

PEERS: dict[str, Peer] = {
    module.PEER.name: module.PEER for module in (mlserver, litserve, bentoml, naive_fastapi, mlflow_serve, ray_serve)
}
