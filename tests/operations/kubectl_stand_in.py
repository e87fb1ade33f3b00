"""A kubectl for a cluster whose pods are fake: everything goes to the real one, but for what needs a kubelet.

`port-forward` leads to a process of this machine, and `exec` says what it is told to:

    MLP_TEST_FORWARDS  {"mlp-mlflow/svc/mlflow:5000": 41234}
    MLP_TEST_EXEC      what `exec` prints
    MLP_TEST_KUBECTL   path of the real kubectl
"""

import json
import os
import socket
import sys
import threading


def relay(local: int, target: int) -> None:
    """Carry bytes both ways until this process is ended."""
    listener = socket.create_server(("127.0.0.1", local))
    print(f"Forwarding from 127.0.0.1:{local} -> {target}", flush=True)
    while True:
        near, _ = listener.accept()
        print(f"Handling connection for {local}", flush=True)
        far = socket.create_connection(("127.0.0.1", target))
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=copy, args=(source, sink), daemon=True).start()


def copy(source: socket.socket, sink: socket.socket) -> None:
    """One direction."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def main(arguments: list[str]) -> None:
    """As kubectl."""
    if "port-forward" in arguments:
        namespace = arguments[arguments.index("-n") + 1]
        name, ports = arguments[-2:]
        local, _, port = ports.partition(":")
        target = json.loads(os.environ.get("MLP_TEST_FORWARDS", "{}")).get(f"{namespace}/{name}:{port}")
        if target is None:
            sys.exit(f'Error from server (NotFound): services "{name}" not found')
        relay(int(local), int(target))
    if "exec" in arguments:
        print(os.environ["MLP_TEST_EXEC"])
        return
    real = os.environ["MLP_TEST_KUBECTL"]
    os.execv(real, [real, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
