"""One cell of the table, in a process of its own: `python -m contrib.bench_actors.cell SUBJECT MEASURE COUNT`.

Its last line of output is the answer, as JSON: the figures, or the reason why there are none. It fails with a traceback.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from contrib.bench_actors import loops
from contrib.bench_actors.contract import Measure
from contrib.bench_actors.subjects import BY_KEY


def main(argv: Sequence[str]) -> int:
    key, measure, count = argv[0], Measure(argv[1]), int(argv[2])
    library = BY_KEY[key].load()
    reason = library.absent.get(measure)
    answer = {"figures": loops.run(library, measure, count)} if reason is None else {"absent": reason}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
