"""Kills what stores images in a daemon before each of its effects on the disk, in turn, and looks at what recovery makes of it.

    python -m tests.daemon.services.crashing load|remove

Every attempt is a process, forked from this one, that kills itself at its n-th effect; then another one recovers and looks. It
ends with the first attempt that comes through, and prints how many effects that were.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio

from daemon.image import LoadedImage
from daemon.services.image_loader import ImageLoader
from daemon.services.image_store import ImageStore
from daemon.storage import staged
from daemon.storage.findings import Records
from daemon.storage.recovery import recover
from tests.daemon.harness import in_memory
from tests.daemon.services.test_image_loader import HOST, check_whole, house_at
from tests.daemon.storage.making import docker_archive

Work = Callable[[Path], Coroutine[Any, Any, None]]

EFFECTS: tuple[tuple[Any, str], ...] = (
    (os, "fsync"),
    (os, "unlink"),
    (os, "rename"),
    (os, "replace"),
    (shutil, "rmtree"),
    (staged, "sync_file_system"),
)


async def load(root: Path) -> None:
    async with house_at(root) as house:
        await house.load(docker_archive(tags=["a:1"]))


async def remove(root: Path) -> None:
    async with house_at(root) as house:
        removal = await house.images.ask(ImageStore.remove, "a:1", force=False, users={})
        await house.loader.ask(ImageLoader.discard, removal.image)


async def look(root: Path) -> None:
    """The image is there in all its parts, or no part of it is; and it can be loaded."""
    async with house_at(root) as house:
        database = house.database
        images, references = await database.images(), await database.image_references()
        recover(root, house.stores, Records(containers=(), images=images, references=references, volumes=()))
        check_whole(house, [LoadedImage(image=image, references=()) for image in images])
        assert house.indexed() == {(image.manifest_digest, name) for image in images for name, _ in references}
        assert not list((root / "layers").glob(".ingest-*"))
        check_whole(house, await house.load(docker_archive(tags=["a:1"])))


def die_before(number: int) -> None:
    """From now on the process kills itself before its n-th effect."""
    effects = itertools.count(1)

    def dying(effect: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if next(effects) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return effect(*arguments, **named)

        return wrapped

    for module, name in EFFECTS:
        setattr(module, name, dying(getattr(module, name)))


def in_a_process(work: Work, root: Path, *, dies_before: int = 0) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            die_before(dies_before)
            anyio.run(work, root)
            code = 0
        except BaseException:  # noqa: BLE001 - told, and the end of this process either way
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(name: str) -> int:
    work: Work = {"load": load, "remove": remove}[name]
    anyio.run(HOST.start)  # the process that starts workers, for all of them
    with in_memory() as home:
        for number in itertools.count(1):
            root = home / str(number)
            root.mkdir()
            if work is remove:
                assert in_a_process(load, root) == 0
            code = in_a_process(work, root, dies_before=number)
            assert code in (0, -signal.SIGKILL), code
            if in_a_process(look, root) != 0:
                sys.stdout.write(f"killed before effect {number}\n")
                return 1
            if code == 0:
                sys.stdout.write(f"{number - 1}\n")
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
