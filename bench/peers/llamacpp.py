#!/usr/bin/env python3
"""One measurement of llama.cpp (through its Python package): prompt or decode speed at a depth.

usage: llamacpp.py MODEL.gguf [--threads N] [--prompt P] [--gen N] [--depth D,...] [--repeat R] [--flash 0|1]

Prints one JSON line for each test and depth with the fields of `kinglet bench --json`: the prompt test evaluates P tokens in one
batch behind D tokens of context, the decode test N single tokens. The first of each is a warm-up.
"""
import argparse
import json
import os
import resource
import statistics
import time

import llama_cpp
from llama_cpp import Llama

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--prompt", type=int, default=512)
parser.add_argument("--gen", type=int, default=64)
parser.add_argument("--depth", default="0")
parser.add_argument("--repeat", type=int, default=3)
parser.add_argument("--flash", type=int, default=0)
words = parser.parse_args()

depths = [int(d) for d in words.depth.split(",")]
context = max(depths) + max(words.prompt, words.gen) + 8
start = time.monotonic()
model = Llama(words.model, n_ctx=context, n_batch=2048, n_ubatch=512, n_threads=words.threads, n_threads_batch=words.threads,
              verbose=False, flash_attn=bool(words.flash))
load_seconds = time.monotonic() - start
vocabulary = model.n_vocab()
ids = [(i * 7919 + 13) % (vocabulary - 300) + 100 for i in range(context)]
memory = llama_cpp.llama_get_memory(model._ctx.ctx)


def evaluate(tokens):
    model.eval(tokens)
    llama_cpp.llama_synchronize(model._ctx.ctx)


def run_test(test, count, depth):
    for _ in range(words.repeat + 1):
        llama_cpp.llama_memory_seq_rm(memory, 0, depth, -1)
        model.n_tokens = depth
        begin = time.monotonic()
        if test == "prompt":
            evaluate(ids[depth:depth + count])
        else:
            for i in range(count):
                evaluate([ids[depth + i]])
        yield count / (time.monotonic() - begin)


for depth in depths:
    model.reset()
    llama_cpp.llama_memory_clear(memory, True)
    if depth:
        evaluate(ids[:depth])
    for test, count in (("prompt", words.prompt), ("decode", words.gen)):
        if count == 0:
            continue
        speeds = list(run_test(test, count, depth))[1:]
        print(json.dumps({
            "peer": "llama.cpp", "version": llama_cpp.__version__, "model": os.path.basename(words.model), "test": test,
            "tokens": count, "depth": depth, "threads": words.threads, "tok_per_s": round(statistics.median(speeds), 2),
            "low": round(min(speeds), 2), "high": round(max(speeds), 2), "load_s": round(load_seconds, 2),
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}), flush=True)
os._exit(0)
