"""The endpoints of a container's files: archive, export, changes.

Rules: moby v28 api/server/router/container/copy.go, api/server/httputils/form.go, api/types/container PathStat.
"""

from __future__ import annotations

import base64
import stat

from daemon.api.calls import Call, encode_json, json_response
from daemon.api.codec import Json
from daemon.api.views import rfc3339
from daemon.create.files import PathStat
from daemon.errors import InvalidParameter
from daemon.http.message import Response

_TAR = ("Content-Type", "application/x-tar")
_BYTES = ("Content-Type", "application/octet-stream")

_MODE_BITS = (
    (stat.S_ISUID, 1 << 23),
    (stat.S_ISGID, 1 << 22),
    (stat.S_ISVTX, 1 << 20),
)
_MODE_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
"""Go's os.FileMode, which is not stat(2)'s."""


async def stat_path(call: Call) -> Response:
    described = await call.engine.files.stat(call.name, _path(call))
    return Response(status=200, headers=(_path_stat(described),))


async def read_archive(call: Call) -> Response:
    described, content = await call.engine.files.archive(call.name, _path(call))
    return Response(status=200, headers=(_TAR, _path_stat(described)), body=content)


async def write_archive(call: Call) -> Response:
    query = call.query()
    await call.engine.files.extract(
        call.name,
        _path(call),
        call.request.body,
        keeps_kinds=query.flag("noOverwriteDirNonDir"),
        owner_is_user=query.flag("copyUIDGID"),
    )
    return Response(status=200)


async def export(call: Call) -> Response:
    return Response(status=200, headers=(_BYTES,), body=await call.engine.files.export(call.name))


async def changes(call: Call) -> Response:
    found = await call.engine.files.changes(call.name)
    # No change at all is Go's nil slice.
    return json_response([{"Path": change.path, "Kind": change.kind.value} for change in found] or None)


def _path(call: Call) -> str:
    path = call.query().text("path")
    if not path:
        raise InvalidParameter("bad parameter: pathcannot be empty")  # without the space, in every version of Moby's
    return path


def _path_stat(described: PathStat) -> tuple[str, str]:
    view: dict[str, Json] = {
        "name": described.name,
        "size": described.size,
        "mode": go_file_mode(described.mode),
        "mtime": rfc3339(described.mtime_ns),
        "linkTarget": described.link_target,
    }
    return "X-Docker-Container-Path-Stat", base64.b64encode(encode_json(view).rstrip()).decode("ascii")


def go_file_mode(mode: int) -> int:
    bits = sum(ours for theirs, ours in _MODE_BITS if mode & theirs)
    return mode & 0o777 | bits | _MODE_KINDS.get(stat.S_IFMT(mode), 0)
