#!/usr/bin/env python3
"""PyTorch's side of compare.py on one GPU: runs in a Python that has torch and transformers, and stays there between
measurements.

  worker.py CONFIG_DIR eager|compiled|limits SOCKET

It connects to a Unix socket and answers each line by a line. eager and compiled: {"batch", "prompt_tokens",
"new_tokens"} by {"prefill_tokens_per_s", "decode_tokens_per_s"}, both as `drun bench` counts them, of a model with
random weights in bf16. limits: any line by what the GPU reaches, {"copy_bytes_per_s", "gemm_flops_per_s"}.
"""
import json
import socket
import sys
import time

import torch
import transformers

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def now():
    """When all that was asked for so far is done."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def prompts(model, batch, tokens):
    torch.manual_seed(1)
    return torch.randint(0, model.config.vocab_size, (batch, tokens), device=DEVICE)


@torch.inference_mode()
def eager(model, batch, prompt_tokens, new_tokens):
    """A plain loop, which is faster than generate()."""
    token, cache = prompts(model, batch, prompt_tokens), transformers.DynamicCache(config=model.config)
    times = [now()]
    for _ in range(new_tokens):
        # Logits of the last position only, as drun's prefill has them.
        out = model(input_ids=token, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = out.logits[:, -1].argmax(-1, keepdim=True)
        if len(times) == 1:
            times.append(now())
    return rates(batch, prompt_tokens, new_tokens, [*times, now()])


class Stopwatch(transformers.StoppingCriteria):
    """When each token was there."""

    def __init__(self):
        self.times = []

    def __call__(self, input_ids, scores, **_):
        self.times.append(now())
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


@torch.inference_mode()
def compiled(model, batch, prompt_tokens, new_tokens):
    """generate() with a static cache, which compiles decoding by torch.compile and runs it as a CUDA graph."""
    watch, begin = Stopwatch(), now()
    tokens = prompts(model, batch, prompt_tokens)
    model.generate(tokens, attention_mask=torch.ones_like(tokens), do_sample=False, cache_implementation="static",
                   max_new_tokens=new_tokens, min_new_tokens=new_tokens, stopping_criteria=[watch])
    return rates(batch, prompt_tokens, new_tokens, [begin, watch.times[0], watch.times[-1]])


def rates(batch, prompt_tokens, new_tokens, times):
    """times: at the beginning, after the prompts, which give the first token, and at the end."""
    begin, first, end = times
    return {"prefill_tokens_per_s": batch * prompt_tokens / (first - begin),
            "decode_tokens_per_s": batch * (new_tokens - 1) / (end - first) if new_tokens > 1 else None}


def best(count, action, repeat):
    """`count` per second, the best of several times, of `repeat` calls of action() each."""
    action()
    rate = 0
    for _ in range(5):
        begin = now()
        for _ in range(repeat):
            action()
        rate = max(rate, count * repeat / (now() - begin))
    return rate


@torch.inference_mode()
def limits(gigabytes=4, size=8192):
    """Bytes read and written by copies of far more than the caches hold; operations of a product of random numbers
    in bf16 (of zeros it is faster, which no model has)."""
    source = torch.empty(int(gigabytes * 2**30) // 4, device=DEVICE).normal_()
    target = torch.empty_like(source)
    a, b = (torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    found = {"copy_bytes_per_s": best(2 * source.numel() * 4, lambda: target.copy_(source), 4),
             "gemm_flops_per_s": best(2 * size**3, lambda: a @ b, 8)}
    del source, target, a, b
    if DEVICE == "cuda":
        torch.cuda.empty_cache()  # the others need it
    return found


def serve(config_dir, mode, path):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    stream = connection.makefile("rw")
    model = None
    if mode != "limits":
        with torch.device(DEVICE):
            config = transformers.AutoConfig.from_pretrained(config_dir)
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        model.eval()
        model.generation_config.eos_token_id = None
    measure = {"eager": eager, "compiled": compiled}.get(mode)
    for line in iter(stream.readline, ""):
        answer = measure(model, **json.loads(line)) if model else limits(**json.loads(line))
        stream.write(json.dumps(answer) + "\n")
        stream.flush()


if __name__ == "__main__":
    serve(*sys.argv[1:])
