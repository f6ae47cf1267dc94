#!/usr/bin/env python3
"""Chats: conversations as prompts (`tokenize --chat`), `drun DIR chat` from a pipe and on a terminal,
and what generation_config.json decides. The model is the bundled one with a template of our own."""
import json
import os
import select
import shutil
import subprocess
import time

import bad
import harness

GOLDEN = json.loads((harness.MODELS / "chat/golden.json").read_text())

# A play: what was said by whom, as the model has read it.
TEMPLATE = """\
{%- for message in messages %}
    {%- if message.role == 'system' and not loop.first %}
        {{- raise_exception('a system message must come first') }}
    {%- elif message.content == 'refuse me' %}
        {{- raise_exception('no: ' ~ message.content) }}
    {%- endif %}
    {{- bos_token if loop.first }}
    {{- {'system': '', 'user': 'ROMEO:\\n', 'assistant': 'JULIET:\\n'}[message.role] }}
    {{- message.content | trim ~ '\\n\\n' }}
{%- endfor %}
{{- 'JULIET:\\n' if add_generation_prompt }}
"""
# A line of a play.
WRITING = ["--max-new-tokens", "40", "--stop", "\n\n"]


def chat_model(to, template=TEMPLATE, **generation):
    """The bundled model with a template, and fields of its generation_config.json."""
    shutil.copytree(harness.BUNDLED, to)
    (to / "chat_template.jinja").write_text(template)
    config = json.loads((to / "generation_config.json").read_text())
    (to / "generation_config.json").write_text(json.dumps(config | generation))
    return to


