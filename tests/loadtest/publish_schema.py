"""Writes docs/loadtest.schema.json from the types of `loadtest.document`: python -m tests.loadtest.publish_schema"""

from __future__ import annotations

import json

from loadtest import document
from tests.loadtest.test_document import SCHEMA

if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(document.schema(), indent=2) + "\n")
