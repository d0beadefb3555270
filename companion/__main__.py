"""`python -m companion` is the `thesis` command."""

import sys

from companion.cli.main import main

sys.exit(main())
