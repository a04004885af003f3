"""``python -m deploy.local``: the demo."""

from __future__ import annotations

import sys

from deploy.local.demo import main

if __name__ == "__main__":
    sys.exit(main())
