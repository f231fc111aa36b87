#!/usr/bin/env python3
"""What is done to a server by accident and by malice, against a real `kinglet serve`: each fault has the right status, the server goes on
answering, and its resident memory stays flat.

  tests/faults/faults_test.py [--soak SECONDS] [--only NAME]     (KINGLET names the program; default: build/release/kinglet)

The model has random weights. Prints a line for each check; ends with 1 where one failed.
"""
import argparse
import concurrent.futures
import http.client
import json
import pathlib
import random
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))
from served import Server, question, request_bytes, serving, status_of  # noqa: E402
from tiny_model import write_model  # noqa: E402

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def expect(true, *what):
    if not true:
        raise AssertionError(*what)


def still_answers(server):
    status, reply = server.chat()
    expect(status == 200 and reply["choices"][0]["finish_reason"], "the server answers no more", status, reply)


@check
def malformed_bodies(folder):
    bodies = [b"", b"{", b"[]", b"null", b'{"messages": 1}', b"\xff\xfe\x00", b'{"messages": [{"role": "user", "content": "\xc3\x28"}]}',
              b"[" * 100000, b'{"a":' * 50000, b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1e999}',
              b'{"messages": [{"role": 1, "content": "a"}]}', json.dumps(question(unknown_field=1)).encode(),
              json.dumps(question(model="another")).encode()]
    with serving(folder / "tiny") as server:
        for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/api/chat", "/tokenize"):
            for body in bodies:
                status, reply = server.call("POST", path, body)
                expect(400 <= status < 500 and "error" in reply, path, body[:60], status, reply)
        for raw in (b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
                    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100000 + b"\r\n\r\n"):
            with server.connect() as sock:
                try:
                    sock.sendall(raw)
                except ConnectionError:
                    pass  # refused before all of it was sent
                status = status_of(sock)
                expect(status is None or 400 <= status <= 505, raw[:40], status)
        still_answers(server)


@check
def bodies_of_50_mb(folder):
    with serving(folder / "tiny") as server:
        before = server.resident_mb()
        for _ in range(10):
            with server.connect() as sock:
                try:
                    sock.sendall(request_bytes(b"x" * (50 << 20)))
                except ConnectionError:
                    pass
                expect(status_of(sock) in (413, None))
        with server.connect() as sock:  # without a length, piece by piece
            sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
            try:
                for _ in range(50):
                    sock.sendall(piece)
            except ConnectionError:
                pass
            expect(status_of(sock) in (413, None))
        expect(server.resident_mb() < before + 24, "bodies that were refused are kept", before, server.resident_mb())
        still_answers(server)


@check
def parameters_out_of_range(folder):
    huge = 2**70
    wrong = [{"max_tokens": -1}, {"max_tokens": huge}, {"max_tokens": 1.5}, {"n": 0}, {"n": -3}, {"n": 10**9}, {"temperature": -1},
             {"temperature": 1e300}, {"top_p": -0.1}, {"top_p": 7}, {"top_logprobs": 10**6, "logprobs": True}, {"seed": huge * huge},
             {"stop": ["x"] * 1000}, {"stop": ["x" * 10**6]}, {"logit_bias": {"-1": 1}}, {"logit_bias": {"9999999": 1}},
             {"logit_bias": {"5": 1e9}}, {"presence_penalty": 1e9}, {"frequency_penalty": -1e9}, {"top_k": -5}, {"min_p": 3},
             {"messages": [{"role": "user", "content": "x" * 200000}]}, {"messages": [{"role": "user", "content": "x"}] * 200000}]
    with serving(folder / "tiny") as server:
        for fields in wrong:
            status, reply = server.chat(**fields)
            expect(status in (400, 413), fields if len(str(fields)) < 100 else list(fields), status, str(reply)[:200])
        status, reply = server.call("POST", "/v1/completions", {"prompt": [-1, 10**9], "max_tokens": 4})
        expect(status == 400, status, reply)
        still_answers(server)


