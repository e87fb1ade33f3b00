"""A fake kubectl for a cluster with fake pods; commands that need no kubelet go to the real one.

`port-forward` leads to a process on this machine, and `exec` prints a given text:

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
    """Relay bytes in both directions until this process is stopped."""
    listener = socket.create_server(("127.0.0.1", local))
    print(f"Forwarding from 127.0.0.1:{local} -> {target}", flush=True)
    while True:
        near, _ = listener.accept()
        print(f"Handling connection for {local}", flush=True)
        far = socket.create_connection(("127.0.0.1", target))
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=copy, args=(source, sink), daemon=True).start()


def copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy one direction."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def main(arguments: list[str]) -> None:
    """Run as kubectl would."""
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
