#!/usr/bin/env python3
"""Model directories and model.json files that cannot be compiled."""
import json
import struct

import bad
import harness

MODEL = "llama_linear_tied"  # one file, 4 heads, 2 KV heads


class BadModel(bad.BadInput):
    def edit_tensors(self, model, edit):
        path = model / "model.safetensors"
        tensors = harness.raw_safetensors(path)
        edit(tensors)
        harness.write_safetensors(path, tensors)

    # Architecture and config.json.

    def test_unknown_architecture_lists_the_known(self):
        model = self.copy_of(MODEL, architectures=["FooForCausalLM"], model_type="foo")
        line = self.refuses_compile(model, words=["config.json", "FooForCausalLM"])
        self.assertIn("llama", line.lower().replace(str(model).lower(), ""))

    def test_no_architecture(self):
        self.refuses_compile(self.copy_of(MODEL, architectures=None, model_type=None),
                             words=["config.json"])

    def test_config_missing(self):
        model = self.copy_of(MODEL)
        (model / "config.json").unlink()
        self.refuses_compile(model, words=["config.json"])

    def test_config_is_no_json(self):
        model = self.copy_of(MODEL)
        for text in [b"", b"{", b"[]", b'{"hidden_size": NaN}', b"\0", b'{"a": "\xff"}']:
            with self.subTest(text=text):
                (model / "config.json").write_bytes(text)
                self.refuses_compile(model, words=["config.json"])

    def test_fields_out_of_range(self):
        for field, value in [
                ("num_hidden_layers", -1), ("num_hidden_layers", 0), ("num_hidden_layers", 2**40),
                ("hidden_size", "big"), ("hidden_size", 64.5), ("num_attention_heads", 0),
                ("num_key_value_heads", 3), ("head_dim", 15), ("vocab_size", [384]),
                ("rms_norm_eps", "x"), ("rms_norm_eps", -1.0), ("max_position_embeddings", 0),
                ("intermediate_size", 1e300), ("hidden_act", "cubist"),
                ("tie_word_embeddings", "yes"), ("rope_parameters", {"rope_type": "spiral"})]:
            with self.subTest(field=field, value=value):
                self.refuses_compile(self.copy_of(MODEL, **{field: value}),
                                     words=["config.json", field])

    def test_required_field_missing(self):
        self.refuses_compile(self.copy_of(MODEL, hidden_size=None),
                             words=["config.json", "hidden_size"])

    # Weights.

    def test_no_weights(self):
        model = self.copy_of(MODEL)
        (model / "model.safetensors").unlink()
        self.refuses_compile(model, words=["model.safetensors"])

    def test_tensor_missing(self):
        name = "model.layers.1.mlp.up_proj.weight"
        model = self.copy_of(MODEL)
        self.edit_tensors(model, lambda tensors: tensors.pop(name))
        self.refuses_compile(model, words=[name])

    def test_tensor_of_wrong_shape(self):
        name = "model.layers.0.self_attn.k_proj.weight"
        model = self.copy_of(MODEL)

        def transpose(tensors):
            dtype, shape, raw = tensors[name]
            tensors[name] = (dtype, shape[::-1], raw)
        self.edit_tensors(model, transpose)
        self.refuses_compile(model, words=[name, "[64, 32]", "[32, 64]"])

    def test_tensor_of_wrong_type(self):
        name = "model.norm.weight"
        model = self.copy_of(MODEL)

        def to_integers(tensors):
            _, shape, raw = tensors[name]
            tensors[name] = ("I16", shape, raw)
        self.edit_tensors(model, to_integers)
        self.refuses_compile(model, words=[name, "I16"])

    def test_damaged_safetensors(self):
        model = self.copy_of(MODEL)
        path = model / "model.safetensors"
        whole = path.read_bytes()
        (length,) = struct.unpack_from("<Q", whole)
        header = json.loads(whole[8:8 + length])
        first, second, *_ = sorted((name for name in header if name != "__metadata__"),
                                   key=lambda name: header[name]["data_offsets"])

        def changed(name, **fields):
            """The file with other fields of a tensor."""
            text = json.dumps({**header, name: {**header[name], **fields}}).encode()
            return struct.pack("<Q", len(text)) + text + whole[8 + length:]
        begin, end = header[second]["data_offsets"]
        twice = json.dumps(header).encode()[:-1] + b", " + json.dumps(
            {first: header[first]}).encode()[1:]
        for what, data in {
                "empty": b"", "short": whole[:5], "header cut": whole[:8 + length // 2],
                "data cut": whole[:-1], "data longer": whole + b"\0",
                "length 0": struct.pack("<Q", 0) + whole[8:],
                "length absurd": struct.pack("<Q", 2**63) + whole[8:],
                "no json": whole[:8] + b"}" * length + whole[8 + length:],
                "offsets overlap": changed(second, data_offsets=[begin - 4, end - 4]),
                "offsets leave a hole": changed(second, data_offsets=[begin + 4, end + 4]),
                "offsets beyond the end": changed(second, data_offsets=[2**40, 2**40 + end - begin]),
                "offsets huge": changed(second, data_offsets=[2**63, 2**64 - 1]),
                "offsets negative": changed(second, data_offsets=[-4, end]),
                "shape overflows": changed(second, shape=[2**32, 2**32]),
                "a name twice": struct.pack("<Q", len(twice)) + twice + whole[8 + length:],
                }.items():
            with self.subTest(what=what):
                path.write_bytes(data)
                self.refuses_compile(model, words=["model.safetensors"])

    def test_index(self):
        model = self.copy_of("llama3")
        index_path = model / "model.safetensors.index.json"
        index = json.loads(index_path.read_text())
        name = "model.norm.weight"
        for file in ["../model.safetensors", "/etc/passwd", "", "absent.safetensors", 3]:
            with self.subTest(file=file):
                changed = {**index, "weight_map": {**index["weight_map"], name: file}}
                index_path.write_text(json.dumps(changed))
                self.refuses_compile(model, words=["model.safetensors.index.json"])
        index["weight_map"]["model.extra"] = "model-00001-of-00006.safetensors"
        index_path.write_text(json.dumps(index))
        self.refuses_compile(model, words=["model.safetensors.index.json", "model.extra"])
        index_path.write_text("{")
        self.refuses_compile(model, words=["model.safetensors.index.json"])

    def test_shard_missing(self):
        model = self.copy_of("llama3")
        (model / "model-00003-of-00006.safetensors").unlink()
        self.refuses_compile(model, words=["model-00003-of-00006.safetensors"])

    # What stands for MODEL on the command line.

    def test_no_such_model(self):
        for name in ["absent", "absent.mlir", "absent/model.json"]:
            with self.subTest(name=name):
                self.refuses_compile(self.scratch / name, words=[name])
        empty = self.scratch / "empty"
        empty.mkdir()
        self.refuses_compile(empty, words=["config.json"])
        self.refuses_compile("/dev/null")

    def test_model_json(self):
        path = self.scratch / "model.json"
        good = {"model": str(harness.model_dir(MODEL))}
        for document, words in [
                ({}, ["model"]), ({**good, "promt": "x"}, ["promt", "prompt"]),
                ({**good, "mesh": {"tp": 0}}, ["tp"]), ({**good, "mesh": {"tp": 300}}, ["300"]),
                ({**good, "tp_plan": {"model.layers.*.mlp.nothing": "colwise"}}, ["nothing"]),
                ({**good, "tp_plan": {"model.layers.*.mlp.up_proj": "diagonal"}}, ["diagonal"]),
                ({**good, "tp_plan": "absent.json"}, ["absent.json"]),
                ({**good, "dtype": "f8"}, ["f8"]), ({"model": "absent"}, ["absent"])]:
            with self.subTest(document=document):
                path.write_text(json.dumps(document))
                self.refuses_compile(path, words=words)

    def test_no_ir(self):
        path = self.scratch / "x.mlir"
        for text in ["", "hello", "module {", "module { func.func @f() { return } }"]:
            with self.subTest(text=text):
                path.write_text(text)
                self.refuses_compile(path, words=["x.mlir"])


if __name__ == "__main__":
    harness.main([])
