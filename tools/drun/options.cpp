#include "tools/drun/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>

#include "runtime/base/nearest.h"
#include "runtime/base/printable.h"

namespace dcc::drun {
namespace {

constexpr char kFooter[] =
    "Commands:\n"
    "  drun [--nproc N] DIR [--prompt TEXT]...     continues prompts; without any: one per line "
    "of\n"
    "                                              stdin, or the model's own\n"
    "  drun [--nproc N] DIR chat [--system TEXT]   a conversation; every line is a turn\n"
    "  drun [--nproc N] DIR logits --input IN.jsonl --output OUT.safetensors\n"
    "  drun [--nproc N] DIR classify [--input IN.jsonl] [--output OUT.jsonl]      labels of texts\n"
    "  drun [--nproc N] DIR embed [--input IN.jsonl] --output OUT.safetensors     vectors of "
    "texts\n"
    "  drun [--nproc N] DIR bench                  how fast it is, and of what the machine can\n"
    "  drun [--nproc N] DIR tune                   measures, for a GPU, how products are made "
    "fastest\n"
    "  drun tokenize DIR [--input IN.jsonl]        no ranks, no weights\n"
    "  drun doctor                                 what drun finds on this machine\n"
    "Under torchrun, mpirun or srun it is one of the ranks; on several hosts without those:\n"
    "  drun --nnodes N --node-rank R --master-addr HOST DIR ...                   on each\n"
    "DIR is a plan directory, which `dcc compile` wrote. An input line is {\"text\": ...} or\n"
    "{\"input_ids\": [...]}, of tokenize --chat {\"messages\": [...], ...}. The model's\n"
    "generation_config.json decides whether and how tokens are drawn, and the options given go "
    "before\n"
    "it. Options may stand anywhere.";

struct CommandName {
  const char* name;
  Command command;
};
constexpr CommandName kCommands[] = {
    {"generate", Command::kGenerate}, {"logits", Command::kLogits},
    {"tokenize", Command::kTokenize}, {"classify", Command::kClassify},
    {"embed", Command::kEmbed},       {"chat", Command::kChat},
    {"bench", Command::kBench},       {"doctor", Command::kDoctor},
    {"tune", Command::kTune},
};

// Which commands an option that not all have belongs to.
struct Belongs {
  const char* option;
  uint32_t commands;  // a bit each
};
constexpr uint32_t in(std::initializer_list<Command> commands) {
  uint32_t bits = 0;
  for (const Command command : commands) bits |= 1u << static_cast<uint32_t>(command);
  return bits;
}
constexpr uint32_t kOnRanks =
    in({Command::kGenerate, Command::kChat, Command::kLogits, Command::kBench, Command::kClassify,
        Command::kEmbed, Command::kTune});
constexpr uint32_t kWriting = in({Command::kGenerate, Command::kChat});
constexpr Belongs kBelongs[] = {
    {"--nproc", kOnRanks},
    {"--threads", kOnRanks},
    {"--checkpoint", kOnRanks},
    {"--timeout", kOnRanks},
    {"--device", kOnRanks},
    {"--collectives", kOnRanks},
    {"--nnodes", kOnRanks},
    {"--node-rank", kOnRanks},
    {"--master-addr", kOnRanks},
    {"--master-port", kOnRanks},
    {"--store-port", kOnRanks},
    {"--bind", kOnRanks},
    {"--hash-ops", kOnRanks},
    {"--trace", kOnRanks},
    {"--log-dir", kOnRanks},
    {"--verify-ranks", kOnRanks},
    {"--prompt", in({Command::kGenerate})},
    {"--max-new-tokens", kWriting},
    {"--system", in({Command::kChat})},
    {"--json", in({Command::kGenerate, Command::kBench, Command::kDoctor, Command::kClassify})},
    {"--ignore-eos", in({Command::kGenerate})},
    {"--temperature", kWriting},
    {"--top-k", kWriting},
    {"--top-p", kWriting},
    {"--min-p", kWriting},
    {"--repetition-penalty", kWriting},
    {"--seed", kWriting},
    {"--stop", kWriting},
    {"--input", in({Command::kGenerate, Command::kLogits, Command::kTokenize, Command::kClassify,
                    Command::kEmbed})},
    {"--output", in({Command::kLogits, Command::kClassify, Command::kEmbed})},
    {"--batch-tokens", in({Command::kClassify, Command::kEmbed})},
    {"--tokens", in({Command::kEmbed})},
    {"--prompt-tokens", in({Command::kBench})},
    {"--new-tokens", in({Command::kBench})},
    {"--batch", in({Command::kBench})},
    {"--chat", in({Command::kTokenize})},
    {"--decode", in({Command::kTokenize})},
    {"--no-special-tokens", in({Command::kTokenize})},
};

const CommandName* findCommand(const std::string& word) {
  const auto* found = std::find_if(std::begin(kCommands), std::end(kCommands),
                                   [&](const CommandName& c) { return word == c.name; });
  return found == std::end(kCommands) ? nullptr : found;
}

// "DIR", "DIR COMMAND" or "COMMAND DIR".
Status readWords(const std::vector<std::string>& words, Options& options) {
  const CommandName* command = &kCommands[0];
  if (words.size() == 1) {
    // A directory of that name is meant by "./bench".
    if (const CommandName* found = findCommand(words[0])) command = found;
    options.dir = words[0];
  } else if (words.size() == 2) {
    const CommandName* first = findCommand(words[0]);
    command = first != nullptr ? first : findCommand(words[1]);
    options.dir = words[first != nullptr ? 1 : 0];
    if (command == nullptr) {
      std::vector<std::string_view> names;
      for (const CommandName& c : kCommands) names.push_back(c.name);
      return userError(printable(words[1]) + ": no command of drun; did you mean \"" +
                       nearestName(words[1], names) + "\"?");
    }
  } else {
    return userError(words.empty()
                         ? "no plan directory; drun DIR runs one, drun --help says more"
                         : printable(words[2]) +
                               ": one word too many; a directory and a command are right");
  }
  if (command->command == Command::kDoctor) {
    if (words.size() == 2) return userError("doctor: takes no directory; drun doctor is all of it");
    options.dir.clear();
  } else if (words.size() == 1 && command != &kCommands[0]) {
    return userError(std::string(command->name) + ": of what? drun " + command->name + " DIR");
  }
  options.command = command->command;
  return Status::success();
}

Status checkCombination(const CLI::App& app, const Options& options) {
  const auto given = [&app](const char* name) { return app.get_option(name)->count() > 0; };
  for (const Belongs& belongs : kBelongs) {
    if (!given(belongs.option) || (belongs.commands & in({options.command})) != 0) continue;
    const auto* command =
        std::find_if(std::begin(kCommands), std::end(kCommands),
                     [&](const CommandName& c) { return c.command == options.command; });
    return userError(std::string(belongs.option) + ": means nothing to " + command->name);
  }
  for (const std::string& text : options.stop) {
    if (text.empty()) return userError("--stop: an empty text would end everything at once");
  }
  for (const char* name : {"--node-rank", "--master-addr", "--master-port"}) {
    if (given(name) && !given("--nnodes")) {
      return userError(std::string(name) + ": means nothing without --nnodes");
    }
  }
  if (options.nodes.address && options.nodes.address->empty()) {
    return userError("--master-addr: empty; the name or address of a host is right");
  }
  if (options.nccl && options.device == plan::Target::kCpu) {
    return userError("--collectives nccl: needs --device cuda; shm and tcp are for the CPU");
  }
  if (options.chat && (options.decode || options.no_special_tokens)) {
    return userError("--chat: gives texts; --decode and --no-special-tokens mean nothing to it");
  }
  if (given("--trace") && given("--hash-ops")) {
    return userError("--trace: would time the digests of --hash-ops; give one of them");
  }
  if (given("--trace") && options.verify_ranks) {
    return userError("--trace: would time the hashes of --verify-ranks; give one of them");
  }
  if (given("--trace") && options.trace.empty()) return userError("--trace: no file");
  if (given("--log-dir") && options.log_dir.empty()) return userError("--log-dir: no directory");
  if (!options.prompts.empty() && !options.input.empty()) {
    return userError("--prompt and --input: both name prompts; give one of them");
  }
  if (options.command == Command::kLogits && (options.input.empty() || options.output.empty())) {
    return userError("logits: needs --input IN.jsonl and --output OUT.safetensors");
  }
  if (options.command == Command::kEmbed && options.output.empty()) {
    return userError("embed: needs --output OUT.safetensors");
  }
  return Status::success();
}

std::string unknownOption(const CLI::App& app, const std::string& given) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional() && !option->get_group().empty()) {
      names.push_back("--" + option->get_single_name());
    }
  }
  const std::string nearest = nearestName(given, names);
  const bool near = editDistance(given, nearest) <= 2;
  return printable(given) + ": no option of drun; " +
         (near ? "did you mean " + nearest + "?" : "drun --help lists them");
}

