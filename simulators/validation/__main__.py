"""Write the page of the documentation: ``python -m simulators.validation [FILE]``."""

import sys
from pathlib import Path

from simulators.validation import page, validate

Path(sys.argv[1] if len(sys.argv) > 1 else "docs/energy-validation.md").write_text(page(validate()), encoding="utf-8")
