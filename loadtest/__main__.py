"""The command line: which command it is, and what the exceptions of all of them mean to the shell. Exit codes: `commands`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from loadtest.arguments import parser
from loadtest.commands import COMMANDS, EXIT_HARNESS_ERROR, EXIT_INTERRUPTED, EXIT_UNREACHABLE, EXIT_USAGE
from loadtest.errors import BadScenario, HarnessError, TargetUnreachable
from loadtest.units import visible


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` and returns the exit code. Raises `SystemExit` for bad flags, as argparse does."""
    arguments = parser().parse_args(argv)
    arguments.argv = tuple(sys.argv[1:] if argv is None else argv)
    try:
        return COMMANDS[arguments.command](arguments)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BadScenario as error:
        return _complain(error, EXIT_USAGE)
    except TargetUnreachable as error:
        return _complain(error, EXIT_UNREACHABLE)
    except (HarnessError, OSError) as error:
        return _complain(error, EXIT_HARNESS_ERROR)


def _complain(error: Exception, code: int) -> int:
    print(f"boatyard-load: {visible(str(error))}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
