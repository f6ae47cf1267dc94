#!/usr/bin/env python3
"""Writes the tiny encoders beside this script and what transformers computes with them.

    python make_encoder_goldens.py [NAME]...      needs torch and transformers (made with 5.23.0)

roberta_seqcls, distilbert_seqcls, bert_tokens (a label for every token), bert_sentence (a bare model
with sentence-transformers' files beside it). bert_seqcls is of the same kind, made with bert_seqcls'
own script; its golden.json says how.

golden.safetensors has 8 right-padded rows: input_ids, attention_mask and, where the model has types,
token_type_ids; last_hidden_state and logits (float32 arithmetic on the weights as stored, bfloat16);
logits_bf16 of the model cast to bfloat16; of bert_sentence pooled and embedding in place of logits.
Every tensor of a checkpoint has a random stream of its own, by its name: the same file on every
machine.
"""
import json
import os
import pathlib
import sys
import zlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
LENGTHS = [24, 5, 17, 2, 24, 11, 20, 8]
SIZES = dict(vocab_size=384, num_labels=3)
BERT = dict(hidden_size=48, intermediate_size=100, num_hidden_layers=2, num_attention_heads=6)

MODELS = {
    # Positions begin at 2, behind the padding token's id.
    "roberta_seqcls": ("RobertaForSequenceClassification", "RobertaConfig",
                       dict(**SIZES, **BERT, max_position_embeddings=42, pad_token_id=1,
                            type_vocab_size=1, layer_norm_eps=1e-5)),
    "distilbert_seqcls": ("DistilBertForSequenceClassification", "DistilBertConfig",
                          dict(**SIZES, dim=48, hidden_dim=100, n_layers=2, n_heads=6,
                               max_position_embeddings=40)),
    "bert_tokens": ("BertForTokenClassification", "BertConfig",
                    dict(SIZES, num_labels=5, **BERT, max_position_embeddings=40)),
    "bert_sentence": ("BertModel", "BertConfig", dict(vocab_size=384, **BERT,
                                                      max_position_embeddings=40)),
}
SENTENCE_FILES = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling",
         "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize",
         "type": "sentence_transformers.models.Normalize"}],
    "1_Pooling/config.json": {"word_embedding_dimension": 48, "pooling_mode_cls_token": False,
                              "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False},
    "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": False},
}


def fill(model):
    for name, parameter in model.named_parameters():
        stream = np.random.Generator(np.random.PCG64([7, zlib.crc32(name.encode())]))
        values = torch.from_numpy(stream.standard_normal(parameter.shape))
        if parameter.dim() == 1:
            norm = "norm" in name.lower() and name.endswith("weight")
            values = 0.2 * values + (1 if norm else 0)
        elif "embedding" in name:
            values = 0.6 * values
        else:
            values = 1.2 * values / parameter.shape[1] ** 0.5
        parameter.data = values.to(torch.bfloat16)


def inputs(model):
    stream = np.random.Generator(np.random.PCG64(77))
    rows, width = len(LENGTHS), max(LENGTHS)
    pad = model.config.pad_token_id
    ids, mask, types = (np.zeros((rows, width), np.int64) for _ in range(3))
    ids[:] = pad
    for i, length in enumerate(LENGTHS):
        ids[i, :length] = stream.integers(3, 384, length)
        mask[i, :length] = 1
        types[i, length // 2:length] = i % 2 == 0
    made = {"input_ids": ids, "attention_mask": mask}
    if getattr(model.config, "type_vocab_size", 1) > 1:
        made["token_type_ids"] = types
    return {name: torch.from_numpy(values) for name, values in made.items()}


def make(name):
    kind, config, sizes = MODELS[name]
    directory = HERE / name
    directory.mkdir(exist_ok=True)
    model = getattr(transformers, kind)(getattr(transformers, config)(**sizes)).eval()
    fill(model)
    model.to(torch.bfloat16).save_pretrained(directory)
    for path, content in (SENTENCE_FILES if name == "bert_sentence" else {}).items():
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_text(json.dumps(content, indent=2) + "\n")

    load = lambda dtype: getattr(transformers, kind).from_pretrained(
        directory, dtype=dtype, attn_implementation="eager").eval()
    model = load(torch.float32)
    tensors = inputs(model)
    run = lambda m: m(**tensors, output_hidden_states=True)
    mask = tensors["attention_mask"][..., None]
    with torch.no_grad():
        out = run(model)
        hidden = out.hidden_states[-1] * mask
        golden = dict(tensors, last_hidden_state=hidden)
        if name == "bert_sentence":
            golden["pooled"] = out.pooler_output
            golden["embedding"] = torch.nn.functional.normalize(hidden.sum(1) / mask.sum(1), dim=1)
        else:
            golden["logits"] = out.logits
            golden["logits_bf16"] = run(load(torch.bfloat16)).logits.float()
    save_file({k: v.contiguous() for k, v in golden.items()}, directory / "golden.safetensors")
    about = {"model": name, "class": kind, "transformers": transformers.__version__,
             "torch": torch.__version__}
    (directory / "golden.json").write_text(json.dumps(about, indent=1) + "\n")


for wanted in sys.argv[1:] or MODELS:
    make(wanted)
