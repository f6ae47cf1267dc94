#!/usr/bin/env python3
"""The transformers side of compare.py: runs in a Python that has torch and transformers, alone or as ranks
of torchrun, and stays there between measurements.

  transformers_worker.py save CONFIG_DIR CHECKPOINT_DIR            random weights in bf16
  transformers_worker.py serve CHECKPOINT_DIR DTYPE THREADS SOCKET

serve connects to a Unix socket and answers each line {"batch", "prompt_tokens", "new_tokens"} by a line
{"prefill_tokens_per_s", "decode_tokens_per_s"}, both as `drun bench` counts them.
"""
import json
import os
import socket
import sys
import time

import torch
import transformers

CHUNK = 2048  # longer prompts are read in parts: scores of all at once would not fit


def save(config_dir, checkpoint):
    torch.manual_seed(0)
    config = transformers.AutoConfig.from_pretrained(config_dir)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(checkpoint)


def load(checkpoint, dtype):
    keywords = {"tp_plan": "auto"} if "RANK" in os.environ else {}
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=getattr(torch, dtype),
                                                              **keywords)
    model.eval()
    return model


@torch.inference_mode()
def measure(model, batch, prompt_tokens, new_tokens):
    generator = torch.Generator().manual_seed(1)
    prompt = torch.randint(0, model.config.vocab_size, (batch, prompt_tokens), generator=generator)
    cache = transformers.DynamicCache(config=model.config)

    def step(tokens):
        # Logits of the last position only, as drun's prefill has them.
        out = model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out.logits[:, -1].argmax(-1, keepdim=True)
    start = time.perf_counter()
    for first in range(0, prompt_tokens, CHUNK):
        token = step(prompt[:, first:first + CHUNK])
    prefill = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(new_tokens - 1):  # the first came with the prompt
        token = step(token)
    decode = time.perf_counter() - start
    return {"prefill_tokens_per_s": batch * prompt_tokens / prefill,
            "decode_tokens_per_s": batch * (new_tokens - 1) / decode}


def requests(path):
    """Lines of the socket, on all ranks, and the file that answers go to; None but on rank 0."""
    rank = int(os.environ.get("RANK", "0"))
    stream = None
    if rank == 0:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        stream = connection.makefile("rw")
    while True:
        line = [stream.readline() if stream else None]
        if "RANK" in os.environ:
            torch.distributed.broadcast_object_list(line, src=0)
        if not line[0]:
            return
        yield json.loads(line[0]), stream


def serve(checkpoint, dtype, threads, path):
    torch.set_num_threads(int(threads))
    model = load(checkpoint, dtype)
    for request, stream in requests(path):
        answer = measure(model, **request)
        if stream:
            stream.write(json.dumps(answer) + "\n")
            stream.flush()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    {"save": save, "serve": serve}[sys.argv[1]](*sys.argv[2:])
