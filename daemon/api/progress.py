"""What takes long, answered while it goes on: pull, push and load, a line for each step.

What fails before a word has been said is answered with its status; after that it is the last line of the stream, as in Docker.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from daemon.api.calls import Call, encode_json, stream_response
from daemon.api.codec import Json
from daemon.errors import DaemonError
from daemon.http.message import Response
from daemon.services.transfers import Progress, Step, Transfers, Work

BAR_WIDTH = 50


async def run(call: Call, work: Work) -> Response:
    """The answer to what takes long: its steps as they come. Raises what fails before the first of them."""
    progress = Progress()
    try:
        await call.engine.services.transfers.ask(Transfers.start, work, progress)
        steps = await progress.wait_steps()
        lines = _lines(progress, steps)
        await anext(lines)  # begun, so that closing it ends the transfer, whether or not it is ever sent
    except BaseException:
        progress.abandon()
        raise
    return stream_response(lines)


async def _lines(progress: Progress, steps: list[Step]) -> AsyncGenerator[bytes, None]:
    try:
        yield b""
        try:
            while steps:
                yield b"".join(encode_json(step_view(step)) for step in steps)
                steps = await progress.wait_steps()
        except DaemonError as error:
            yield encode_json({"errorDetail": {"message": str(error)}, "error": str(error)})
    finally:
        progress.abandon()


def step_view(step: Step) -> dict[str, Json]:
    """A line of Docker's progress stream (moby pkg/streamformatter, pkg/jsonmessage)."""
    if step.pushed is not None:
        pushed = step.pushed
        return {"progressDetail": {}, "aux": {"Tag": pushed.tag, "Digest": pushed.digest, "Size": pushed.size}}
    if step.is_text:
        return {"stream": f"{step.status}\n"}
    view: dict[str, Json] = {"status": step.status}
    if not step.is_message:
        numbers = {"current": step.current, "total": step.total}
        view["progressDetail"] = {name: number for name, number in numbers.items() if number}
        if bar := progress_bar(step.current, step.total):
            view["progress"] = bar
    if step.id:
        view["id"] = step.id
    return view


def progress_bar(current: int, total: int) -> str:
    """For clients that draw none themselves."""
    if current <= 0 and total <= 0:
        return ""
    if total <= 0:
        return f"{human_size(current):>8}"
    done = min(int(current / total * 100) // 2, BAR_WIDTH)
    numbers = f"{human_size(current):>8}" + (f"/{human_size(total)}" if current <= total else "")
    return f"[{'=' * done}>{' ' * (BAR_WIDTH - done)}] {numbers}"


def human_size(size: float) -> str:
    """As go-units writes it: four digits, decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.4g}{unit}"
        size /= 1000
    return f"{size:.4g}TB"
