"""A `kinglet serve` to be mistreated, and what the faults need of HTTP: plain sockets, so that every byte is ours."""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

PROGRAM = os.environ.get("KINGLET", str(pathlib.Path(__file__).resolve().parents[2] / "build/release/kinglet"))


class Server:
    def __init__(self, model, *words, port=0, listener=None):
        command = [PROGRAM, "serve", str(model), "--port", str(port), "-t", "1", *words]
        passed = {}
        if listener is not None:  # as systemd hands it over: descriptor 3, and the process named
            number = listener.fileno()
            command = ["bash", "-c", f'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" 3<&{number}', "bash", *command]
            passed = {"pass_fds": [number]}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **passed)
        line = self.process.stderr.readline()
        self.refusal = None if line.startswith("{") else line + self.process.stderr.read()
        if self.refusal is not None:
            self.process.wait(60)
            return
        self.port = int(json.loads(line)["url"].rsplit(":", 1)[1])
        # What it logs must be read, or it waits for us.
        self.log = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def resident_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def end(self, how=signal.SIGTERM, seconds=60):
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(seconds)
        self.log.wait(10)
        return code

    def connect(self, seconds=60):
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def call(self, method, path, body=None, seconds=120):
        """Status and JSON (or text) of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        with contextlib.closing(connection):
            data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": "application/json"} if data is not None else {})
            response = connection.getresponse()
            text = response.read()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text.decode(errors="replace")

    def chat(self, **fields):
        return self.call("POST", "/v1/chat/completions", question(**fields))

    def metric(self, name):
        _, text = self.call("GET", "/metrics")
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    def wait_until_idle(self, seconds=30):
        for _ in range(seconds * 10):
            if self.metric("kinglet_open_requests") == 0:
                return True
            time.sleep(0.1)
        return False


def question(**fields):
    return {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8, "temperature": 0, **fields}


def request_bytes(body, path="/v1/chat/completions", length=None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data) if length is None else length}\r\n\r\n"
    return head.encode() + data


def status_of(sock):
    """The status of an answer, or None where the other side hung up without one."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while b"\r\n" not in data:
            piece = sock.recv(4096)
            if not piece:
                break
            data += piece
    return int(data.split()[1]) if data.startswith(b"HTTP/") else None


@contextlib.contextmanager
def serving(model, *words, port=0):
    server = Server(model, *words, port=port)
    if server.refusal is not None:
        raise AssertionError(f"kinglet serve did not start: {server.refusal}")
    try:
        yield server
    finally:
        code = server.end()
    if code != 0:
        raise AssertionError(f"kinglet serve ended with {code}")
