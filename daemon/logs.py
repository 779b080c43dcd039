"""The daemon's log: one line an event, as text or JSON, written by a thread of its own so that nobody waits for whoever reads it.

What must never be in it, whatever fails: what a client has sent in confidence. So of an exception it has where and which kind,
and its text only where that is the system's own or ours; and whatever comes from outside has no control characters.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from daemon.config import LogFormat
from daemon.errors import DaemonError, InvalidParameter

LINES_MAX = 20_000
"""That wait to be written: what a busy daemon logs in some seconds. More are counted, not kept."""

BATCH_S = 0.1
"""How long a line may wait for others that are written with it, unless it is urgent: so much may be missing after a `kill -9`."""

LINES_AT_ONCE = 32
"""That are made in a row, in a third of a millisecond: the event loop waits for the interpreter meanwhile."""

CLOSE_TIMEOUT_S = 2.0
"""For what is still to be written at the end, to a pipe that may be full."""

TEXT_LENGTH_MAX = 4000
"""Of a message: a pattern that somebody sent may be in it."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_NO_PAIRS = frozenset({"message", "logger", "error"})

Line = Callable[[], str]
"""Makes it, when it is written."""


class LogWriter:
    """Lines, in the order in which they were put, to a descriptor. Use it as a context manager; `put` from any thread."""

    def __init__(self, descriptor: int, *, dropped: Callable[[int], str]) -> None:
        """`dropped` makes the line that says how many others have been dropped."""
        self._descriptor = descriptor
        self._dropped_line = dropped
        self._wake = threading.Condition()
        self._lines: list[Line] = []
        self._dropped = 0
        self._is_urgent = False
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def __enter__(self) -> LogWriter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        self._thread.join(CLOSE_TIMEOUT_S)

    def put(self, line: Line, *, is_urgent: bool = False) -> None:
        """Never waits."""
        with self._wake:
            if len(self._lines) >= LINES_MAX:
                self._dropped += 1
                return
            self._lines.append(line)
            if is_urgent or len(self._lines) == 1:
                self._is_urgent |= is_urgent
                self._wake.notify()

    def _run(self) -> None:
        is_closed = False
        while not is_closed:
            with self._wake:
                self._wake.wait_for(lambda: self._lines or self._is_closed)
                self._wake.wait_for(lambda: self._is_urgent or self._is_closed, BATCH_S)
                lines, self._lines = self._lines, []
                dropped, self._dropped = self._dropped, 0
                is_closed, self._is_urgent = self._is_closed, False
            for first in range(0, len(lines), LINES_AT_ONCE):
                self._write([line() for line in lines[first : first + LINES_AT_ONCE]])
            if dropped:
                self._write([self._dropped_line(dropped)])

    def _write(self, texts: Sequence[str]) -> None:
        left = memoryview("".join(f"{text}\n" for text in texts).encode(errors="replace"))
        with contextlib.suppress(OSError):  # nobody reads it any more, and there is nobody else to tell
            while left:
                left = left[os.write(self._descriptor, left) :]


class LogHandler(logging.Handler):
    """The records of `logging`, into a writer."""

    def __init__(self, writer: LogWriter, log_format: LogFormat) -> None:
        super().__init__()
        self._writer = writer
        self._format = log_format

    def emit(self, record: logging.LogRecord) -> None:
        line = log_line(self._format, record.created, record.levelname.lower(), _fields(record))
        self._writer.put(lambda: line, is_urgent=True)


@contextlib.contextmanager
def logging_to(descriptor: int, *, level: str, log_format: LogFormat) -> Iterator[LogWriter]:
    """All that is logged in this process goes there until the end."""

    def dropped(count: int) -> str:
        fields = {"logger": __name__, "message": f"{count} lines were dropped: the log is not read fast enough"}
        return log_line(log_format, time.time(), "warning", fields)

    root = logging.getLogger()
    before = root.level
    with LogWriter(descriptor, dropped=dropped) as writer:
        handler = LogHandler(writer, log_format)
        root.addHandler(handler)
        set_level(level)
        try:
            yield writer
        finally:
            root.removeHandler(handler)
            root.setLevel(before)


def set_level(level: str) -> None:
    """What is logged at least. What httpx says stays out: addresses of blobs may be signed, and are no log's business."""
    logging.getLogger().setLevel(level.upper())
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def log_line(log_format: LogFormat, at: float, level: str, fields: Mapping[str, object]) -> str:
    """Fields in their order: as text the message first, then `key=value`."""
    if log_format == "json":
        return msgspec.json.encode({"time": _rfc3339(at), "level": level, **fields}).decode()
    words = [_rfc3339(at), level.upper()]
    if message := fields.get("message"):
        words.append(str(message))
    for key, value in fields.items():
        if key in _NO_PAIRS:
            continue
        if isinstance(value, str) and not value.isidentifier():
            value = msgspec.json.encode(value).decode()
        words.append(f"{key}={value}")
    text = " ".join(words)
    return f"{text}\n{error}" if (error := fields.get("error")) else text


def printable(text: str, length_max: int) -> str:
    """A stranger's text for a log line: no control characters, and not too much of it."""
    cut = text if len(text) <= length_max else f"{text[:length_max]}..."
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), cut)


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    arguments = record.args
    if isinstance(arguments, tuple):
        arguments = tuple(_Withheld(each) if isinstance(each, BaseException) else each for each in arguments)
    message = str(record.msg) % arguments if arguments else str(record.msg)
    fields = {"logger": record.name, "message": printable(message, TEXT_LENGTH_MAX)}
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        fields["error"] = "\n".join(_traceback(error))
    return fields


class _Withheld:
    """An exception as an argument of a message."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __str__(self) -> str:
        return str(self._error) if _is_ours(self._error) else type(self._error).__name__

    def __repr__(self) -> str:
        return repr(self._error) if _is_ours(self._error) else f"{type(self._error).__name__}(...)"


def _is_ours(error: BaseException) -> bool:
    """Whether its text is the system's or ours, and not perhaps what a client has sent: that is in what refuses it."""
    if isinstance(error, DaemonError):
        return not isinstance(error, InvalidParameter)
    return isinstance(error, OSError | sqlite3.Error)


def _traceback(error: BaseException) -> Iterator[str]:
    """From the cause to the error: where, and what as far as it may be told; of a group each."""
    for cause in _chain(error):
        for frame in traceback.extract_tb(cause.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
        what = f": {printable(str(cause), TEXT_LENGTH_MAX)}" if _is_ours(cause) else ""
        yield f"  {type(cause).__name__}{what}"
        if isinstance(cause, BaseExceptionGroup):
            for each in cause.exceptions:
                yield from _traceback(each)


def _chain(error: BaseException) -> list[BaseException]:
    """The causes first."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return chain[::-1]


def _rfc3339(at: float) -> str:
    seconds = int(at)
    return f"{_rfc3339_second(seconds)}.{int((at - seconds) * 1000):03d}Z"


@functools.lru_cache(maxsize=1)
def _rfc3339_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
