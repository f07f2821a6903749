"""``python -m inforeg_sk diagnose data.npz``: see ``python -m inforeg_sk diagnose --help``."""

import sys

from .inspection.command import main

if __name__ == "__main__":
    sys.exit(main())
