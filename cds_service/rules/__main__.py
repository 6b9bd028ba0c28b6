"""``python -m cds_service.rules``: print the table of the rules that stands in ``docs/rules.md``."""

from __future__ import annotations

import sys

from cds_service.rules.registry import rule_table

if __name__ == "__main__":
    sys.stdout.write(rule_table())