std::string oneLine(const CLI::ParseError& error) {
  std::string text = error.what();
  while (!text.empty() && (text.back() == '\n' || text.back() == '.')) text.pop_back();
  return printable(text, 400);
}

}  // namespace

Result<std::optional<Options>> parseOptions(int argc, const char* const* argv) {
  Options options;
  std::vector<std::string> words;
  double timeout = 30;
  std::string collectives = "auto", bind = "cores", device;

  CLI::App app("Runs a compiled plan on N ranks.", "drun");
  app.footer(kFooter);
  app.set_help_flag("-h,--help", "all of this");
  app.set_version_flag("--version", "drun " DCC_VERSION);
  app.add_option("DIR", words, "plan directory, and a command")->option_text(" ");

  const auto counts = CLI::Range(1u, 1024u);
  app.add_option("--nproc", options.nproc,
                 "ranks on this host (default: its share of those the plan is for)")
      ->check(counts)
      ->option_text("N");
  app.add_option("--threads", options.threads, "per rank (default: cores over local ranks)")
      ->check(counts)
      ->option_text("N");
  app.add_option("--checkpoint", options.checkpoint, "where the weights are, if moved")
      ->option_text("DIR");
  app.add_option("--timeout", timeout,
                 "a rank may give no sign of life for so long (default: 30; to start: 60)")
      ->option_text("SECONDS");
  app.add_option("--device", device, "what computes (default: what the plan was compiled for)")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->option_text("cpu|cuda");
  app.add_option("--collectives", collectives, "how ranks talk (default: auto)")
      ->check(CLI::IsMember({"auto", "shm", "tcp", "nccl"}))
      ->option_text("auto|shm|tcp");
  const auto ports = CLI::Range(1u, 65535u);
  launch::NodeOptions& nodes = options.nodes;
  app.add_option("--nnodes", nodes.count, "hosts, each with a drun that starts its ranks")
      ->check(counts)
      ->option_text("N");
  app.add_option("--node-rank", nodes.rank,
                 "which of them this is, from 0 (default: Slurm's, Kubernetes', torchrun's)")
      ->check(CLI::Range(0u, 1023u))
      ->option_text("R");
  app.add_option("--master-addr", nodes.address, "host 0 (default: MASTER_ADDR, or Slurm's first)")
      ->option_text("HOST");
  app.add_option("--master-port", nodes.port, "and the port to meet at there (default: 29500)")
      ->check(ports)
      ->option_text("PORT");
  app.add_option("--store-port", options.meet.store_port,
                 "where ranks that others started meet (default: the one after MASTER_PORT)")
      ->check(ports)
      ->option_text("PORT");
  app.add_option("--bind", bind, "ranks of one host stay on cores of their own (default: cores)")
      ->check(CLI::IsMember({"cores", "none"}))
      ->option_text("cores|none");
  app.add_option("--hash-ops", options.hash_ops,
                 "a digest of every op's result, for tools/compare-hashes")
      ->option_text("FILE");
  app.add_option("--trace", options.trace,
                 "when every step and op of all ranks ran, for chrome://tracing or ui.perfetto.dev")
      ->option_text("FILE");
  app.add_option("--log-dir", options.log_dir,
                 "what each rank says on stderr also goes to rank-N.log there")
      ->option_text("DIR");
  app.add_flag("--verify-ranks", options.verify_ranks,
               "ranks compare their collectives' results after every step");
  // One value each, however it looks: CLI11 would also take the words that follow, and split
  // "[a,b]".
  app.add_option("--prompt", options.prompts, "what to continue; may be repeated")
      ->allow_extra_args(false)
      ->option_text("TEXT");
  app.add_option("--input", options.input, "prompts, a JSON object a line; - is stdin")
      ->option_text("IN.jsonl");
  app.add_option("--output", options.output, "where logits, labels or vectors go")
      ->option_text("OUT");
  app.add_option("--max-new-tokens", options.max_new_tokens,
                 "per prompt (default: generation_config.json's, or 128; chat: no limit)")
      ->check(CLI::Range(0u, 0x7fffffffu))
      ->option_text("N");
  app.add_flag("--json", options.json, "results as JSON, a line each");
  app.add_flag("--ignore-eos", options.ignore_eos, "go on after end-of-sequence");
  generate::SamplingChoice& sampling = options.sampling;
  app.add_option("--temperature", sampling.temperature, "0: the likeliest token")
      ->check(CLI::Range(0.0, 1e6))
      ->option_text("F");
  app.add_option("--top-k", sampling.top_k, "only the N likeliest tokens (0: all)")
      ->check(CLI::Range(0u, 0x7fffffffu))
      ->option_text("N");
  app.add_option("--top-p", sampling.top_p, "only the fewest tokens of this much probability")
      ->check(CLI::Range(1e-9, 1.0))
      ->option_text("F");
  app.add_option("--min-p", sampling.min_p, "only tokens of this share of the likeliest's")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text("F");
  app.add_option("--repetition-penalty", sampling.repetition_penalty, "above 1: fewer repetitions")
      ->check(CLI::Range(1e-6, 1e6))
      ->option_text("F");
  app.add_option("--seed", sampling.seed, "the same draws every time (default: 0)")
      ->option_text("N");
  app.add_option("--system", options.system, "chat: the system message")
      ->allow_extra_args(false)
      ->option_text("TEXT");
  app.add_option("--stop", options.stop, "ends a continuation; may be repeated")
      ->allow_extra_args(false)
      ->option_text("TEXT");
  const auto tokens = [](uint32_t least) { return CLI::Range(least, 0x7fffffffu); };
  app.add_option("--prompt-tokens", options.prompt_tokens, "bench: of each prompt (default: 512)")
      ->check(tokens(1))
      ->option_text("N");
  // The first new token comes with the prompt.
  app.add_option("--new-tokens", options.new_tokens, "bench: of each continuation (default: 128)")
      ->check(tokens(2))
      ->option_text("N");
  app.add_option("--batch", options.batch, "bench: prompts at once (default: 1)")
      ->check(CLI::Range(1u, 1u << 20))
      ->option_text("N");
  app.add_flag("--chat", options.chat, "tokenize: the prompts of conversations, as text");
  app.add_option("--batch-tokens", options.batch_tokens,
                 "classify, embed: of a step, but at least a whole text (default: the plan's most)")
      ->check(tokens(1))
      ->option_text("N");
  app.add_flag("--tokens", options.tokens, "embed: a vector of every token");
  app.add_flag("--decode", options.decode, "tokenize: from ids to text");
  app.add_flag("--no-special-tokens", options.no_special_tokens, "tokenize: without added tokens");

  // "--prompt=" and "--system=" with nothing behind them would take the next word.
  std::vector<std::string> args;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg.starts_with("--prompt=") || arg.starts_with("--system=")) {
      const size_t sign = arg.find('=');
      args.emplace_back(arg.substr(0, sign));
      args.emplace_back(arg.substr(sign + 1));
    } else {
      args.emplace_back(arg);
    }
  }
  std::reverse(args.begin(), args.end());  // as CLI11 wants them
  try {
    app.parse(args);
  } catch (const CLI::Success& success) {
    app.exit(success, std::cout, std::cerr);
    return std::optional<Options>();
  } catch (const CLI::ExtrasError&) {
    return userError(unknownOption(app, app.remaining().front()));
  } catch (const CLI::ParseError& error) {
    return userError(oneLine(error));
  }
  if (!std::isfinite(timeout) || timeout <= 0 || timeout > 1e6) {
    return userError("--timeout: " + std::to_string(timeout) +
                     "; seconds, up to 1000000, are right");
  }
  options.timeout = std::chrono::milliseconds(static_cast<int64_t>(std::ceil(timeout * 1000)));
  if (app.get_option("--timeout")->count() > 0) options.meet.deadline = options.timeout;
  options.meet.transport = collectives == "shm"   ? launch::Transport::kSharedMemory
                           : collectives == "tcp" ? launch::Transport::kTcp
                                                  : launch::Transport::kAuto;
  options.nccl = collectives == "nccl";
  if (!device.empty()) {
    options.device = device == "cuda" ? plan::Target::kCuda : plan::Target::kCpu;
  }
  options.bind = bind == "cores";
  DCC_RETURN_IF_ERROR(readWords(words, options));
  DCC_RETURN_IF_ERROR(checkCombination(app, options));
  return std::optional<Options>(std::move(options));
}

}  // namespace dcc::drun
