#!/usr/bin/env python3
"""One measurement of OpenVINO GenAI: prompt and decode speed at depth 0.

usage: ov_genai.py MODEL.gguf [--threads N] [--prompt P] [--gen N] [--repeat R]

Prints one JSON line for each test with the fields of `kinglet bench --json`. It reads GGUF files of some architectures (Llama, Qwen2, Qwen3)
and types (Q4_0, Q4_K, Q6_K, Q8_0, F16 ...); another file is an error. The prompt's speed is of the time to the first token, decode's of the mean
time of those that follow. Each repetition has a prompt of its own, since the pipeline keeps the keys and values of earlier ones.
"""
import argparse
import json
import os
import resource
import statistics
import time

import numpy
import openvino
import openvino_genai

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--prompt", type=int, default=512)
parser.add_argument("--gen", type=int, default=64)
parser.add_argument("--repeat", type=int, default=3)
words = parser.parse_args()

start = time.monotonic()
pipeline = openvino_genai.LLMPipeline(words.model, "CPU", INFERENCE_NUM_THREADS=words.threads)
load_seconds = time.monotonic() - start
config = openvino_genai.GenerationConfig()
config.max_new_tokens = max(words.gen, 1) + 1
config.ignore_eos = True
config.do_sample = False
config.apply_chat_template = False

prompts, decodes = [], []
for run in range(words.repeat + 1):
    ids = numpy.array([[(i * 7919 + 13 + run * 101) % 100000 + 100 for i in range(words.prompt)]], dtype=numpy.int64)
    inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(numpy.ones_like(ids)))
    figures = pipeline.generate(inputs, config).perf_metrics
    assert figures.get_num_input_tokens() == words.prompt and figures.get_num_generated_tokens() == config.max_new_tokens
    prompts.append(1000 * words.prompt / figures.get_ttft().mean)
    decodes.append(1000 / figures.get_tpot().mean)

for test, count, speeds in (("prompt", words.prompt, prompts[1:]), ("decode", words.gen, decodes[1:])):
    print(json.dumps({
        "peer": "OpenVINO GenAI", "version": openvino_genai.__version__, "model": os.path.basename(words.model), "test": test,
        "tokens": count, "depth": 0, "threads": words.threads, "tok_per_s": round(statistics.median(speeds), 2),
        "low": round(min(speeds), 2), "high": round(max(speeds), 2), "load_s": round(load_seconds, 2),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}), flush=True)
