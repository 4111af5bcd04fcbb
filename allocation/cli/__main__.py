"""`python -m allocation.cli`: the same command without the console script."""

from __future__ import annotations

from allocation.cli import main

if __name__ == "__main__":
    main()
