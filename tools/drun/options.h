// drun's command line.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/generate/generation_config.h"
#include "runtime/launch/nodes.h"
#include "runtime/launch/rank.h"
#include "runtime/plan/directory.h"

namespace dcc::drun {

enum class Command {
  kGenerate,
  kChat,
  kLogits,
  kTokenize,
  kBench,
  kDoctor,
  kClassify,
  kEmbed,
  kTune
};

struct Options {
  Command command = Command::kGenerate;
  std::string dir;  // "" where the command has none

  std::optional<uint32_t> nproc;
  std::optional<uint32_t> threads;     // per rank
  std::optional<plan::Target> device;  // nothing: what the plan was compiled for
  bool nccl = false;                   // or not at all
  std::string checkpoint;              // "": where the plan says
  std::chrono::milliseconds timeout{30'000};
  launch::MeetOptions meet;
  launch::NodeOptions nodes;
  bool bind = true;      // ranks stay on cores of their own
  std::string hash_ops;  // where digests of every op's result go; "": none
  std::string trace;     // where the times of all steps and ops go; "": nowhere
  std::string log_dir;   // where what ranks say goes too; "": nowhere
  bool verify_ranks = false;

  std::vector<std::string> prompts;
  std::string input, output;
  std::optional<uint32_t> max_new_tokens;
  bool json = false;
  bool ignore_eos = false;
  generate::SamplingChoice sampling;  // the model's own where nothing is given
  std::vector<std::string> stop;      // texts that end a continuation, which they are not part of

  std::optional<uint32_t> prompt_tokens, new_tokens;  // of each sequence of a bench
  uint32_t batch = 1;

  std::optional<uint32_t> batch_tokens;  // of a step of classify and embed, at most
  bool tokens = false;                   // embed: a vector of every token

  std::optional<std::string> system;  // chat: the system message

  bool chat = false;  // tokenize: conversations
  bool decode = false;
  bool no_special_tokens = false;
};

// The options, or nothing when all that was asked for (--help, --version) has been printed. Errors
// (user): anything not understood, not built yet, or that means nothing to the command.
Result<std::optional<Options>> parseOptions(int argc, const char* const* argv);

}  // namespace dcc::drun
