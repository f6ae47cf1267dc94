// dcc: compiles a model into one execution plan per rank.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <optional>

#include "compiler/compile.h"
#include "compiler/explain.h"
#include "compiler/inspect.h"
#include "compiler/out_of_memory.h"
#include "passes/Strategy.h"
#include "runtime/base/program.h"
#include "runtime/base/progress.h"
#include "runtime/plan/directory.h"
#include "runtime/plan/plan.h"

namespace {

int fail(const dcc::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  return static_cast<int>(error.fault);
}

int runCompile(dcc::CompileOptions options) {
  auto start = std::chrono::steady_clock::now();
  std::optional<dcc::Progress> progress;
  const bool to_file = !options.output.empty() && options.output != "-";
  if (to_file) {  // else the IR is printed, perhaps where the line would be
    progress.emplace("compiling");
    options.progress = [&](const std::string& what) { progress->say(what); };
  }
  dcc::Result<dcc::CompileSummary> summary = dcc::compile(options);
  progress.reset();
  if (!summary.ok()) return fail(summary.error());
  if (options.stop_after.empty() && isatty(STDERR_FILENO)) {
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::fprintf(stderr, "%s: %s for %lld rank%s in %.1f s\n", options.output.c_str(),
                 summary->model.c_str(), static_cast<long long>(summary->ranks),
                 summary->ranks == 1 ? "" : "s", seconds);
  }
  return 0;
}

int runStrategies() {
  const auto row = [](std::string_view name, std::string_view cut, std::string_view takes,
                      std::string_view gives, std::string_view collective) {
    std::printf("%-30.*s %-34.*s %-52.*s %-46.*s %.*s\n", int(name.size()), name.data(),
                int(cut.size()), cut.data(), int(takes.size()), takes.data(), int(gives.size()),
                gives.data(), int(collective.size()), collective.data());
  };
  row("strategy", "cut of the weight", "input", "output", "collective");
  for (const dcc::Strategy& s : dcc::strategies()) {
    row(s.name, dcc::cutInWords(s), s.takes, s.gives, s.collective);
  }
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app("dcc: compiles a model into one execution plan per rank");
  app.require_subcommand(1);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return std::string("error: ") + error.what() + "; dcc --help says what there is\n";
  });

  dcc::CompileOptions options;
  CLI::App* compile = app.add_subcommand("compile", "compile a model into a plan directory");
  compile
      ->add_option("MODEL", options.model,
                   "Hugging Face directory, its config.json, a model.json, or the IR of a phase")
      ->required();
  compile->add_option("-o,--output", options.output, "plan directory; with --stop-after a file");
  compile->add_option("--tp", options.tp, "tensor-parallel degree");
  compile->add_flag("--expert-parallel", options.expert_parallel,
                    "whole experts on every rank, in place of a part of each");
  compile->add_option("--dp", options.dp, "data-parallel degree");
  compile->add_option("--cp", options.cp, "context-parallel degree");
  compile->add_option("--pp", options.pp, "pipeline-parallel degree");
  compile->add_option("--tp-plan", options.tp_plan, "auto, or a JSON file of pattern: strategy");
  compile->add_option("--tp-rule", options.tp_rules, "PATTERN=STRATEGY, on top of the plan")
      ->allow_extra_args(false);
  compile
      ->add_option("--rewrite", options.rewrites,
                   "NAME=on or NAME=off: merge-duplicates, cancel-gathers, merge-all-reduces, "
                   "residual-by-tokens (on), norms-by-tokens (off), experts-all-to-all (where it "
                   "saves bytes; on: everywhere)")
      ->allow_extra_args(false);
  compile
      ->add_option("--load-strategies", options.load_strategies,
                   "a library of strategies (include/dcc/strategy.h)")
      ->allow_extra_args(false);
  compile->add_option("--dtype", options.dtype, "auto, f32, bf16, f16");
  compile->add_option("--target", options.target, "cpu (the default), cuda")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  compile
      ->add_option("--numerics", options.numerics,
                   "fast, or invariant: the same bits at --tp 1, 2, 4 and 8")
      ->check(CLI::IsMember({"fast", "invariant"}));
  compile->add_option("--weights", options.weights,
                      "checkpoint, or dummy or dummy:SEED: random ones, from a config.json alone");
  compile->add_option("--max-tokens", options.max_tokens,
                      "tokens of a step; longer prompts are cut");
  compile->add_option("--max-seqs", options.max_seqs, "sequences of a step");
  compile->add_option("--max-seq-len", options.max_seq_len, "tokens of a sequence");
  compile->add_option("--memory", options.memory, "what a rank may need, as 80GiB or 512MiB");
  compile->add_option("--max-collectives-per-layer", options.max_collectives_per_layer,
                      "what a layer may have in a step");
  compile->add_option("--stop-after", options.stop_after, "write the IR of this phase and stop");
  compile->add_flag(
      "--allow-implicit-gather", options.allow_implicit_gather,
      "what rules don't fit is gathered, with a warning for each, instead of refused");

  dcc::InspectOptions view;
  CLI::App* inspect = app.add_subcommand("inspect", "print the IR at any phase");
  inspect->add_option("DIR", view.directory, "plan directory")->required();
  inspect->add_option("--phase", view.phase,
                      "import, annotate, shard, collectives (the default), "
                      "optimize, localize, schedule, allocate, specialize");
  inspect->add_option("--layer", view.layer, "only this layer");
  inspect->add_option("--rank", view.rank, "this rank's plan file as text");

  std::string directory;
  CLI::App* verify = app.add_subcommand("verify", "check the plans of a directory");
  verify->add_option("DIR", directory, "plan directory")->required();
  CLI::App* explain = app.add_subcommand("explain", "memory, collectives and their reasons");
  dcc::ExplainOptions why;
  std::string collectives = "shm";
  explain->add_option("DIR", why.directory, "plan directory")->required();
  explain->add_flag("--json", why.json, "one JSON object");
  explain->add_option("--layer", why.layer, "only this layer's collectives");
  explain->add_option("--tokens", why.tokens, "of the step whose bytes are told");
  explain->add_option("--seqs", why.seqs, "of that step");
  explain->add_option("--threads", why.threads, "of each rank (default: drun's on this machine)")
      ->check(CLI::Range(1u, 1024u));
  explain->add_option("--collectives", collectives, "how ranks talk: shm, tcp")
      ->check(CLI::IsMember({"shm", "tcp"}));
  CLI::App* strategies = app.add_subcommand("strategies", "what a tp_plan may say");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (compile->parsed()) return runCompile(options);
  if (inspect->parsed() || explain->parsed()) {
    if (collectives == "tcp") why.transport = dcc::TransportKind::kTcp;
    dcc::Result<std::string> text = inspect->parsed() ? dcc::inspect(view) : dcc::explain(why);
    if (!text.ok()) return fail(text.error());
    std::fwrite(text->data(), 1, text->size(), stdout);  // main() sees whether it could be
    return 0;
  }
  if (verify->parsed()) {
    dcc::Status status = dcc::plan::verifyDirectory(directory);
    return status.ok() ? 0 : fail(status.error());
  }
  if (strategies->parsed()) return runStrategies();
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  dcc::beginProgram();
  dcc::throwWhenOutOfMemory();
  int status = 0;
  const dcc::Status ended = dcc::guarded([&] {
    status = run(argc, argv);
    return status == 0 ? dcc::flushStdout() : dcc::Status::success();
  });
  return ended.ok() ? status : fail(ended.error());
}
