#!/usr/bin/env python3
"""Write parts.json: what single parts of tokenizer.json do, with every option, by the tokenizers library.

    {"versions", "normalizers": [{"spec", "cases": [[text, normalized]]}],
     "pre_tokenizers": [{"spec", "cases": [[text, [piece]]]}],
     "decoders": [{"spec", "cases": [[[token], text]]}],
     "models": [{"spec", "cases": [[word, [id]]]}]}

Cases on which the library itself fails are left out. Needs tokenizers 0.23.3: python make_parts.py
"""
import base64
import itertools
import json
import os
import random
import struct

import tokenizers
from tokenizers import Tokenizer

SEED = 20
TEXTS = [
    "", " ", "a", "Hello, world!", "  two  spaces ", "the cat\tsat\n\non a mat", "don't DON'T we'll", "x1234567y 12 3",
    "caf\u00e9 cafe\u0301 \u00c5ngstr\u00f6m \u0130stanbul", "\u4f60\u597d\uff0c world", "\u30ab\u30bf \u3072\u3089 \u6f22\u5b57",
    "a\u00a0b\u3000c\u2028d\u180ee", "\u2581a\u2581\u2581b", "\u0120a \u00b2\u00bd \u2167", "\U0001f468\u200d\U0001f469 \U0001f600!",
    "e\u0301\u0302 \ufb01 \u1e9b\u0323", "\x00\x07\x7f\x85\u200b\ufeff\ufffd", "snake_case camelCase (a[b])", "aaa  aab\r\nbaa",
]
PATTERNS = [
    {"String": " "}, {"String": "a"}, {"String": "\u2581"}, {"String": ""}, {"String": "."},
    *({"Regex": r} for r in [
        r"\s+", r"\S", r"\w+", r"\W", r"[\w]+", r"[^\w\s]", r"\d{2}", r"\h+", r"\v|\t", r"\b", r"^", r"$", r"", r"a*", r"(?=[A-Z])",
        r"(?<=a)b?", r"(?i:THE|a)", r"o(?i)N|t", r"(?m).+", r".+", r"\p{Han}+|\p{Katakana}", r"\p{^L}", r"\P{Letter}",
        r"\p{N}{1,3}", r"\p{N}{1,3}+", r"[0-9]{,2}y?", r"a{2}?", r"[a-c[x-z]]+", r"[\p{L}&&[^a-m]]+", r"[^a-c[x-z]]",
        r"[[:punct:]]", r"[^[:alnum:]]+", r"[[:upper:]][[:lower:]]+", r"\u0041|\x61", r"[]a]", r"[\]\-a]", r"[a\-]", r"[^(\s|[.,!])]+",
        r"(?>a+)b", r"(a)\1", r"\R", r"\X",
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+",
    ]),
]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
FLAGS = [False, True]


def charsmap(entries):
    """A precompiled character map as SentencePiece writes it: a double-array trie of the keys."""
    keys = {k.encode(): v for k, v in entries.items()}
    text, offsets = b"", {}
    for key, value in keys.items():
        offsets[key] = len(text)
        text += value.encode() + b"\0"
    units = {0: 0}

    def place(prefix, at):
        labels = sorted({k[len(prefix)] for k in keys if k.startswith(prefix) and len(k) > len(prefix)})
        if prefix in keys:
            labels = [0] + labels
        if not labels:
            return
        base = next(b for b in itertools.count(1) if all((b ^ c) not in units for c in labels))
        units[at] |= (at ^ base) << 10
        for c in labels:
            units[base ^ c] = c
        for c in labels:
            if c == 0:
                units[at] |= 1 << 8
                units[base] = offsets[prefix] | 1 << 31
            else:
                place(prefix + bytes([c]), base ^ c)

    place(b"", 0)
    size = max(units) + 1
    trie = b"".join(struct.pack("<I", units.get(i, 0x80000000)) for i in range(size))
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + text).decode()


