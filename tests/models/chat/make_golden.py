#!/usr/bin/env python3
"""Write golden.json: what transformers and jinja2 make of chat templates.

    {"versions", "now": local time that templates see,
     "variables": of the snippets,
     "snippets": [[template, text]]; null for a text: jinja2 or Python fails,
     "directories": [{"name", "files": {name: text}, "cases": [{"request", "rendered" or "error"}]}]}

`request` is a line of `drun tokenize --chat`, "error" the argument of raise_exception, or null where
something else fails. Needs transformers 5.23.0 and jinja2 3.1.6: python make_golden.py
"""
import copy
import datetime
import json
import pathlib
import tempfile

import jinja2
import transformers
from transformers.utils import chat_template_utils

from snippets import SNIPPETS, VARIABLES

HERE = pathlib.Path(__file__).resolve().parent
NOW = datetime.datetime(2024, 7, 26, 12, 34, 56)


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(*NOW.timetuple()[:6])


def failing(render):
    """The text, or the message of raise_exception, or neither."""
    try:
        return {"rendered": render()}
    except jinja2.exceptions.TemplateError as error:
        return {"error": str(error) if type(error) is jinja2.exceptions.TemplateError else None}
    except Exception:
        return {"error": None}


def snippet(template):
    compiled = failing(lambda: chat_template_utils._cached_compile_jinja_template(template))
    if "error" in compiled:
        return None
    return failing(lambda: compiled["rendered"].render(**copy.deepcopy(VARIABLES))).get("rendered")


TOOLS = [
    {"type": "function", "function": {
        "name": "weather", "description": "Weather of a city.\nSlow.",
        "parameters": {"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string"}, "days": {"type": "integer", "default": 3},
            "unit": {"enum": ["°C", "°F"]},
            "at": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
            "tags": {"type": "array", "items": {"type": "string"}}}}}},
    {"type": "function", "function": {"name": "stop", "parameters": {"properties": {}}}},
]
CALLS = [
    {"role": "user", "content": "Weather?"},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "a1", "type": "function", "function": {
            "name": "weather", "arguments": {"unit": "°C", "city": "Zürich", "days": 2.0}}},
        {"id": "b2", "type": "function", "function": {"name": "stop", "arguments": {}}}]},
    {"role": "tool", "tool_call_id": "a1", "content": {"t": [21, -1.5e-7], "ok": True, "why": None}},
]


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


REQUESTS = [
    {"messages": [user("Hi")]},
    {"messages": [user("Hi")], "add_generation_prompt": True},
    {"messages": [system("  Be brief.\n"), user("a"), assistant(" b "), user("c")],
     "add_generation_prompt": True},
    {"messages": [user("a"), user("b")]},
    {"messages": [user("{{ 7 * 7 }} {% raw %} 你好 😀 \u200d")], "add_generation_prompt": True},
    {"messages": [{"role": "narrator", "content": "Once"}]},
    {"messages": [assistant("<think>\nhm\n</think>\n\nyes"), user("?"),
                  assistant("<think>ah</think>no")]},
    {"messages": [user("q"), assistant("r", reasoning="because"), assistant("s", thinking="so")]},
    {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"},
                                               {"type": "audio"}]}, assistant("ok")],
     "add_generation_prompt": True, "enable_thinking": False},
    {"messages": CALLS, "tools": TOOLS},
    {"messages": CALLS + [{"role": "tool", "tool_call_id": "b2", "content": "stopped"}],
     "tools": [], "add_generation_prompt": True},
    {"messages": [{"role": "tool", "tool_call_id": "z", "content": ""}]},
]


def added(content):
    return {"__type": "AddedToken", "content": content, "lstrip": False, "normalized": False,
            "rstrip": False, "single_word": False, "special": True}


def template(name):
    return (HERE / "templates" / f"{name}.jinja").read_text()


SHOWS = "{{ bos_token }},{{ eos_token }},{{ pad_token is defined }},{{ image_token }}"
CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
DIRECTORIES = {
    **{name: {"chat_template.jinja": template(name), "tokenizer_config.json": CONFIG}
       for name in ["marked", "functions", "thinking", "plain"]},
    "added_tokens": {"tokenizer_config.json": CONFIG | {
        "bos_token": added("<|begin|>"), "pad_token": None, "image_token": "<img>",
        "chat_template": SHOWS}},
    "special_tokens_map": {
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<a>",
                                  "eos_token": "<b>", "chat_template": SHOWS},
        "special_tokens_map.json": {"bos_token": {"content": "<c>", "lstrip": False,
                                                  "normalized": False, "rstrip": False,
                                                  "single_word": False}, "pad_token": "<p>"}},
    "several": {"tokenizer_config.json": CONFIG | {"chat_template": [
        {"name": "default", "template": "default {{ messages | length }}"},
        {"name": "tool_use", "template": "tools {{ tools | length }}"}]}},
    "several_without_default": {"tokenizer_config.json": CONFIG | {"chat_template": [
        {"name": "tool_use", "template": "tools {{ tools | length }}"}]}},
    "file_before_config": {"tokenizer_config.json": CONFIG | {"chat_template": "config"},
                           "chat_template.jinja": "file\r\n{{ eos_token }}\n"},
    "additional": {"tokenizer_config.json": CONFIG | {"chat_template": "config"},
                   "chat_template.jinja": "file",
                   "additional_chat_templates/tool_use.jinja": "tools of a file"},
}


def directory(name, files):
    files = {file: text if isinstance(text, str) else json.dumps(text) for file, text in files.items()}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        tokenizer = (HERE.parent / "tokenizers/qwen2/tokenizer.json").read_text()
        for file, text in (files | {"tokenizer.json": tokenizer}).items():
            (scratch / file).parent.mkdir(exist_ok=True)
            (scratch / file).write_text(text, newline="")
        loaded = transformers.AutoTokenizer.from_pretrained(scratch)
        cases = []
        for request in REQUESTS:
            fields = copy.deepcopy(request)
            messages = fields.pop("messages")
            cases.append({"request": request, **failing(
                lambda: loaded.apply_chat_template(messages, tokenize=False, **fields))})
    return {"name": name, "files": files, "cases": cases}


def main():
    chat_template_utils.datetime = Clock
    golden = {
        "versions": {"transformers": transformers.__version__, "jinja2": jinja2.__version__},
        "now": NOW.isoformat(),
        "variables": VARIABLES,
        "snippets": [[template, snippet(template)] for template in SNIPPETS],
        "directories": [directory(name, files) for name, files in DIRECTORIES.items()],
    }
    lines = json.dumps(golden, ensure_ascii=False, indent=1)
    (HERE / "golden.json").write_text(lines + "\n")
    failures = [s for s, text in golden["snippets"] if text is None]
    print(len(golden["snippets"]), "snippets, of which fail:", *map(repr, failures), sep="\n  ")


if __name__ == "__main__":
    main()
