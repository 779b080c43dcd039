"""Writes docs/overview.schema.json from the types of `daemon.overview`: python -m tests.daemon.overview.publish_schema"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from daemon.overview import Overview

SCHEMA = Path(__file__).parents[3] / "docs" / "overview.schema.json"


def schema() -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Overview)}


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n")
