"""Readers of an event stream that go wrong in ways no module of Node can: a socket's options make them.

stopped: read the head and nothing more, with the smallest buffer there is, so that the server soon has to wait.
deaf: read the head, and from then on drop whatever comes. No segment is acknowledged any more, and none refused: to the
server it is as if the machine had lost its power.

Arguments: stopped or deaf, port, how many, path, headers (JSON). Says `ready` once all are there, and ends with its
standard input.
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
# The system makes it as large as it has to be.
SMALLEST = 1

mode, port, count, path, headers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], json.loads(sys.argv[5])
head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
sockets = []
for _ in range(count):
    one = socket.socket()
    if mode == "stopped":
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST)
    one.connect(("127.0.0.1", port))
    one.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}\r\n".encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += one.recv(256)
    if not received.startswith(b"HTTP/1.1 200"):
        sys.exit(received.decode())
    sockets.append(one)
if mode == "deaf":
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, FILTER)
print("ready", flush=True)
sys.stdin.read()
