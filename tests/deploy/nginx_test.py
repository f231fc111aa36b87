#!/usr/bin/env python3
"""deploy/nginx before two replicas on loopback: conversations keep their replica, and no request that has not begun to stream is
lost when a replica is killed under load.

  tests/deploy/nginx_test.py [PROGRAM] [MODEL]    (default: build/release/kinglet, qwen2.5-coder-0.5b)

Needs Debian's nginx; ends with 77 (skipped) where it is absent.
"""
import collections, http.client, json, pathlib, re, shutil, signal, socket, subprocess, sys, tempfile, threading, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build/release/kinglet")
MODEL = sys.argv[2] if len(sys.argv) > 2 else "qwen2.5-coder-0.5b"
CLIENTS, SECONDS_BEFORE, SECONDS_AFTER = 8, 4, 8


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def wait_for(port, path="/health", seconds=60):
    for _ in range(seconds * 10):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"nothing answers on port {port}")


def start_replica(port):
    words = [PROGRAM, "serve", MODEL, "--port", str(port), "--ctx", "2048", "-t", "1", "--parallel", "4"]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start_nginx(folder, port, replicas):
    """The configuration as it is in deploy/, with these ports."""
    site = (ROOT / "deploy/nginx/kinglet.conf").read_text()
    for old, new in zip(("127.0.0.1:8081", "127.0.0.1:8082"), replicas):
        site = site.replace(old, f"127.0.0.1:{new}")
    site = re.sub(r"listen 8080;", f"listen 127.0.0.1:{port};", site)
    (folder / "nginx.conf").write_text(
        f"worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events { worker_connections 256; }\n"
        "http {\n  log_format upstream '$http_x_conversation_id $upstream_addr $status';\n"
        f"  access_log {folder}/access.log upstream;\n"
        + "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        + site + "\n}\n"
    )
    return subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf", "-p", str(folder), "-g", "daemon off;"])


def ask(port, conversation, tokens=24):
    """'whole', 'lost' (an error before the first byte of the answer) or 'cut' (after it)."""
    body = {"messages": [{"role": "user", "content": f"Count upwards. {conversation}"}], "stream": True, "temperature": 0,
            "max_tokens": tokens}
    begun = False
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"X-Conversation-Id": conversation})
        response = connection.getresponse()
        if response.status != 200:
            return "lost"
        text = b""
        while piece := response.read1():
            begun = True
            text += piece
        return "whole" if b"[DONE]" in text else "cut" if begun else "lost"
    except (OSError, http.client.HTTPException):
        return "cut" if begun else "lost"


def load(port, stop, counts, lock, client):
    number = 0
    while not stop.is_set():
        number += 1
        outcome = ask(port, f"load-{client}-{number}")
        with lock:
            counts[outcome] += 1


def replicas_of(folder, conversation):
    lines = [line.split() for line in (folder / "access.log").read_text().splitlines()]
    return [line[1] for line in lines if line[0] == conversation]


def check_affinity(folder, port):
    used = set()
    for i in range(6):
        for _ in range(3):
            assert ask(port, f"talk-{i}", 2) == "whole"
        replicas = set(replicas_of(folder, f"talk-{i}"))
        assert len(replicas) == 1, f"conversation {i} went to {replicas}"
        used |= replicas
    assert len(used) == 2, "both replicas have conversations"
    print("affinity: 6 conversations of 3 turns, each on one replica, both replicas in use")


def check_kill(port, replica):
    counts, lock, stop = collections.Counter(), threading.Lock(), threading.Event()
    threads = [threading.Thread(target=load, args=(port, stop, counts, lock, i)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(SECONDS_BEFORE)
    replica.send_signal(signal.SIGKILL)
    with lock:
        before = dict(counts)
    time.sleep(SECONDS_AFTER)
    stop.set()
    for thread in threads:
        thread.join()
    print(f"kill -9 of one of two replicas under {CLIENTS} clients: before {before}, in all {dict(counts)}")
    assert before.get("whole", 0) > 0 and counts["whole"] > before["whole"], "answers before and after"
    assert counts["lost"] == 0, f"{counts['lost']} requests were lost before their answer began"
    assert counts["cut"] <= CLIENTS, "at most those that were streaming were cut"


def main():
    if shutil.which("nginx") is None:
        print("skipped: nginx is not installed")
        return 77
    ports = free_ports(3)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        replicas = [start_replica(port) for port in ports[:2]]
        proxy = None
        try:
            for port in ports[:2]:
                wait_for(port)
            proxy = start_nginx(folder, ports[2], ports[:2])
            wait_for(ports[2])
            check_affinity(folder, ports[2])
            check_kill(ports[2], replicas[0])
        finally:
            for process in [proxy, *replicas]:
                if process is not None and process.poll() is None:
                    process.terminate()
                    process.wait()
    print("nginx: all good")
    return 0


if __name__ == "__main__":
    sys.exit(main())
