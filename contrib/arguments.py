"""What the programs here have in common on their command lines."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path


def count(text: str) -> int:
    """For `type=`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def add_place(parser: argparse.ArgumentParser) -> None:
    """`place` and `plain`, for `Places.at`."""
    parser.add_argument(
        "--place",
        type=Path,
        default=Path(tempfile.gettempdir()),
        metavar="DIR",
        help="on the disk to measure (default %(default)s); with root, files there are mounted as ext4",
    )
    parser.add_argument("--plain", action="store_true", help="new directories in the place instead of new file systems")
