"""Train the demo's backbone on the pretext task and put its weights into the package.

    python benchmarks/demo_backbone.py [RUNS_DIR]

Needed only where pretext images, network or recipe change: every number of the demo hangs on this file. Rounding of
another processor gives other weights of the same quality, so the file is kept, not made at installation.
"""

import shutil
import sys
from pathlib import Path

from companion import settings
from companion.datasets.demo.weights import FILE
from companion.pipeline import engine
from companion.pipeline.artefacts import BACKBONE_WEIGHTS, PRETEXT_ACCURACY
from companion.pipeline.stages import backbone
from companion.pipeline.store import Store
from companion.settings import Machine
from thesislib.models.weights import file_digest


def main() -> None:
    """Train, copy, and print what docs/demo.md says of the file."""
    store = Store(Path(sys.argv[1] if len(sys.argv) > 1 else "runs").resolve())
    stage = backbone.stage(settings.load("demo", {"backbone.weights": backbone.PRETEXT}), Machine(device="cpu"))
    engine.run([stage], store)
    shutil.copyfile(store.folder(stage) / BACKBONE_WEIGHTS, FILE)
    print((store.folder(stage) / PRETEXT_ACCURACY).read_text())
    print(f"{FILE}: {FILE.stat().st_size} bytes, SHA-256 {file_digest(FILE, 'sha256')}")


if __name__ == "__main__":
    main()
