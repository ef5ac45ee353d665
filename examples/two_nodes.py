"""Two nodes that add up a number each: docs/howto/several-nodes.md runs it.

    footfall run --project example --nodes 2 --no-code -- 'python3 two_nodes.py'

Node 0 listens at MASTER_PORT, the others send it their number; it answers with the sum. torchrun does the same with
tensors, from the same variables.
"""

import os
import socket
import time


def main() -> None:
    """Meet and add."""
    rank, n_nodes = int(os.environ["NODE_RANK"]), int(os.environ["NNODES"])
    place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    mine = rank + 1
    if rank == 0:
        with socket.create_server(place) as listener:
            callers = [listener.accept()[0] for _ in range(n_nodes - 1)]
        total = mine + sum(int(caller.recv(20)) for caller in callers)
        for caller in callers:
            caller.sendall(str(total).encode())
            caller.close()
    else:
        deadline = time.monotonic() + 60
        while True:
            try:
                caller = socket.create_connection(place, timeout=60)
                break
            except ConnectionRefusedError:  # node 0 does not listen yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        with caller:
            caller.sendall(str(mine).encode())
            total = int(caller.recv(20))
    print(f"node {rank} of {n_nodes}: the sum is {total}")


if __name__ == "__main__":
    main()