def normalizers():
    for name in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel"]:
        yield {"type": name}
    for left, right in itertools.product(FLAGS, FLAGS):
        yield {"type": "Strip", "strip_left": left, "strip_right": right}
    yield {"type": "Prepend", "prepend": "\u2581"}
    for clean, chinese, lower in itertools.product(FLAGS, FLAGS, FLAGS):
        for accents in [None, False, True]:
            yield {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese,
                   "strip_accents": accents, "lowercase": lower}
    for pattern in PATTERNS:
        yield {"type": "Replace", "pattern": pattern, "content": "<x>"}
    yield {"type": "Precompiled", "precompiled_charsmap": charsmap(
        {"a": "A", "the": "THE", "\u00e9": "e'", "e\u0301": "E", "\r\n": "\n", "\t": " ", "\u3000": " ", "\ufb01": "fi", "\x07": ""})}
    yield {"type": "Sequence", "normalizers": []}
    yield {"type": "Sequence", "normalizers": [
        {"type": "NFD"}, {"type": "StripAccents"}, {"type": "Sequence", "normalizers": [
            {"type": "Lowercase"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}]}


def pre_tokenizers():
    for name in ["BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts"]:
        yield {"type": name}
    for prefix, regex in itertools.product(FLAGS, FLAGS):
        yield {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}
    for scheme, split in itertools.product(["first", "never", "always"], FLAGS):
        yield {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}
    yield {"type": "Metaspace", "replacement": "_", "str_rep": "_", "add_prefix_space": True}
    yield {"type": "CharDelimiterSplit", "delimiter": "a"}
    for behavior in BEHAVIORS:
        yield {"type": "Punctuation", "behavior": behavior}
    for individual in FLAGS:
        yield {"type": "Digits", "individual_digits": individual}
    yield {"type": "FixedLength", "length": 3}
    for i, pattern in enumerate(PATTERNS):
        yield {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
        yield {"type": "Split", "pattern": pattern, "behavior": BEHAVIORS[i % 5], "invert": i % 2 == 0}
    for behavior, invert in itertools.product(BEHAVIORS, FLAGS):
        yield {"type": "Split", "pattern": {"Regex": "[ a]"}, "behavior": behavior, "invert": invert}
    yield {"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}]}
    yield {"type": "Sequence", "pretokenizers": [
        {"type": "Punctuation", "behavior": "Contiguous"}, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        {"type": "Digits", "individual_digits": False}, {"type": "Split", "pattern": {"Regex": "[0-9][0-9][0-9]"}, "behavior": "Isolated", "invert": False}]}


def decoders():
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    space = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    fallback, fuse = {"type": "ByteFallback"}, {"type": "Fuse"}
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    yield None
    yield byte_level
    yield fallback
    yield fuse
    yield {"type": "BPEDecoder", "suffix": "</w>"}
    for cleanup in FLAGS:
        yield {"type": "WordPiece", "prefix": "##", "cleanup": cleanup}
        yield {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": cleanup}
    for scheme in ["first", "never", "always"]:
        yield {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": True}
    for start, stop in [(1, 0), (2, 1), (0, 1), (0, 3)]:
        one = {"type": "Strip", "content": " ", "start": start, "stop": stop}
        yield one
        yield {"type": "Sequence", "decoders": [space, fallback, fuse, one]}
        yield {"type": "Sequence", "decoders": [byte_level, one]}
    yield {"type": "Sequence", "decoders": [space, fallback, fuse, strip]}
    yield {"type": "Sequence", "decoders": [space, fallback, fuse]}
    yield {"type": "Sequence", "decoders": [fuse, space, {"type": "Replace", "pattern": {"Regex": "a +"}, "content": "-"}]}
    yield {"type": "Sequence", "decoders": [fuse, {"type": "WordPiece", "prefix": "##", "cleanup": True}]}
    yield {"type": "Sequence", "decoders": [byte_level, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}]}


TOKENS = ["a", "b", "the", "\u2581", "\u2581a", "\u2581the", " ", "  ", " a", "a ", "##ing", "##", "<pad>", "|", "n't", ".", " '", "ab</w>", "</w>",
          "<0x41>", "<0xE4>", "<0xBD>", "<0xA0>", "<0xFF>", "<0xff>", "<0xG0>", "\u0120a", "\u0120", "\u00e4", "\u00bd", "\u0142", "\u00ff", "\u4f60", "<|im_end|>"]


def models():
    letters = ["<unk>", "a", "b", "c", "ab", "bc", "abc", "aa", "cab"]
    merges = [["a", "b"], ["b", "c"], ["ab", "c"], ["a", "a"], ["c", "ab"]]
    vocab = {t: i for i, t in enumerate(letters)}
    fallback = {**vocab, **{f"<0x{i:02X}>": len(letters) + i for i in range(256)}}
    partial = {t: i for i, t in enumerate(letters + ["<0xC3>", "<0xA9>"])}
    for v in [vocab, fallback, partial]:
        for unk, fuse, use_bytes, ignore in itertools.product([None, "<unk>"], FLAGS, FLAGS, FLAGS):
            yield {"type": "BPE", "dropout": None, "unk_token": unk, "fuse_unk": fuse, "byte_fallback": use_bytes,
                   "ignore_merges": ignore, "vocab": v, "merges": merges}
    # A merge of byte tokens: their neighbours must not be cut off.
    joined = dict(fallback)
    joined["<0xC3><0xA9>"] = len(joined)
    yield {"type": "BPE", "unk_token": "<unk>", "byte_fallback": True, "vocab": joined, "merges": [["a", "b"], ["<0xC3>", "<0xA9>"]]}
    yield {"vocab": vocab, "merges": [" ".join(m) for m in merges], "dropout": 0.0, "unk_token": "<unk>"}
    yield {"type": "BPE", "unk_token": "<unk>", "continuing_subword_prefix": "##", "merges": [["a", "##b"], ["##b", "##c"], ["ab", "##c"]],
           "vocab": {t: i for i, t in enumerate(["<unk>", "a", "b", "c", "##a", "##b", "##c", "ab", "##bc", "abc"])}}
    yield {"type": "BPE", "unk_token": "<unk>", "end_of_word_suffix": "</w>", "merges": [["a", "b</w>"], ["b", "c</w>"], ["a", "bc</w>"]],
           "vocab": {t: i for i, t in enumerate(["<unk>", "a", "b", "c", "a</w>", "b</w>", "c</w>", "ab</w>", "bc</w>", "abc</w>"])}}
    pieces = {t: i for i, t in enumerate(["[UNK]", "a", "b", "ab", "##b", "##c", "##bc", "##", "abc", "\u4f60", "##\u597d"])}
    for longest in [100, 4, 0]:
        yield {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": longest, "vocab": pieces}
    yield {"unk_token": "[UNK]", "continuing_subword_prefix": "", "max_input_chars_per_word": 100, "vocab": pieces}
    yield {"type": "WordLevel", "unk_token": "[UNK]", "vocab": pieces}
    scores = [["<unk>", 0.0], ["a", -1.5], ["b", -1.25], ["ab", -2.5], ["abc", -3.1], ["c", -0.3], ["bc", -1.9], ["aa", -2.9999999999999996], ["aaa", -4.5]]
    many = scores + [[f"<0x{i:02X}>", 0.0] for i in range(256)]
    for vocab_list, use_bytes in itertools.product([scores, many], FLAGS):
        yield {"type": "Unigram", "unk_id": 0, "vocab": vocab_list, "byte_fallback": use_bytes}
    yield {"unk_id": 0, "vocab": scores}


WORDS = ["a", "abc", "abcab", "aab", "aaaaa", "cabcabc", "xaby", "a\u00e9\u00e9b", "xx", "\u4f60\u597d", "<unk>", "a<unk>\u00e9x", "abc" * 30, "ab\u00e9" * 30,
         "x\u00e9x" * 25, "\u00e9"]


def tokenizer(**parts):
    spec = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": None, "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}, **parts}
    return Tokenizer.from_str(json.dumps(spec))


def cases(inputs, function):
    out = []
    for value in inputs:
        try:
            out.append([value, function(value)])
        except BaseException as error:  # the library's panics are no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
    return out


def main():
    rng = random.Random(SEED)
    lists = [[]] + [[rng.choice(TOKENS) for _ in range(rng.randrange(1, 7))] for _ in range(24)]
    result = {"versions": {"tokenizers": tokenizers.__version__}, "normalizers": [], "pre_tokenizers": [], "decoders": [], "models": []}
    for spec in normalizers():
        part = tokenizer(normalizer=spec).normalizer
        result["normalizers"].append({"spec": spec, "cases": cases(TEXTS, part.normalize_str)})
    for spec in pre_tokenizers():
        part = tokenizer(pre_tokenizer=spec).pre_tokenizer
        result["pre_tokenizers"].append(
            {"spec": spec, "cases": cases(TEXTS, lambda text: [piece for piece, _ in part.pre_tokenize_str(text)])})
    for spec in decoders():
        if spec is None:
            result["decoders"].append({"spec": None, "cases": [[tokens, " ".join(tokens)] for tokens in lists]})
            continue
        part = tokenizer(decoder=spec).decoder
        result["decoders"].append({"spec": spec, "cases": cases(lists, part.decode)})
    for spec in models():
        part = tokenizer(model=spec)
        result["models"].append({"spec": spec, "cases": cases(WORDS, lambda word: part.encode(word).ids)})
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "parts.json"), "w") as f:
        f.write("{\n")
        for i, (key, value) in enumerate(result.items()):
            text = json.dumps(value) if isinstance(value, dict) else "[\n" + ",\n".join(json.dumps(v) for v in value) + "]"
            f.write(f"{json.dumps(key)}: {text}" + (",\n" if i + 1 < len(result) else "}\n"))


if __name__ == "__main__":
    main()
