"""How fast drun starts from a checkpoint that lies on disk and not in the page cache, against the disk itself.

The checkpoint has the tensors of a Llama's config.json and random contents; its header depends on the config alone,
so that a plan compiled against an empty file of the same size fits one that is written elsewhere.

  start.py CONFIG_DIR CHECKPOINT_DIR      writes one without contents, which is enough for dcc
"""
import json
import mmap
import os
import pathlib
import shutil
import struct
import sys
import time

from steps import Skip, run

BLOCK = 16 << 20


def tensors(config):
    """name -> shape, of a Llama with tied or own head, all bf16."""
    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    found = {"model.embed_tokens.weight": [vocabulary, hidden], "model.norm.weight": [hidden]}
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = [vocabulary, hidden]
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}."
        found |= {at + "input_layernorm.weight": [hidden], at + "post_attention_layernorm.weight": [hidden],
                  at + "self_attn.q_proj.weight": [queries, hidden], at + "self_attn.k_proj.weight": [keys, hidden],
                  at + "self_attn.v_proj.weight": [keys, hidden], at + "self_attn.o_proj.weight": [hidden, queries],
                  at + "mlp.gate_proj.weight": [inner, hidden], at + "mlp.up_proj.weight": [inner, hidden],
                  at + "mlp.down_proj.weight": [hidden, inner]}
    return found


def header_of(config):
    """The bytes before the tensors, and how many bytes those have."""
    header, end = {}, 0
    for name, shape in tensors(config).items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, end


def write_checkpoint(config_dir, directory, contents):
    """model.safetensors and config.json in `directory`; without contents the file has holes. Returns the file."""
    directory.mkdir(parents=True, exist_ok=True)
    config = pathlib.Path(config_dir) / "config.json"
    shutil.copy(config, directory)
    header, size = header_of(json.loads(config.read_text(encoding="utf-8")))
    path = directory / "model.safetensors"
    with open(path, "wb") as file:
        file.write(header)
        if contents:
            # Small numbers of bf16, of which disks that pack what they store make nothing small.
            block = bytes(b & 0xBF if i % 2 else b for i, b in enumerate(os.urandom(1 << 20))) * (BLOCK >> 20)
            for done in range(0, size, BLOCK):
                file.write(block[:min(BLOCK, size - done)])
            file.flush()
            os.fsync(file.fileno())
        file.truncate(len(header) + size)
    return path


def evict(path):
    """Takes the file out of the page cache. Raises Skip where that does not work (a file system in memory)."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def sequential_seconds(path, clock):
    """What reading the whole file takes past the page cache (O_DIRECT), one large read after the other."""
    size, buffer = os.path.getsize(path), mmap.mmap(-1, BLOCK)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError as error:
        raise Skip(f"{path}: cannot be read past the page cache: {error.strerror}") from None
    try:
        begin = time.monotonic()
        for at in range(0, size, BLOCK):
            os.preadv(fd, [buffer], at)
            if clock.left() <= 0:
                raise Skip("the time did not suffice to read the file once")
        return time.monotonic() - begin
    finally:
        os.close(fd)


def start(drun, plan, config_dir, scratch, env):
    """A step: load_s of drun bench against the disk's sequential speed; 80 % of it is promised."""
    def step(clock):
        _, size = header_of(json.loads((pathlib.Path(config_dir) / "config.json").read_text(encoding="utf-8")))
        if shutil.disk_usage(scratch).free < 2 * size:
            raise Skip(f"{scratch}: less than {2 * size / 1e9:.0f} GB are free; another folder with --scratch")
        if not (plan / "manifest.json").exists():
            raise Skip(f"{plan}: no such plan")
        checkpoint = pathlib.Path(scratch) / "checkpoint"
        try:
            path = write_checkpoint(config_dir, checkpoint, True)
            rates = {"disk": [], "drun": []}
            for _ in range(2):
                evict(path)
                rates["disk"].append(size / sequential_seconds(path, clock))
                evict(path)
                done = run([drun, plan, "bench", "--json", "--checkpoint", checkpoint, "--prompt-tokens", 16,
                            "--new-tokens", 2], clock.left(), env)
                if done.status != 0:
                    return False, done.tail(), rates
                rates["drun"].append(size / json.loads(done.out.splitlines()[-1])["load_s"])
        finally:
            shutil.rmtree(checkpoint, ignore_errors=True)
        disk, ours = max(rates["disk"]), max(rates["drun"])
        line = f"{ours / 1e9:.2f} GB/s of the disk's {disk / 1e9:.2f}: {ours / disk:.0%} of {size / 1e9:.1f} GB"
        return ours >= 0.8 * disk, line, {**rates, "bytes": size, "fraction": ours / disk}
    return step


if __name__ == "__main__":
    write_checkpoint(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), False)
