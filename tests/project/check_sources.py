#!/usr/bin/env python3
"""Checks on the sources themselves; each is a ctest of its own.

  check_sources.py CHECK [--root DIR] [--clang-format PROGRAM]

Prints one line per finding, "path:line: what is wrong; what would be right", and fails if there
is any. Exit status 77 (skipped, for ctest) when a tool is missing.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys

MAX_LINES = 600
SOURCE_DIRS = ["runtime", "frontends", "dialects", "passes", "compiler", "tools", "tests",
               "benchmarks", "cmake", "docs", "examples"]
WRITTEN_BY_HAND = {".h", ".cpp", ".cc", ".cu", ".cuh", ".td", ".fbs", ".py", ".sh", ".cmake", ".txt", ".md",
                   ".mlir", ".test", ".in", ""}
GENERATED = ["docs/dialects/"]

# What a runtime that knows a model family would have to say: a family's name, or the fields of
# config.json that hold it.
FAMILY = re.compile(
    r"llama|mistral|mixtral|qwen|gemma|gpt[-_ ]?(?:oss|neo|j\b|2|bigcode)|deepseek|(?<![a-z])bert"
    r"|roberta|falcon|(?<![a-z])phi[-_]?\d|olmo|starcoder|mamba|(?<![a-z])opt[-_]\d"
    r"|model_type|architectures", re.IGNORECASE)
# Types of components in tokenizer.json, called after the model that first had them.
COMPONENT = re.compile(r"Bert(?:Normalizer|PreTokenizer|Processing)|RobertaProcessing")
COMPILER_HEADER = re.compile(r'^\s*#\s*include\s*[<"](?:mlir|mlir-c|llvm|llvm-c|dialects|passes'
                             r"|compiler|frontends)/")
FORBIDDEN_LIBRARY = re.compile(r"\b(?:MLIR\w*|LLVM\w*|dcc_(?:mlir|dialects|passes|compiler))\b")


def files_under(root, folders, suffixes):
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root).as_posix()
            if path.is_file() and path.suffix in suffixes and "__pycache__" not in relative \
                    and not any(relative.startswith(g) for g in GENERATED):
                yield path, relative


def without_comments(text):
    """C++ text with comments blanked, lines kept; strings stay, for they are code."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group(0)
        return re.sub(r"[^\n]", " ", found) if found.startswith("/") else found
    return token.sub(blank, text)


def check_size(root):
    for path, relative in files_under(root, SOURCE_DIRS, WRITTEN_BY_HAND):
        try:
            lines = path.read_text(encoding="utf-8").count("\n")
        except UnicodeDecodeError:
            yield f"{relative}: is no UTF-8 text; hand-written files are"
            continue
        if lines > MAX_LINES:
            yield f"{relative}: has {lines} lines; at most {MAX_LINES}, split it"


def runtime_files(root, suffixes):
    return files_under(root, ["runtime", "tools/drun"], suffixes)


def check_families(root):
    for path, relative in runtime_files(root, {".h", ".cpp", ".fbs"}):
        for number, line in enumerate(without_comments(path.read_text()).splitlines(), 1):
            if found := FAMILY.search(COMPONENT.sub("", line)):
                yield (f"{relative}:{number}: \"{found.group(0)}\"; the runtime knows no model "
                       "family: the plan says what to do")


def check_includes(root):
    for path, relative in runtime_files(root, {".h", ".cpp"}):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if COMPILER_HEADER.search(line):
                yield (f"{relative}:{number}: {line.strip()}; the runtime includes neither MLIR, "
                       "LLVM nor the compiler's headers")
    for path, relative in runtime_files(root, {".txt"}):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if found := FORBIDDEN_LIBRARY.search(line.split("#")[0]):
                yield f"{relative}:{number}: {found.group(0)}; the runtime links no compiler"


def check_format(root, clang_format):
    if not shutil.which(clang_format):
        print(f"{clang_format} is not installed (tools/install-packages check)")
        sys.exit(77)
    files = [str(path) for path, _ in files_under(root, SOURCE_DIRS, {".h", ".cpp", ".cc", ".cu", ".cuh"})]
    for start in range(0, len(files), 50):
        done = subprocess.run([clang_format, "--dry-run", "-Werror", "--ferror-limit=1",
                               *files[start:start + 50]], cwd=root, text=True, capture_output=True)
        for line in done.stderr.splitlines():
            if ": error: " in line:
                place = line.split(": error: ")[0].replace(f"{root}/", "")
                yield f"{place}: not as .clang-format says; run {clang_format} -i on it"


def check_links(root):
    """Relative links of Markdown files lead somewhere."""
    link = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    for page in sorted(pages):
        for number, line in enumerate(page.read_text().splitlines(), 1):
            for target in link.findall(line):
                if "://" not in target and not (page.parent / target).exists():
                    yield (f"{page.relative_to(root).as_posix()}:{number}: link to {target}, which "
                           "does not exist")


CHECKS = {"size": check_size, "families": check_families, "includes": check_includes,
          "format": check_format, "links": check_links}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--clang-format", default="clang-format-14")
    args = parser.parse_args()
    extra = [args.clang_format] if args.check == "format" else []
    findings = list(CHECKS[args.check](args.root, *extra))
    print("\n".join(findings) if findings else f"{args.check}: nothing found")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