@check
def slow_readers(folder):
    with serving(folder / "tiny", "--parallel", "8") as server:
        silent = []
        for _ in range(20):
            sock = server.connect()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.sendall(request_bytes(question(stream=True, max_tokens=2000, logprobs=True, top_logprobs=20, logit_bias={"2": -100})))
            silent.append(sock)  # and never reads
        begin = time.monotonic()
        still_answers(server)
        expect(time.monotonic() - begin < 60, "an answer waits for slow readers")
        for sock in silent:
            sock.close()
        expect(server.wait_until_idle(), "answers to readers that are gone go on")


@check
def cut_connections(folder):
    draw = random.Random(1)
    with serving(folder / "tiny", "--parallel", "4") as server:
        for i in range(200):
            with server.connect() as sock:
                whole = request_bytes(question(stream=i % 2 == 0, max_tokens=500, logit_bias={"2": -100}))
                sock.sendall(whole if i % 3 else whole[:draw.randrange(len(whole))])
                if i % 5 == 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no farewell
                time.sleep(draw.random() * 0.02)
        expect(server.wait_until_idle(), "answers to clients that are gone go on")
        still_answers(server)


@check
def idle_connections(folder):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    count = min(10000, limit - 200)
    with serving(folder / "tiny", "--max-connections", str(count + 100), "--idle-seconds", "600") as server:
        before = server.resident_mb()
        idle = [server.connect() for _ in range(count)]
        still_answers(server)
        grown = server.resident_mb() - before
        for sock in idle:
            sock.close()
        still_answers(server)
    with serving(folder / "tiny", "--max-connections", "50") as server:
        idle = [server.connect() for _ in range(200)]  # those beyond the limit are hung up on
        for sock in idle:
            sock.close()
        time.sleep(0.5)
        still_answers(server)
    return f"{count} connections, {grown:.0f} MB"


@check
def schema_bombs(folder):
    chain = {f"d{i}": {"type": "array", "items": {"$ref": f"#/$defs/d{i + 1}"}, "minItems": 9, "maxItems": 9} for i in range(30)} | {"d30": {"type": "null"}}
    deep = {"type": "null"}
    for _ in range(300):
        deep = {"type": "object", "properties": {"a": deep}, "required": ["a"], "additionalProperties": False}
    schemas = [{"type": "array", "items": {"type": "integer"}, "minItems": 10**9}, {"type": "string", "pattern": "^(((a{1000}){1000}){1000})$"},
               {"type": "string", "minLength": 10**9}, {"$defs": chain, "$ref": "#/$defs/d0"}, {"$ref": "#"}, deep,
               {"enum": [f"value {i}" for i in range(300000)]}, {"anyOf": [{"type": "string", "pattern": f"^{i}+$"} for i in range(100000)]},
               {"type": "object", "properties": {f"p{i}": {"type": "integer"} for i in range(20000)}, "additionalProperties": False}]
    with serving(folder / "tiny", "--max-body", "32M") as server:
        before = server.resident_mb()
        for schema in schemas:
            begin = time.monotonic()
            status, reply = server.chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}})
            expect(status in (200, 400), str(schema)[:80], status, str(reply)[:200])
            expect(time.monotonic() - begin < 20, "slow", str(schema)[:80], time.monotonic() - begin)
        expect(server.resident_mb() < before + 400, "schemas take memory", before, server.resident_mb())
        still_answers(server)


@check
def template_bombs(folder):
    loop = "{% for i in range(100000) %}{% for j in range(100000) %}{{ i }}{% endfor %}{% endfor %}"
    grow = "{% set ns = namespace(t='xxxxxxxx') %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}"
    recursive = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"
    for bomb in (loop, grow, recursive):
        template = folder / "bomb.jinja"
        template.write_text(bomb)
        server = Server(folder / "tiny", "--template", str(template))
        if server.refusal is not None:
            expect("Traceback" not in server.refusal and server.refusal.count("\n") <= 2, server.refusal)
            continue
        try:
            begin = time.monotonic()
            status, reply = server.chat()
            expect(400 <= status <= 500 and "error" in reply, bomb, status, str(reply)[:200])
            expect(time.monotonic() - begin < 60, "slow", bomb)
            expect(server.call("GET", "/health")[0] == 200)
        finally:
            expect(server.end() == 0, bomb)


