#!/usr/bin/env python3
"""Perplexity of a text by llama.cpp (through its Python package), as its program llama-perplexity defines it.

usage: llamacpp_perplexity.py MODEL.gguf TEXT [--threads N] [--chunks N] [--ctx 512]

Every chunk is read on its own, with BOS in place of its first token where the model adds one; the second half is scored. Prints one
JSON line with the fields of `kinglet perplexity --json` that both have.
"""
import argparse
import json
import math
import os
import pathlib

import llama_cpp
import numpy

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("text")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--chunks", type=int, default=0)
parser.add_argument("--ctx", type=int, default=512)
words = parser.parse_args()

model = llama_cpp.Llama(words.model, n_ctx=words.ctx, n_batch=words.ctx, logits_all=True, n_threads=words.threads,
                        n_threads_batch=words.threads, verbose=False)
text = pathlib.Path(words.text).read_bytes()
tokens = model.tokenize(text[:-1] if text.endswith(b"\n") else text, add_bos=True, special=False)
adds_bos = llama_cpp.llama_vocab_get_add_bos(llama_cpp.llama_model_get_vocab(model._model.model))
chunks = len(tokens) // words.ctx
chunks = min(words.chunks, chunks) if words.chunks else chunks

total = scored = 0
for chunk in range(chunks):
    part = tokens[chunk * words.ctx:(chunk + 1) * words.ctx]
    if adds_bos:
        part[0] = model.token_bos()
    model.reset()
    model.eval(part)
    for i in range(words.ctx // 2, words.ctx - 1):
        row = model.scores[i].astype(numpy.float64)
        top = row.max()
        total += math.log(numpy.exp(row - top).sum()) + top - row[part[i + 1]]
        scored += 1
print(json.dumps({"peer": "llama.cpp", "version": llama_cpp.__version__, "perplexity": math.exp(total / scored), "chunks": chunks}))
