"""A `kinglet serve` of bench scripts' own: what it is asked, and what it counts."""
import json
import re
import subprocess
import urllib.request


class Server:
    """`words` has kinglet, model and threads; `more` are further words of `kinglet serve`."""

    def __init__(self, words, *more):
        command = [words.kinglet, "serve", words.model, "--port", "0", "--threads", str(words.threads), "--ctx", "4096", *more]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.url = json.loads(self.process.stderr.readline())["url"]

    def chat(self, request):
        """The first choice of a chat completion."""
        body = json.dumps(request).encode()
        call = urllib.request.Request(self.url + "/v1/chat/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(call) as reply:
            return json.load(reply)["choices"][0]

    def counters(self, names):
        """The named lines of /metrics, of the one model that is served."""
        with urllib.request.urlopen(self.url + "/metrics") as reply:
            page = reply.read().decode()
        return {name: float(re.search(rf"^kinglet_{name}\{{.*\}} (\S+)$", page, re.M).group(1)) for name in names}

    def end(self):
        self.process.terminate()
        self.process.wait()
