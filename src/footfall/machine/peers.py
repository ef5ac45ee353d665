"""Whose process is at the other end of a connection over loopback, as the kernel's table of sockets says.

Source: proc_net(5).
"""

import ipaddress
import sys
from pathlib import Path

_LOCAL, _REMOTE, _USER = 1, 2, 7


def find_user(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """Return the user who made the client's socket; None where no socket of this network is that."""
    for table in ("tcp", "tcp6"):
        wanted = [_place(address, port, is_six=table == "tcp6") for address, port in (client, server)]
        try:
            lines = Path("/proc/net", table).read_text("ascii").splitlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        for line in lines:
            fields = line.split()
            if [fields[_LOCAL], fields[_REMOTE]] == wanted:
                return int(fields[_USER])
    return None


def _place(address: str, port: int, *, is_six: bool) -> str:
    """Return an address as the table writes it: words of four bytes in the machine's order."""
    ip = ipaddress.ip_address(address)
    if is_six and ip.version == 4:
        ip = ipaddress.IPv6Address(f"::ffff:{address}")
    packed = ip.packed
    words = [int.from_bytes(packed[start : start + 4], sys.byteorder) for start in range(0, len(packed), 4)]
    return f"{''.join(f'{word:08X}' for word in words)}:{port:04X}"
