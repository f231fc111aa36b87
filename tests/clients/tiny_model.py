"""A model of random weights as a Hugging Face directory: everything of the interface can be tried with it, and nothing of sense."""

import json
import random
import shutil
import struct
import sys
from pathlib import Path

WIDTH, FEED_FORWARD, LAYERS, HEADS, KV_HEADS, VOCABULARY = 64, 160, 2, 4, 2, 320
CONTEXT = 8192


def shapes():
    head = WIDTH // HEADS
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    yield "model.norm.weight", (WIDTH,)
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        yield layer + "input_layernorm.weight", (WIDTH,)
        yield layer + "post_attention_layernorm.weight", (WIDTH,)
        for name, rows in (("q", HEADS * head), ("k", KV_HEADS * head), ("v", KV_HEADS * head)):
            yield layer + f"self_attn.{name}_proj.weight", (rows, WIDTH)
            yield layer + f"self_attn.{name}_proj.bias", (rows,)
        yield layer + "self_attn.o_proj.weight", (WIDTH, HEADS * head)
        yield layer + "mlp.gate_proj.weight", (FEED_FORWARD, WIDTH)
        yield layer + "mlp.up_proj.weight", (FEED_FORWARD, WIDTH)
        yield layer + "mlp.down_proj.weight", (WIDTH, FEED_FORWARD)


def write_model(folder: Path) -> None:
    """Writes the model; its tokens are those of tests/data/byte_tokenizer, single bytes for the most part."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(1)
    header, data = {}, bytearray()
    for name, shape in shapes():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        norm = name.endswith("norm.weight")
        values = [1.0 if norm else draw.gauss(0, 0.3) for _ in range(count)]
        begin = len(data)
        data += struct.pack(f"<{count}f", *values)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, len(data)]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
    config = {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
        "intermediate_size": FEED_FORWARD, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": CONTEXT, "vocab_size": VOCABULARY,
        "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = Path(__file__).parent.parent / "data" / "byte_tokenizer"
    for file in tokenizer.iterdir():
        shutil.copy(file, folder)


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
