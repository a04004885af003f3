"""Makes real conntrack tables: writes entries through ctnetlink into the network namespace it runs in.

    python tables.py '[{"count": 1000, "source": "10.244.1.11", "to": "10.96.0.12", "port": 80, "state": "TIME_WAIT"}]'

Standard library only, so that it runs in any namespace by ``ip netns exec``. Every group is written in turn; each entry
has its own source port (and, past 60,000, its own last byte of the destination).
"""

import ipaddress
import json
import random
import socket
import struct
import sys

NETLINK_NETFILTER = 12
CT_NEW = (1 << 8) | 0
CREATE = 0x1 | 0x400  # NLM_F_REQUEST | NLM_F_CREATE
STATES = {
    name: number
    for number, name in enumerate(
        ("SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"), 1
    )
}
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmpv6": 58}
SEEN_REPLY, ASSURED, CONFIRMED, SRC_NAT, DST_NAT, NAT_DONE = 0x2, 0x4, 0x8, 0x10, 0x20, 0x180
TIMEOUTS = {"TIME_WAIT": 120, "SYN_SENT": 120, "ESTABLISHED": 86400, "CLOSE_WAIT": 3600, "FIN_WAIT": 120}


def attribute(kind: int, payload: bytes, *, nested: bool = False) -> bytes:
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind | (0x8000 if nested else 0)) + payload + b"\0" * (-length % 4)


def tuple_of(
    kind: int, protocol: int, source: bytes, destination: bytes, ports: tuple[int, int], reply: bool = False
) -> bytes:
    first = 1 if len(source) == 4 else 3
    addresses = attribute(first, source) + attribute(first + 1, destination)
    body = attribute(1, bytes([protocol]))
    if protocol in (1, 58):  # id, type, code; an echo is answered by another type
        offset = 4 if protocol == 1 else 7
        echo = (0 if reply else 8) if protocol == 1 else (129 if reply else 128)
        body += attribute(offset, struct.pack("!H", ports[0])) + attribute(offset + 1, bytes([echo]))
        body += attribute(offset + 2, b"\0")
    else:
        body += attribute(2, struct.pack("!H", ports[0])) + attribute(3, struct.pack("!H", ports[1]))
    inner = attribute(1, addresses, nested=True) + attribute(2, body, nested=True)
    return attribute(kind, inner, nested=True)


def message(group: dict[str, object], number: int, draw: random.Random) -> bytes:
    """One entry of a group as a netlink message."""
    protocol = PROTOCOLS[str(group.get("protocol", "tcp"))]
    state = str(group.get("state", "TIME_WAIT"))
    sources = group["source"]
    source = ipaddress.ip_address(sources[number % len(sources)] if isinstance(sources, list) else str(sources)).packed
    destination = bytearray(ipaddress.ip_address(str(group["to"])).packed)
    if group.get("spread"):  # that many different destinations
        low = struct.unpack("!H", destination[-2:])[0] + number % int(str(group["spread"]))
        destination[-2:] = struct.pack("!H", low & 0xFFFF)
    backend = bytearray(ipaddress.ip_address(str(group["backend"])).packed) if "backend" in group else destination
    port = int(str(group.get("port", 80)))
    backend_port = int(str(group.get("backend_port", port)))
    source_port = 1024 + number % 60000
    rounds = number // 60000
    if rounds:  # a source has no more ports: the next destination, and the next backend
        destination[-1] = (destination[-1] + rounds) & 0xFF
        if backend is not destination:
            backend[-1] = (backend[-1] + rounds) & 0xFF
    answered = bool(group.get("answered", True))
    assured = bool(group.get("assured", answered and protocol != 17))
    status = CONFIRMED | (SEEN_REPLY if answered else 0) | (ASSURED if assured else 0)
    longest = int(str(group.get("timeout", TIMEOUTS.get(state, 120) if protocol == 6 else 30)))
    timeout = draw.randint(int(str(group.get("timeout_low", 1))), longest)
    body = tuple_of(1, protocol, source, bytes(destination), (source_port, port))
    answer_to = ipaddress.ip_address(str(group["snat"])).packed if "snat" in group else source
    echo = protocol in (1, 58)
    ports = (source_port, 0) if echo else (backend_port, source_port)
    body += tuple_of(2, protocol, bytes(backend), answer_to, ports, reply=True)
    if group.get("zone"):
        body += attribute(18, struct.pack("!H", int(str(group["zone"]))))
    body += attribute(3, struct.pack("!I", status)) + attribute(7, struct.pack("!I", timeout))
    if group.get("mark"):
        body += attribute(8, struct.pack("!I", int(str(group["mark"]))))
    if protocol == 6:
        body += attribute(4, attribute(1, attribute(1, bytes([STATES[state]])), nested=True), nested=True)
    if protocol == 132:
        body += attribute(
            4,
            attribute(
                3,
                attribute(1, bytes([4])) + attribute(2, struct.pack("!I", 1)) + attribute(3, struct.pack("!I", 2)),
                nested=True,
            ),
            nested=True,
        )
    family = 2 if len(source) == 4 else 10
    return struct.pack("=IHHII", 20 + len(body), CT_NEW, CREATE, number, 0) + struct.pack("=BBH", family, 0, 0) + body


def write(groups: list[dict[str, object]], seed: int = 7) -> int:
    """Write all groups, in a mixed order, and return how many entries were asked for."""
    draw = random.Random(seed)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        netlink.bind((0, 0))
        asked = 0
        for group in groups:
            batch: list[bytes] = []
            for number in range(int(str(group["count"]))):
                batch.append(message(group, number + int(str(group.get("skip", 0))), draw))
                if len(batch) == 64:
                    netlink.send(b"".join(batch))
                    batch.clear()
            if batch:
                netlink.send(b"".join(batch))
            asked += int(str(group["count"]))
    return asked


if __name__ == "__main__":
    print(write(json.loads(sys.argv[1])))
