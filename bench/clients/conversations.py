"""Clients that hold conversations with a server of OpenAI's chat API; locust runs them, bench/load starts it.

Each client holds one conversation of two turns after the other: the shared system prompt, a text of one of several lengths with a question
about it, the answer as it streams, and a short second question. What client 3 says in its fifth conversation is the same for every server.
Its first conversation warms the server up: one turn, a short text and a short answer. The measured window begins when all clients are through with theirs, and every request, with
the time of each piece of its answer, becomes one line of the file LOAD_OUT.

LOAD_SPEC names a JSON file: {"model", "system", "text", "lengths" (characters), "answers" (tokens), "clients", "seconds", "warm_up_limit"}.
"""
import json
import os
import pathlib
import random
import time

import gevent
from locust import FastHttpUser, constant, events, task

SPEC = json.loads(pathlib.Path(os.environ["LOAD_SPEC"]).read_text())
SECOND_QUESTION = "Now say the same in two short sentences."


class Window:
    """When measuring begins, and what is measured."""

    def __init__(self):
        self.out = open(os.environ["LOAD_OUT"], "w", encoding="utf-8")
        self.started = time.monotonic()
        self.warm = 0
        self.begin = None

    def client_is_warm(self, runner):
        self.warm += 1
        if self.warm == SPEC["clients"]:
            self.open(runner)

    def open(self, runner):
        if self.begin is not None:
            return
        self.begin = time.monotonic()
        self.write({"window": self.begin, "seconds": SPEC["seconds"], "warm_up": self.begin - self.started, "warm_clients": self.warm})
        gevent.spawn_later(SPEC["seconds"], runner.quit)

    def write(self, entry):
        self.out.write(json.dumps(entry) + "\n")
        self.out.flush()


@events.test_start.add_listener
def start(environment, **_):
    environment.window = Window()
    gevent.spawn_later(SPEC["warm_up_limit"], environment.window.open, environment.runner)


class Client(FastHttpUser):
    wait_time = constant(0)
    network_timeout = connection_timeout = 600.0
    born = 0

    def on_start(self):
        self.number = Client.born
        Client.born += 1
        self.held = 0

    @task
    def conversation(self):
        draw = random.Random(self.number * 100003 + self.held)
        warming = self.held == 0
        length = SPEC["lengths"][0] if warming else draw.choice(SPEC["lengths"])
        begin = draw.randrange(len(SPEC["text"]) - length)
        question = SPEC["text"][begin:begin + length] + "\n\nExplain in detail what this text is about."
        messages = [{"role": "system", "content": SPEC["system"]}, {"role": "user", "content": question}]
        answer = self.ask(1, messages, SPEC["answers"][0] if warming else draw.choice(SPEC["answers"]))
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": SECOND_QUESTION}]
        if not warming:
            self.ask(2, messages, draw.choice(SPEC["answers"]))
        self.held += 1
        if self.held == 1:
            self.environment.window.client_is_warm(self.environment.runner)

    def ask(self, turn, messages, tokens):
        body = {"model": SPEC["model"], "messages": messages, "max_tokens": tokens, "temperature": 0, "stream": True,
                "stream_options": {"include_usage": True}}
        record = {"client": self.number, "conversation": self.held, "turn": turn, "begin": time.monotonic(), "pieces": [], "usage": None}
        text = ""
        try:
            with self.client.post("/v1/chat/completions", json=body, stream=True, catch_response=True, name=f"turn {turn}") as response:
                if response.status_code != 200:
                    record["error"] = f"{response.status_code}: {response.text[:300]}"
                    response.failure(f"status {response.status_code}")
                    return text
                for line in iter(lambda: response.stream.readline(b"\n"), b""):
                    if not line.startswith(b"data: {"):
                        continue
                    event = json.loads(line[6:])
                    if "error" in event:
                        record["error"] = f"in the stream: {json.dumps(event)[:300]}"
                        response.failure("an error in the stream")
                        return text
                    record["usage"] = event.get("usage") or record["usage"]
                    for choice in event["choices"]:
                        piece = choice["delta"].get("content")
                        if piece:
                            record["pieces"].append(time.monotonic())
                            text += piece
                response.success()
        finally:  # also where the window's end cuts it off
            record["end"] = time.monotonic()
            self.environment.window.write(record)
        return text