class Chat(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = chat_model(cls.scratch / "model")
        cls.plans = [cls.compile(cls.model, f"tp{tp}", "--tp", tp) for tp in (1, 2)]

    def rendered(self, plan, *messages):
        source = harness.write_jsonl(self.scratch / "chat.jsonl", [
            {"messages": list(messages), "add_generation_prompt": True}])
        return json.loads(self.drun("tokenize", plan, "--chat", "--input", source))["text"]

    def continued(self, plan, text, *options):
        """What `generate` makes of a rendered text, whose special tokens are in it."""
        source = harness.write_jsonl(self.scratch / "text.jsonl", [{"text": text}])
        ids = json.loads(self.drun("tokenize", plan, "--no-special-tokens", "--input", source))
        return self.generate(plan, [ids], *options)[0]["text"]

    def conversation(self, plan, lines, system=None):
        """The same turn by turn, by other commands than chat."""
        messages = [{"role": "system", "content": system}] if system else []
        answers = []
        for line in lines:
            messages.append({"role": "user", "content": line})
            answer = self.continued(plan, self.rendered(plan, *messages), *WRITING)
            messages.append({"role": "assistant", "content": answer})
            answers.append(answer)
        return answers

    def test_history_is_kept(self):
        lines = ["What light is this?", "Speak again!", "O, wilt thou leave me so?"]
        expected = self.conversation(self.plans[0], lines)
        self.assertEqual(len(set(expected)), 3, expected)
        stdin = "\n".join(lines) + "\n"
        for plan in self.plans:
            self.assertEqual(self.drun(plan, "chat", *WRITING, stdin=stdin), "".join(
                answer + "\n" for answer in expected))
        # Each line alone is another conversation.
        alone = self.drun(self.plans[0], "chat", *WRITING, stdin=lines[2])
        self.assertNotEqual(alone, expected[2] + "\n")

    def test_system(self):
        system = "Enter a ghost, who speaks of the king."
        expected = self.conversation(self.plans[0], ["Who is there?"], system)
        out = self.drun(self.plans[1], "chat", "--system", system, *WRITING, stdin="Who is there?")
        self.assertEqual(out, expected[0] + "\n")
        self.assertNotEqual(out, self.drun(self.plans[1], "chat", *WRITING, stdin="Who is there?"))

    def test_empty_lines_are_no_turns(self):
        lines = self.drun(self.plans[0], "chat", *WRITING, stdin="\n\nSpeak\r\n\n")
        self.assertEqual(lines, self.drun(self.plans[0], "chat", *WRITING, stdin="Speak"))
        self.assertEqual(self.drun(self.plans[0], "chat", stdin=""), "")

    def test_an_answer_may_fill_the_context(self):
        plan = self.compile(self.model, "short", "--max-seq-len", "64")
        done = harness.run("drun", plan, "chat", stdin="Say on")
        self.assertEqual(done.status, 0, done)
        self.assertGreater(len(done.out), 50)
        self.assertEqual(done.err, "the answer was ended by max_seq_len 64\n")

    def test_on_a_terminal(self):
        """Prompts are asked for on stderr, answers come as they are written, a turn that can't be is
        no reason to leave, and end of file ends it."""
        master, slave = harness.terminal()
        process = subprocess.Popen([str(harness.BIN / "drun"), str(self.plans[1]), "chat", *WRITING],
                                   stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.close(slave)
        seen = {process.stdout.fileno(): b"", process.stderr.fileno(): b""}

        def read_until(what, deadline=60):
            end = time.monotonic() + deadline
            while not what(*(text.decode() for text in seen.values())):
                self.assertLess(time.monotonic(), end, seen)
                for fd in select.select(list(seen), [], [], 1)[0]:
                    seen[fd] += os.read(fd, 65536)

        expected = self.conversation(self.plans[0], ["What light is this?", "Speak again!"])
        read_until(lambda out, err: err == "> ")
        os.write(master, b"What light is this?\n")
        read_until(lambda out, err: out == expected[0] + "\n" and err.endswith("> > "))
        os.write(master, b"refuse me\n")
        read_until(lambda out, err: err.endswith("refuses: no: refuse me\n> "))
        os.write(master, b"Speak again!\n")
        read_until(lambda out, err: out == "".join(e + "\n" for e in expected) and err.endswith("> "))
        os.write(master, b"\x04")
        self.assertEqual(process.wait(timeout=60), 0)
        process.stdout.close()
        process.stderr.close()
        os.close(master)


class GenerationConfig(harness.EndToEnd):
    LINES = [{"text": "ROMEO:\n"}]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        draws = chat_model(cls.scratch / "drawing", do_sample=True, temperature=0.8, top_k=30,
                           max_new_tokens=25)
        cls.plans = [cls.compile(draws, f"draws{tp}", "--tp", tp) for tp in (1, 2)]
        cls.greedy = cls.compile(chat_model(cls.scratch / "model"), "greedy")

    def ids(self, plan, *options):
        return self.generate(plan, self.LINES, *options)[0]["output_ids"]

    def test_the_file_decides_and_options_go_before_it(self):
        most = ["--max-new-tokens", "25"]
        greedy = self.ids(self.greedy, *most)
        drawn = self.ids(self.plans[0])
        self.assertLessEqual(len(drawn), 25)
        self.assertNotEqual(drawn, greedy)
        self.assertEqual(drawn, self.ids(self.plans[1]))
        self.assertEqual(drawn, self.ids(self.greedy, *most, "--temperature", "0.8", "--top-k", "30"))
        self.assertEqual(greedy, self.ids(self.plans[0], "--temperature", "0"))
        self.assertEqual(greedy, self.ids(self.plans[0], "--top-k", "1"))
        self.assertNotEqual(drawn, self.ids(self.plans[0], "--seed", "5"))
        self.assertEqual(len(self.ids(self.plans[0], "--max-new-tokens", "3")), 3)

    def test_chat_draws_too(self):
        said = {self.drun(self.plans[1], "chat", "--seed", seed, stdin="Who is there?")
                for seed in ("1", "2", "3")}
        self.assertGreater(len(said), 1, said)
        self.assertEqual(self.drun(self.plans[0], "chat", "--seed", "3", stdin="Who is there?"),
                         self.drun(self.plans[1], "chat", "--seed", "3", stdin="Who is there?"))

    def test_any_of_several_ids_ends_a_text(self):
        line = self.ids(self.greedy)
        ends = line[7]
        plan = self.compile(chat_model(self.scratch / "ending", eos_token_id=[2043, ends]), "ends")
        self.assertEqual(self.ids(plan), line[:line.index(ends) + 1])


class Tokenize(harness.EndToEnd):
    def test_directories(self):
        """All of what transformers gives for the templates of our own, but those that tell the date."""
        for number, directory in enumerate(GOLDEN["directories"]):
            if directory["name"] == "thinking":
                continue
            folder = self.scratch / f"directory{number}"
            for name, text in directory["files"].items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text, newline="")
            for case in directory["cases"]:
                with self.subTest(directory=directory["name"], request=case["request"]):
                    source = harness.write_jsonl(self.scratch / "in.jsonl", [case["request"]])
                    done = harness.run("drun", "tokenize", folder, "--chat", "--input", source)
                    if "rendered" in case:
                        self.assertEqual(json.loads(done.out), {"text": case["rendered"]}, done)
                    elif case["error"] is not None:
                        self.assertEqual(json.loads(done.out), {"error": case["error"]}, done)
                    else:
                        self.assertTrue(done.status == 2 or "error" in json.loads(done.out), done)

    def test_published(self):
        real = os.environ.get("DCC_REAL_TOKENIZERS", harness.ROOT.parent / "shared/reference/real_tokenizers")
        for name in ["qwen3", "phi3-mini", "mistral-7b-v0.3"]:
            folder = harness.pathlib.Path(real) / name
            with self.subTest(name):
                if not folder.exists():
                    self.skipTest(f"no {folder}; DCC_REAL_TOKENIZERS may name the folder with published tokenizers")
                cases = json.loads((folder / "chat_golden.json").read_text())["cases"]
                requests = [{key: case[key] for key in
                             ["messages", "add_generation_prompt", "tools", "kwargs"] if key in case}
                            for case in cases]
                source = harness.write_jsonl(self.scratch / "in.jsonl", requests)
                lines = self.drun("tokenize", folder, "--chat", "--input", source).splitlines()
                self.assertEqual(len(lines), len(cases))
                for case, line in zip(cases, map(json.loads, lines)):
                    self.assertEqual(line, {"text": case["rendered"]} if "rendered" in case
                                     else {"error": case["error"]}, case["name"])

    def test_templates_come_with_the_plan(self):
        model = chat_model(self.scratch / "model")
        (model / "additional_chat_templates").mkdir()
        (model / "additional_chat_templates/tool_use.jinja").write_text("tools: {{ tools | length }}")
        plan = self.compile(model, "plan")
        request = {"messages": [{"role": "user", "content": "Speak"}]}
        source = harness.write_jsonl(self.scratch / "in.jsonl", [request, request | {"tools": [{}]}])
        lines = self.drun("tokenize", plan, "--chat", "--input", source).splitlines()
        self.assertEqual([json.loads(line)["text"] for line in lines],
                         ["<|begin_of_text|>ROMEO:\nSpeak\n\n", "tools: 1"])


class BadChat(bad.BadInput):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.number = 0

    def plan_with(self, template=TEMPLATE, **generation):
        BadChat.number += 1
        model = chat_model(self.scratch / f"model{self.number}", template, **generation)
        return self.compile(model, f"plan{self.number}")

    def test_without_a_template(self):
        plan = self.compile(harness.BUNDLED, "bundled")
        self.refuses_drun(plan, "chat", words=["bundled", "chat_template.jinja"])
        self.refuses_drun("tokenize", plan, "--chat", words=["chat_template.jinja"])

    def test_templates_that_cannot_be_used(self):
        plan = self.plan_with("{{ bos_token }}\n{% include 'x' %}")
        self.refuses_drun(plan, "chat", words=["chat_template.jinja:2:", "include", "not supported"])
        plan = self.plan_with("{{ raise_exception('never') }}")
        self.refuses_drun(plan, "chat", words=["never"])
        plan = self.plan_with("{% for m in messages %}{{ raise_exception('none') if m.role == 'system' }}"
                              "{% endfor %}")
        self.refuses_drun(plan, "chat", "--system", "x", words=["--system", "none"])
        plan = self.plan_with("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}")
        self.refuses_drun(plan, "chat", words=["chat_template.jinja:1:", "steps"])

    def test_a_turn_that_cannot_be(self):
        plan = self.plan_with()
        done = harness.run("drun", plan, "chat", "--max-new-tokens", "2", stdin="Hi\nrefuse me\nHi\n")
        self.assertEqual((done.status, done.out.count("\n")), (2, 1), done)
        self.assertIn("stdin:2: the chat template refuses: no: refuse me", done.err)
        done = harness.run("drun", plan, "chat", stdin="Hi " * 2000)
        self.assertEqual(done.status, 2, done)
        self.assertIn("stdin:1: a prompt of", done.err)

    def test_requests(self):
        plan = self.plan_with()
        for line, words in [("{", ["in.jsonl:1:"]), ("{}", ["in.jsonl:1:", "messages"]),
                            ('{"messages": []}', ["in.jsonl:1:", "messages"]),
                            ('{"messages": [{"role": "user", "content": 99999999999999999999}]}',
                             ["in.jsonl:1:", "64 bits"])]:
            source = self.scratch / "in.jsonl"
            source.write_text(line + "\n")
            self.refuses_drun("tokenize", plan, "--chat", "--input", source, words=words)

    def test_generation_config(self):
        for field, value in [("temperature", -1), ("do_sample", "yes"), ("top_p", 2), ("num_beams", 3)]:
            with self.subTest(field):
                plan = self.plan_with(**{field: value})
                self.refuses_drun(plan, "--prompt", "x", words=["generation_config.json", field])
                self.refuses_drun(plan, "chat", words=["generation_config.json", field])


if __name__ == "__main__":
    harness.main([])
