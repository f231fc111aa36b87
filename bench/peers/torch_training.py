#!/usr/bin/env python3
"""One training run of PyTorch (with transformers and peft) on the CPU, in f32, on given token ids.

usage: torch_training.py MODEL --data ROWS.jsonl --batch B --steps N [--held-out ROWS.jsonl] [--mode full|lora] [--compile] [...]

MODEL is a .gguf file, a folder with weights, or one with a config.json alone (random weights of that shape). A row is
{"input_ids": [...]}; all rows of a file have one length, every token but the first is a target, and each step takes the next B rows.
AdamW, fused; the learning rate climbs over --warmup steps and falls to --min-lr along a cosine (constant without --min-lr).

Prints one JSON line for each step (loss, seconds) and one at the end: seconds of all steps, the loss on the held-out rows, and the
peak memory.
"""
import argparse
import json
import math
import os
import resource
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM


def load(path):
    if path.endswith(".gguf"):
        folder, name = os.path.split(os.path.abspath(path))
        return AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    if os.path.exists(os.path.join(path, "model.safetensors")):
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path), dtype=torch.float32)


def rows_of(path):
    with open(path) as lines:
        return torch.tensor([json.loads(line)["input_ids"] for line in lines])


def rate(words, step):
    if step < words.warmup:
        return words.lr * (step + 1) / words.warmup
    if words.min_lr is None:
        return words.lr
    done = (step - words.warmup) / max(words.steps - words.warmup, 1)
    return words.min_lr + (words.lr - words.min_lr) * (1 + math.cos(math.pi * done)) / 2


def held_out_loss(model, rows, batch):
    model.eval()
    with torch.no_grad():
        losses = [(model(input_ids=x, labels=x).loss.item(), len(x)) for x in rows.split(batch)]
    return sum(loss * n for loss, n in losses) / len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--held-out")
    parser.add_argument("--mode", choices=("full", "lora"), default="full")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--min-lr", type=float)
    parser.add_argument("--warmup", type=int, default=0)
    parser.add_argument("--betas", default="0.9,0.95")
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    torch.manual_seed(0)
    model = load(words.model)
    if words.mode == "lora":
        model = get_peft_model(model, LoraConfig(r=words.rank, lora_alpha=2 * words.rank, target_modules="all-linear"))
    model.train()
    run = torch.compile(model) if words.compile else model
    trained = [p for p in model.parameters() if p.requires_grad]
    betas = tuple(float(b) for b in words.betas.split(","))
    groups = [{"params": [p for p in trained if p.dim() > 1], "weight_decay": words.weight_decay},
              {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=words.lr, betas=betas, fused=True)
    rows, total = rows_of(words.data), 0.0
    for step in range(words.steps):
        x = rows[step * words.batch:(step + 1) * words.batch]
        begin = time.monotonic()
        loss = run(input_ids=x, labels=x).loss
        loss.backward()
        if words.clip:
            torch.nn.utils.clip_grad_norm_(trained, words.clip)
        for group in optimizer.param_groups:
            group["lr"] = rate(words, step)
        optimizer.step()
        optimizer.zero_grad()
        seconds = time.monotonic() - begin
        total += seconds
        print(json.dumps({"step": step, "loss": loss.item(), "seconds": seconds}), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    report = {"peer": "torch " + torch.__version__, "seconds": total, "peak_rss_mb": peak}
    if words.held_out:
        report["held_out_loss"] = held_out_loss(model, rows_of(words.held_out), words.batch)
    print(json.dumps(report))


main()
