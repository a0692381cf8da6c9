"""Readers of event streams that vanish: they read the head, and from then on their sockets drop whatever comes.

No segment is acknowledged any more, and none refused: to the server it is as if the machine had lost its power. The
filter of a socket (SO_ATTACH_FILTER) does it, which no module of Node can set.

Arguments: port, how many, path, headers (JSON). Says `deaf` once all are, and ends with its standard input.
"""

import ctypes
import json
import socket
import struct
import sys

SO_ATTACH_FILTER = 26
# One instruction of BPF: return 0, keep nothing of the packet (BPF_RET | BPF_K).
DROP = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
FILTER = struct.pack("HP", 1, ctypes.addressof(DROP))

port, count, path, headers = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
sockets = []
for _ in range(count):
    one = socket.create_connection(("127.0.0.1", port))
    one.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}\r\n".encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += one.recv(4096)
    if not received.startswith(b"HTTP/1.1 200"):
        sys.exit(received.decode())
    sockets.append(one)
for one in sockets:
    one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, FILTER)
print("deaf", flush=True)
sys.stdin.read()
