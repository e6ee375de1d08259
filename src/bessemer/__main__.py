"""`python -m bessemer`, and the command `bessemer`: it is there in small installations too, and says what it needs."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; where what it is made of is not installed, say so and exit with 6."""
    try:
        from bessemer.cli import main as command_line
    except ModuleNotFoundError as error:
        from bessemer.core.extras import missing_extra

        asked = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        missing = missing_extra(f"bessemer {asked}".strip(), error)
        if missing is None:
            raise
        sys.stderr.write(f"error: {missing}\n")
        sys.exit(missing.exit_code)
    command_line()


if __name__ == "__main__":
    main()
