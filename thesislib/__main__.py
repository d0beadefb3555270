"""`python -m thesislib` is the `thesis` command."""

import sys

from thesislib.cli import main

sys.exit(main())
