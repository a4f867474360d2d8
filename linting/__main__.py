"""`python -m linting` prints the tables of docs/lint.md."""

from __future__ import annotations

from linting.rules import markdown

if __name__ == "__main__":
    print(markdown())
