"""A Docker engine for tests: enough of the API for a run, a thread per connection, and a script for what is to go wrong."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import socket
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import attrs


@attrs.frozen
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: bytes
    head: bytes


@attrs.frozen
class Reply:
    raw: bytes
    closes: bool = False
    """Hangs up after the reply without having said so."""
    is_deaf: bool = False
    """Stops reading before it replies, so that the next request is refused by the kernel; then hangs up."""


@attrs.frozen
class Container:
    id: str
    name: str
    labels: dict[str, str]


def http(status: int, value: object = None, *headers: str) -> Reply:
    """An ordinary JSON reply, or one without a body."""
    body = b"" if value is None else json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status} Text", *headers, *([] if value is None else [f"Content-Length: {len(body)}"])]
    return Reply("\r\n".join([*lines, "", ""]).encode() + body)


def chunked(status: int, *chunks: bytes) -> Reply:
    parts = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return Reply(b"HTTP/1.1 %d Text\r\nTransfer-Encoding: chunked\r\n\r\n%b" % (status, parts))


Script = Callable[[int, Request], Reply | None]


class FakeDocker:
    """Serves until it is closed. `script` may answer create number n (from 0, as they arrive) in its own way."""

    def __init__(self, path: Path, *, backlog: int = 128) -> None:
        self.path = path
        self.host = f"unix://{path}"
        self.script: Script = lambda number, request: None
        self.script_delete: Script = lambda number, request: None
        self.load_reply = http(200, {"stream": "Loaded image"})
        self.images: set[str] = set()
        self.containers: dict[str, Container] = {}
        self.requests: list[Request] = []
        self.connections = 0
        self._creates = self._deletes = 0
        self._next_id = itertools.count(1)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(backlog)
        self._start(self._accept)

    def __enter__(self) -> FakeDocker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        with self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            acceptor, *_ = self._threads
            acceptor.join()
        for sock in self._socks:
            with contextlib.suppress(OSError):  # its thread or the client may have closed it
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def wait_idle(self) -> None:
        """Until every client that has gone has had its last request carried out."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.path))
            sock.sendall(b"GET /version HTTP/1.1\r\n\r\n")
            sock.recv(1)  # whoever came before has been let in
        _, *connections = self._threads
        for thread in connections:
            thread.join()

    @property
    def creates(self) -> list[Request]:
        return [request for request in self.requests if request.path == "/containers/create"]

    @property
    def names(self) -> list[str]:
        return sorted(container.name for container in self.containers.values())

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.connections += 1
            self._socks.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as reader:
            try:
                while (request := _read_request(reader)) is not None:
                    reply = self._answer(request)
                    if reply.is_deaf:
                        sock.shutdown(socket.SHUT_RD)
                    sock.sendall(reply.raw)
                    if reply.closes or reply.is_deaf:
                        return
            except (BrokenPipeError, ConnectionResetError):
                return  # the client gave up

    def _answer(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            number = self._creates
            self._creates += request.path == "/containers/create"
            deleted = self._deletes
            self._deletes += request.method == "DELETE"
        # Outside the lock: a script may wait.
        if request.path == "/containers/create":
            return self.script(number, request) or self.create(request)
        if request.method == "DELETE":
            return self.script_delete(deleted, request) or self._remove(request)
        with self._lock:
            return self._answer_container(request) or self._answer_setup(request)

    def _answer_container(self, request: Request) -> Reply | None:
        """Inspect and rename."""
        prefix, _, rest = request.path.removeprefix("/").partition("/")
        id_, _, verb = rest.partition("/")
        if prefix != "containers" or not verb:
            return None
        container = self.containers.get(id_)
        if container is None:
            return http(404, {"message": f"No such container: {id_}"})
        if verb == "json":
            return http(200, {"Id": container.id, "Name": f"/{container.name}"})
        if request.query["name"] in self.names:
            return http(409, {"message": "Conflict."})
        self.containers[id_] = attrs.evolve(container, name=request.query["name"])
        return http(204)

    def _answer_setup(self, request: Request) -> Reply:
        if request.path == "/version":
            return http(200, {"Version": "1.2.3", "ApiVersion": "1.51"})
        if request.path == "/info":
            return http(200, {"DockerRootDir": "/", "Driver": "fake"})
        if request.path == "/containers/json":
            label = json.loads(request.query.get("filters", '{"label":[""]}'))["label"][0]
            found = [container for container in self.containers.values() if not label or _has_label(container, label)]
            return http(200, [{"Id": c.id, "Names": [f"/{c.name}"], "Labels": c.labels} for c in found])
        if request.path == "/images/load":
            self.images |= set(_references(request.body))
            return self.load_reply
        reference = request.path.removeprefix("/images/").removesuffix("/json")
        if reference in self.images:
            return http(200, {"Id": "sha256:" + "0" * 64})
        return http(404, {"message": f"No such image: {reference}"})

    def create(self, request: Request) -> Reply:
        with self._lock:
            number = next(self._next_id)
            name = request.query.get("name", f"quirky_{number}")
            if name in self.names:
                return http(409, {"message": f'Conflict. The container name "/{name}" is already in use'})
            container = Container(f"{number:064x}", name, json.loads(request.body)["Labels"])
            self.containers[container.id] = container
            return http(201, {"Id": container.id, "Warnings": []})

    def _remove(self, request: Request) -> Reply:
        with self._lock:
            container = self.containers.pop(request.path.removeprefix("/containers/"), None)
            return http(204) if container else http(404, {"message": "No such container"})


def _read_request(reader: io.BufferedReader) -> Request | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()
        if not line:
            return None
        head += line
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    body = reader.read(int(lengths[0])) if lengths else b""
    parts = urlsplit(target)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    return Request(method, unquote(parts.path), query, body, head)


def _has_label(container: Container, label: str) -> bool:
    key, separator, value = label.partition("=")
    return key in container.labels and (not separator or container.labels[key] == value)


def _references(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        references: list[str] = json.load(manifest)[0]["RepoTags"]
        return references
