"""Writes a language model of half a megabyte with random weights: it answers nonsense, in words, at once.

    python tiny_gguf.py FILE

Needs the package `gguf`, which is in the virtual environment of `make test-real-llm` only.
"""

from __future__ import annotations

import sys

import gguf
import numpy as np

WIDTH, LAYERS, HEADS, INNER, CONTEXT = 64, 2, 4, 128, 2048
WORDS = ["the", "a", "fox", "said", "that", "it", "was", "and", "then", "we", "went", "home", "to", "see", "his", "old"]
MARKS = [".", ",", "!"]
SPACE = "\u2581"
TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}: {{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)


def vocabulary() -> list[tuple[str, gguf.TokenType]]:
    special = [("<unk>", gguf.TokenType.UNKNOWN), ("<s>", gguf.TokenType.CONTROL), ("</s>", gguf.TokenType.CONTROL)]
    raw = [(f"<0x{value:02X}>", gguf.TokenType.BYTE) for value in range(256)]
    return special + raw + [(word, gguf.TokenType.NORMAL) for word in [SPACE + word for word in WORDS] + MARKS]


def write(path: str) -> None:
    chance = np.random.default_rng(3)
    tokens = vocabulary()

    def random(*shape: int) -> np.ndarray:
        return chance.normal(0, 0.08, shape).astype(np.float32)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([token for token, _ in tokens])
    writer.add_token_scores([-float(place) for place in range(len(tokens))])
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)
    heads = random(len(tokens), WIDTH) * 4
    heads[: len(tokens) - len(WORDS) - len(MARKS)] *= 0.02  # bytes hardly ever: the answer is words
    writer.add_tensor("token_embd.weight", random(len(tokens), WIDTH))
    writer.add_tensor("output.weight", heads)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", random(WIDTH, WIDTH))
        for name in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", random(INNER, WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", random(WIDTH, INNER))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write(sys.argv[1])
