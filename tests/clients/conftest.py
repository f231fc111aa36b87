"""Real `kinglet serve` processes for the tests: KINGLET names the program, KINGLET_SERVED_MODEL a model that can answer with sense."""

import json
import os
import subprocess
from types import SimpleNamespace

import openai
import pytest

from tiny_model import write_model

PROGRAM = os.environ.get("KINGLET", "build/release/kinglet")


def serve(model, name, log):
    process = subprocess.Popen([PROGRAM, "serve", str(model), "--port", "0", "--parallel", "4"],
                               stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    if not line.startswith("{"):
        pytest.exit(f"kinglet serve did not start: {line}{process.stderr.read()}", 1)
    url = json.loads(line)["url"]
    log.write(line)
    client = openai.OpenAI(base_url=url + "/v1", api_key="none-is-needed", max_retries=0, timeout=300)
    # What the server logs must be read, or it waits for us.
    drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=log)
    return SimpleNamespace(url=url, client=client, model=name, process=process, drain=drain)


def stop(server):
    server.process.terminate()
    assert server.process.wait(timeout=60) == 0
    server.drain.wait(timeout=10)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A server whose model has random weights."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_model(folder)
    with open(folder.parent / "tiny.log", "w") as log:
        server = serve(folder, "tiny", log)
        yield server
        stop(server)


@pytest.fixture(scope="session")
def able(tmp_path_factory):
    """A server whose model understands: skipped by name where it is not there."""
    model = os.environ.get("KINGLET_SERVED_MODEL", "")
    if not model:
        pytest.skip("no model in the cache that answers with sense: `kinglet pull qwen2.5-coder-0.5b`")
    with open(tmp_path_factory.mktemp("logs") / "able.log", "w") as log:
        server = serve(model, model, log)
        yield server
        stop(server)
