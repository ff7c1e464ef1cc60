"""`python -m tests.support.demo FOLDER`: the vault of .ci/demo, with the password that lies in FOLDER/password."""

import sys
from pathlib import Path

from tests.support import chronos

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    chronos.make_vault(folder / "demo.kdbx", (folder / "password").read_text())