@check
def broken_adapters(folder):
    broken = folder / "adapter"
    for config, weights in ((None, None), ("{", b""), ('{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}', b"\xff" * 64),
                            ('{"peft_type": "LORA", "r": -4, "lora_alpha": 8, "target_modules": ["q_proj"]}', struct.pack("<Q", 2) + b"{}"),
                            ('{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}', struct.pack("<Q", 2**60))):
        shutil.rmtree(broken, ignore_errors=True)
        broken.mkdir()
        if config is not None:
            (broken / "adapter_config.json").write_text(config)
            (broken / "adapter_model.safetensors").write_bytes(weights)
        for word in (str(broken), f"bad={broken}"):
            server = Server(folder / "tiny", "--adapter", word)
            expect(server.refusal is not None and server.process.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT), word, config)
            expect(len(server.refusal.strip().splitlines()) == 1, server.refusal)


@check
def memory_limit_reached(folder):
    server = Server(folder / "tiny", "--memory", "1M")
    expect(server.refusal is not None and server.process.returncode > 0, "a server of one megabyte starts")
    long_ones = [question(messages=[{"role": "user", "content": f"{i} " + "word " * 1200}], max_tokens=64, logit_bias={"2": -100}) for i in range(24)]
    with serving(folder / "tiny", "--memory", "24M", "--parallel", "8") as server:
        with concurrent.futures.ThreadPoolExecutor(24) as clients:
            answers = list(clients.map(lambda body: server.call("POST", "/v1/chat/completions", body), long_ones))
        codes = sorted({status for status, _ in answers})
        expect(set(codes) <= {200, 503}, codes, next((reply for status, reply in answers if status not in (200, 503)), None))
        still_answers(server)
        preempted = server.metric("kinglet_preemptions_total")
    return f"{sum(status == 200 for status, _ in answers)} of {len(answers)} answered, {preempted:.0f} gave up their pages for a while"


def stream_to_end(server, results, tokens):
    text = b""
    try:
        with server.connect() as sock:
            sock.sendall(request_bytes(question(stream=True, max_tokens=tokens, logit_bias={"2": -100})))
            while piece := sock.recv(65536):
                text += piece
                if b"data: [DONE]" in piece:
                    break
    except OSError:
        pass
    results.append(text)


@check
def told_to_end_under_load(folder):
    server = Server(folder / "tiny", "--parallel", "4")
    results = []
    clients = [threading.Thread(target=stream_to_end, args=(server, results, 300)) for _ in range(8)]
    for client in clients:
        client.start()
    time.sleep(0.3)
    code = server.end()
    for client in clients:
        client.join()
    begun = [text for text in results if b"HTTP/1.1 200" in text]
    expect(code == 0, "exit", code)
    expect(all(b"data: [DONE]" in text for text in begun), "an answer that had begun was cut")
    return f"{len(begun)} of {len(results)} were being answered, and were to the end"


