"""The two sides, and what each answers."""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
from pathlib import Path

import attrs

from tests.conformance.case import API_VERSION, Case
from tests.conformance.tables import HERE, ROOT, Json

TIMEOUT_S = 60
BASE = "@BASE@"
"""Stands for the id of the container `base`, which each side has."""


@attrs.frozen(kw_only=True)
class Answer:
    """What a side said and did. `inspect`, `volumes` and `layer` are there where it made a container."""

    status: int
    message: str = ""
    warnings: tuple[str, ...] = ()
    inspect: Json = None
    volumes: dict[str, Json]
    """By destination: what is in each volume."""
    layer: Json = None
    """What is in the read-write layer."""


class Engine(http.client.HTTPConnection):
    """One connection to the socket of an engine on this machine."""

    def __init__(self, name: str, path: Path, data_root: Path, here: Path) -> None:
        super().__init__("docker", timeout=TIMEOUT_S)
        self.name = name
        self.data_root = data_root
        self.here = here
        self.base = ""
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

    def twin(self) -> Engine:
        """Another connection to the same engine."""
        twin = Engine(self.name, self._path, self.data_root, self.here)
        twin.base = self.base
        return twin

    def call(
        self, method: str, path: str, body: bytes | None = None, content_type: str | None = None
    ) -> tuple[int, Json]:
        self.putrequest(method, path, skip_accept_encoding=True)
        if content_type is not None:
            self.putheader("Content-Type", content_type)
        if body is not None:
            self.putheader("Content-Length", str(len(body)))
        self.endheaders(body)
        response = self.getresponse()
        content = response.read()
        if response.headers.get_content_type() != "application/json":
            return response.status, {"message": content.decode(errors="replace")}
        return response.status, json.loads(content) if content else None

    def create(self, case: Case) -> Answer:
        """The answer, with the container looked at and removed again."""
        path = f"/v{case.version}/containers/create"
        query = self.filled(case.query.encode()).decode()
        body = self.filled(case.body)
        status, content = self.call("POST", f"{path}?{query}" if query else path, body, case.content_type)
        if status != 201:
            return Answer(status=status, message=content["message"], volumes={})
        container_id = content["Id"]
        try:
            return self._look_at(container_id, case, tuple(content["Warnings"] or ()))
        finally:
            status, content = self.call("DELETE", f"/v{API_VERSION}/containers/{container_id}?v=1&force=1")
            assert status == 204, content

    def _look_at(self, container_id: str, case: Case, warnings: tuple[str, ...]) -> Answer:
        status, inspect = self.call("GET", f"/v{case.version}/containers/{container_id}/json")
        assert status == 200, inspect
        volumes = {
            mount["Destination"]: listing(Path(mount["Source"]))
            for mount in inspect["Mounts"]
            if mount["Type"] == "volume"
        }
        layer = listing(Path(inspect["GraphDriver"]["Data"]["UpperDir"]))
        return Answer(status=201, warnings=warnings, inspect=inspect, volumes=volumes, layer=layer)

    def filled(self, text: bytes) -> bytes:
        """With what the placeholders stand for."""
        for placeholder, value in ((HERE, str(self.here)), (ROOT, str(self.data_root)), (BASE, self.base)):
            text = text.replace(placeholder.encode(), value.encode())
        return text


def listing(directory: Path) -> dict[str, str]:
    """Kind, mode, owner and content of everything below a directory, and of itself."""
    found = {}
    for home, directories, files in os.walk(directory):
        paths = [Path(home, name) for name in (*directories, *files)]
        if home == str(directory):
            paths.append(directory)
        for path in paths:
            found[str(path.relative_to(directory))] = _described(path)
    return found


def _described(path: Path) -> str:
    status = path.lstat()
    content = ""
    if stat.S_ISLNK(status.st_mode):
        content = f" -> {path.readlink()}"
    elif stat.S_ISREG(status.st_mode):
        content = f" {path.read_bytes()!r} in {status.st_nlink}"
    return f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}{content}"
