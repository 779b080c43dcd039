"""A Docker engine that does nothing, as fast as it can: what is measured against it is the client itself.

It runs as a program of its own (`python nullserver.py SOCKET`) and so imports nothing of the house: it is there at once. A
create is answered with an id that nobody had before, whatever it asks for; everything else with what is empty in its place.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import sys
from collections.abc import Iterator
from itertools import count

RECEIVE_BYTES = 64 * 1024  # of more than 128 KiB malloc would ask the kernel for each piece, and for nothing else
BACKLOG = 1024
READY = "ready"

_CREATE = b"POST /containers/create"
_LENGTH = b"\r\nContent-Length: "


def serve(listener: socket.socket) -> None:
    """Until standard input is closed, which is how the one who started it ends it, even by dying."""
    ids = count(1)
    clients: dict[int, socket.socket] = {}
    unfinished: dict[int, bytes] = {}
    with select.epoll() as poll:
        poll.register(listener, select.EPOLLIN)
        poll.register(sys.stdin, select.EPOLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == sys.stdin.fileno():
                    return
                if fd == listener.fileno():
                    client, _ = listener.accept()
                    clients[client.fileno()] = client
                    poll.register(client, select.EPOLLIN)
                    continue
                try:
                    data = clients[fd].recv(RECEIVE_BYTES)
                except ConnectionResetError:
                    data = b""
                if not data:
                    clients.pop(fd).close()
                    unfinished.pop(fd, None)
                    continue
                data = unfinished.pop(fd, b"") + data
                if is_whole(data):
                    clients[fd].sendall(answer(data, ids))
                else:
                    unfinished[fd] = data


def is_whole(data: bytes) -> bool:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = data.find(_LENGTH, 0, end)
    if at < 0:
        return True
    at += len(_LENGTH)
    return len(data) >= end + 4 + int(data[at : data.index(b"\r", at)])


def answer(request: bytes, ids: Iterator[int]) -> bytes:
    if request.startswith(_CREATE):
        return b'HTTP/1.1 201 Created\r\nContent-Length: 88\r\n\r\n{"Id":"%064x","Warnings":[]}\n' % next(ids)
    if request.startswith((b"DELETE ", b"POST /containers/")):
        return b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
    body: object = [] if request.startswith(b"GET /containers/json") else {"Version": "null", "ApiVersion": "1.41"}
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (hard, hard)
    )  # a descriptor for each client; the soft limit is often 1,024
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen(BACKLOG)
        sys.stdout.write(READY + "\n")
        sys.stdout.flush()
        serve(listener)


if __name__ == "__main__":
    main()