@check
def killed_and_started_again(folder):
    server = Server(folder / "tiny")
    for _ in range(3):
        results = []
        clients = [threading.Thread(target=stream_to_end, args=(server, results, 4000)) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(0.3)
        port = server.port
        expect(server.end(signal.SIGKILL) == -signal.SIGKILL)
        for client in clients:
            client.join()
        server = Server(folder / "tiny", port=port)
        expect(server.refusal is None, server.refusal)
        still_answers(server)
    expect(server.end() == 0)


@check
def tls(folder):
    """With a certificate of our own making: handshakes, and what is none."""
    if shutil.which("openssl") is None:
        return "skipped: no openssl here to make a certificate"
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    trusting = ssl.create_default_context(cafile=certificate)
    wrong = Server(folder / "tiny", "--tls-certificate", str(key), "--tls-key", str(certificate))
    expect(wrong.refusal is not None and len(wrong.refusal.strip().splitlines()) == 1, "certificate and key are swapped", wrong.refusal)
    with serving(folder / "tiny", "--tls-certificate", str(certificate), "--tls-key", str(key)) as server:
        for raw in (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00" + b"\xff" * 512, b""):
            with server.connect(5) as sock:  # no handshake: hung up on, or waited for
                sock.sendall(raw)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            trusting.minimum_version = trusting.maximum_version = version
            connection = http.client.HTTPSConnection("localhost", server.port, context=trusting, timeout=60)
            connection.request("POST", "/v1/chat/completions", json.dumps(question(stream=True)))
            expect(b"[DONE]" in connection.getresponse().read(), version)
            connection.close()


@check
def socket_activation(folder):
    """The socket stands before the server, and while it starts again: who connects meanwhile waits and is answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(2):
            with socket.create_connection(listener.getsockname(), timeout=60) as early:
                early.sendall(request_bytes(question()))
                server = Server(folder / "tiny", listener=listener)
                expect(server.refusal is None, server.refusal)
                expect(server.port == listener.getsockname()[1])
                expect(status_of(early) == 200)
            still_answers(server)
            expect(server.end() == 0)


def soak_client(server, until, seed, counts):
    draw = random.Random(seed)
    while time.monotonic() < until:
        kind = draw.choice(("whole", "whole", "stream", "cut", "wrong", "schema", "embed", "long"))
        try:
            if kind in ("stream", "cut"):
                with server.connect() as sock:
                    sock.sendall(request_bytes(question(stream=True, max_tokens=draw.randrange(1, 200), temperature=1, seed=draw.randrange(10**6))))
                    if kind == "stream":
                        while piece := sock.recv(65536):
                            if b"[DONE]" in piece:
                                break
                good = True
            elif kind == "wrong":
                good = server.call("POST", "/v1/chat/completions", bytes(draw.randrange(256) for _ in range(draw.randrange(300))))[0] == 400
            elif kind == "schema":
                schema = {"type": "object", "properties": {f"p{draw.randrange(10**6)}": {"type": "integer"}}, "required": []}
                good = server.chat(max_tokens=40, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})[0] == 200
            elif kind == "embed":
                good = server.call("POST", "/v1/embeddings", {"input": ["text " * draw.randrange(1, 50)] * 3})[0] == 200
            else:
                words = 600 if kind == "long" else 10
                text = " ".join(str(draw.randrange(1000)) for _ in range(draw.randrange(1, words)))
                good = server.chat(messages=[{"role": "user", "content": text}], max_tokens=draw.randrange(1, 60))[0] == 200
        except OSError:
            good = False
        counts[(kind, good)] = counts.get((kind, good), 0) + 1


def soak(folder, seconds):
    """Everything at once for a while: after the first quarter resident memory is flat."""
    with serving(folder / "tiny", "--parallel", "6", "--cache-memory", "8M", "--grammar-memory", "4M") as server:
        until, counts, samples = time.monotonic() + seconds, {}, []
        clients = [threading.Thread(target=soak_client, args=(server, until, seed, counts)) for seed in range(8)]
        for client in clients:
            client.start()
        while time.monotonic() < until:
            samples.append(server.resident_mb())
            time.sleep(min(1, seconds / 60))
        for client in clients:
            client.join()
        expect(server.wait_until_idle(), "something goes on for nobody")
        bad = {kind: n for (kind, good), n in counts.items() if not good}
        expect(not bad, "wrong answers", bad)
        quarter = max(1, len(samples) // 4)
        early, late = max(samples[quarter:2 * quarter]), max(samples[-quarter:])
        expect(late <= early * 1.05 + 4, "memory grows", early, late)
    return f"{sum(counts.values())} requests in {seconds} s, {early:.1f} MB resident in the second quarter, {late:.1f} MB in the last"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soak", type=int, default=120, help="seconds of everything at once; 0: none")
    parser.add_argument("--only", default="", help="only the checks whose name contains this")
    words = parser.parse_args()
    checks = [(c.__name__, c) for c in CHECKS]
    if words.soak > 0:
        checks.append(("soak", lambda folder: soak(folder, words.soak)))
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_model(folder / "tiny")
        for name, function in checks:
            if words.only not in name:
                continue
            begin = time.monotonic()
            try:
                said = function(folder)
                print(f"ok      {name} ({time.monotonic() - begin:.1f} s){': ' + said if said else ''}", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
