"""An image made on the spot of a few files, without an archive and without a registry: for programs with an engine inside.

It goes the way of `docker commit` (`storage/layer_commit.py`): nothing is read that a stranger has packed, so it needs no worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import anyio.to_thread
import attrs

from daemon.container import ContainerConfig
from daemon.create.events import image_event, publish
from daemon.create.image_intake import ImageIntake
from daemon.errors import InvalidParameter
from daemon.image import Image
from daemon.services import Services
from daemon.services.image_loader import ImageLoader
from daemon.storage.disk import disk
from daemon.storage.layer_commit import Draft
from daemon.storage.layers import LayerBuild


@attrs.frozen(kw_only=True)
class ImageMaker:
    services: Services
    intake: ImageIntake
    now_ns: Callable[[], int]

    async def make(self, reference: str, files: Mapping[str, bytes], config: ContainerConfig) -> Image:
        """An image of one layer with these files, by their paths in it, or of none; recorded and durable.

        Files and directories belong to the daemon's user; files can be executed.

        Raises:
            InvalidParameter: the reference or a path makes no sense.
            System: the disk failed.
        """
        now_ns = self.now_ns()
        draft = Draft(parent=None, config=config, created=datetime.fromtimestamp(now_ns // 10**9, UTC).isoformat())
        async with self.intake.area() as area:
            upper = await anyio.to_thread.run_sync(_written, area.layers, files)
            image = await self.services.loader.ask(ImageLoader.commit, upper, draft, (reference,))
        await publish(self.services.events, image_event(image, "import", now_ns, name=reference))
        return image


def _written(directory: Path, files: Mapping[str, bytes]) -> Path:
    """A layer's directory, below `directory`, with these files."""
    root = LayerBuild.made_in(directory).target
    with disk("make the files of an image"):
        for name, content in files.items():
            path = root / _relative(name)
            missing = [parent for parent in reversed(path.parents) if not parent.exists()]
            for parent in missing:
                parent.mkdir()
                parent.chmod(0o755)  # mkdir's mode is subject to the umask
            path.write_bytes(content)
            path.chmod(0o755)
    return root


def _relative(name: str) -> PurePosixPath:
    path = PurePosixPath("/", name).relative_to("/")
    if ".." in path.parts or not path.parts or "\0" in name:
        raise InvalidParameter(f"invalid path of a file in an image: {name!r}")
    return path
