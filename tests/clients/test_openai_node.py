"""The official openai package of npm, in its own process (openai.test.mjs)."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def test_the_npm_package(tiny):
    modules = os.environ.get("KINGLET_NODE_FOLDER", "")
    if not modules or shutil.which("node") is None:
        pytest.skip("no node, or no folder with its openai package (tools/ci/clients makes it)")
    # Modules are looked for beside the script.
    script = shutil.copy(Path(__file__).with_name("openai.test.mjs"), modules)
    done = subprocess.run(["node", "--test", script], env={**os.environ, "KINGLET_URL": tiny.url, "KINGLET_MODEL": tiny.model},
                          capture_output=True, text=True, timeout=120)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout
