"""`python -m workpool_aws`: the command `workpool`, where its script is not on the path."""

from __future__ import annotations

import sys

from workpool_aws.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
