"""What the programs here have in common on their command lines."""

from __future__ import annotations

import argparse


def count(text: str) -> int:
    """For `type=`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)
