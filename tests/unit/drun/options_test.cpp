// The command line, as users write it.
#include "tools/drun/options.h"
#include "tools/drun/stop.h"

#include <gtest/gtest.h>

namespace dcc::drun {
namespace {

Result<std::optional<Options>> parse(std::vector<const char*> args) {
  args.insert(args.begin(), "drun");
  return parseOptions(static_cast<int>(args.size()), args.data());
}

Options parsed(std::vector<const char*> args) {
  auto options = parse(std::move(args));
  EXPECT_TRUE(options.ok()) << options.error().message;
  return options.ok() && options->has_value() ? **options : Options();
}

std::string refused(std::vector<const char*> args) {
  const auto options = parse(std::move(args));
  if (options.ok()) return "accepted";
  EXPECT_EQ(options.error().fault, Fault::kUser);
  EXPECT_EQ(options.error().message.find('\n'), std::string::npos);
  return options.error().message;
}

TEST(Options, Defaults) {
  const Options options = parsed({"plan/"});
  EXPECT_EQ(options.command, Command::kGenerate);
  EXPECT_EQ(options.dir, "plan/");
  EXPECT_FALSE(options.nproc.has_value());
  EXPECT_FALSE(options.threads.has_value());
  EXPECT_FALSE(options.max_new_tokens.has_value());
  EXPECT_EQ(options.timeout, std::chrono::seconds(30));
  EXPECT_FALSE(options.json || options.ignore_eos);
}

TEST(Options, MayStandAnywhere) {
  for (const auto& args : std::vector<std::vector<const char*>>{
           {"--nproc", "8", "plan", "logits", "--input", "a", "--output", "b"},
           {"logits", "--output", "b", "plan", "--nproc", "8", "--input", "a"},
           {"--input=a", "--output=b", "--nproc=8", "plan", "logits"}}) {
    const Options options = parsed(args);
    EXPECT_EQ(options.command, Command::kLogits);
    EXPECT_EQ(options.dir, "plan");
    EXPECT_EQ(options.nproc, 8u);
    EXPECT_EQ(options.input, "a");
    EXPECT_EQ(options.output, "b");
  }
  EXPECT_EQ(parsed({"tokenize", "dir", "--decode"}).command, Command::kTokenize);
  EXPECT_EQ(parsed({"dir", "tokenize", "--no-special-tokens"}).no_special_tokens, true);
  EXPECT_EQ(parsed({"generate", "logits"}).dir, "logits");
}

TEST(Options, APromptIsTakenAsItIs) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(parsed({"--prompt", "a b", "plan"}).prompts, Texts{"a b"});
  EXPECT_EQ(parsed({"plan", "--prompt", "a", "--prompt", "b"}).prompts, (Texts{"a", "b"}));
  EXPECT_EQ(parsed({"plan", "--prompt", "[1,2]"}).prompts, Texts{"[1,2]"});
  EXPECT_EQ(parsed({"plan", "--prompt", "--json"}).prompts, Texts{"--json"});
  EXPECT_EQ(parsed({"plan", "--prompt", ""}).prompts, Texts{""});
  EXPECT_EQ(parsed({"--prompt=", "plan"}).prompts, Texts{""});
  EXPECT_EQ(parsed({"plan", "--prompt=x=y"}).prompts, Texts{"x=y"});
  EXPECT_EQ(parsed({"plan", "--prompt", "\"quoted\" \\n"}).prompts, Texts{"\"quoted\" \\n"});
}

TEST(Options, SamplingIsWhatIsGiven) {
  EXPECT_FALSE(parsed({"plan"}).sampling.temperature.has_value());
  const Options options = parsed({"plan", "--temperature", "0.5", "--top-k", "3", "--top-p", "0.9",
                                  "--min-p", "0.1", "--repetition-penalty", "1.1", "--seed", "7"});
  EXPECT_EQ(options.sampling.temperature, 0.5);
  EXPECT_EQ(options.sampling.top_k, 3u);
  EXPECT_EQ(options.sampling.top_p, 0.9);
  EXPECT_EQ(options.sampling.min_p, 0.1);
  EXPECT_EQ(options.sampling.repetition_penalty, 1.1);
  EXPECT_EQ(options.sampling.seed, 7u);
  EXPECT_NE(refused({"plan", "--top-p", "0"}).find("--top-p"), std::string::npos);
  EXPECT_NE(refused({"plan", "--temperature", "-1"}).find("--temperature"), std::string::npos);
  EXPECT_EQ(refused({"plan", "--stop", ""}), "--stop: an empty text would end everything at once");
}

TEST(Options, Bench) {
  const Options usual = parsed({"plan", "bench"});
  EXPECT_EQ(usual.command, Command::kBench);
  EXPECT_FALSE(usual.prompt_tokens || usual.new_tokens);
  EXPECT_EQ(usual.batch, 1u);
  const Options options = parsed({"bench", "plan", "--batch", "4", "--new-tokens", "2", "--json",
                                  "--prompt-tokens=7", "--threads", "2", "--nproc", "1"});
  EXPECT_EQ(options.batch, 4u);
  EXPECT_EQ(options.prompt_tokens, 7u);
  EXPECT_EQ(options.new_tokens, 2u);
  EXPECT_TRUE(options.json);
  // The first token comes with the prompt: with no other there is nothing to time.
  EXPECT_NE(refused({"plan", "bench", "--new-tokens", "1"}).find("--new-tokens"),
            std::string::npos);
  EXPECT_NE(refused({"plan", "bench", "--batch", "0"}).find("--batch"), std::string::npos);
}

TEST(Options, Trace) {
  EXPECT_EQ(parsed({"plan", "--trace", "t.json"}).trace, "t.json");
  EXPECT_EQ(parsed({"plan", "bench", "--trace=t.json"}).trace, "t.json");
  EXPECT_EQ(refused({"tokenize", "plan", "--trace", "t"}), "--trace: means nothing to tokenize");
  EXPECT_EQ(refused({"plan", "--trace", "t", "--hash-ops", "h"}),
            "--trace: would time the digests of --hash-ops; give one of them");
}

TEST(Options, Chat) {
  const Options options = parsed({"plan", "chat", "--system", "Be brief.", "--seed", "1", "--nproc",
                                  "2", "--stop", "x", "--max-new-tokens", "9"});
  EXPECT_EQ(options.command, Command::kChat);
  EXPECT_EQ(options.system, "Be brief.");
  EXPECT_EQ(options.max_new_tokens, 9u);
  EXPECT_EQ(parsed({"chat", "--system=", "plan"}).system, "");
  EXPECT_EQ(refused({"plan", "--system", "x"}), "--system: means nothing to generate");
  EXPECT_EQ(refused({"plan", "chat", "--prompt", "x"}), "--prompt: means nothing to chat");
  EXPECT_TRUE(parsed({"tokenize", "plan", "--chat"}).chat);
  EXPECT_EQ(refused({"plan", "--chat"}), "--chat: means nothing to generate");
  EXPECT_EQ(refused({"tokenize", "plan", "--chat", "--decode"}),
            "--chat: gives texts; --decode and --no-special-tokens mean nothing to it");
}

TEST(Options, Doctor) {
  EXPECT_EQ(parsed({"doctor"}).command, Command::kDoctor);
  EXPECT_EQ(parsed({"--json", "doctor"}).dir, "");
  EXPECT_EQ(parsed({"./doctor"}).command, Command::kGenerate);
  EXPECT_EQ(refused({"doctor", "plan"}), "doctor: takes no directory; drun doctor is all of it");
  EXPECT_EQ(refused({"doctor", "--threads", "2"}), "--threads: means nothing to doctor");
}

TEST(StopTexts, HoldsBackWhatMayBecomeOne) {
  StopTexts stop({"END", "\n\n"});
  EXPECT_EQ(stop.push("a\n"), "a");
  EXPECT_EQ(stop.push("bE"), "\nb");
  EXPECT_EQ(stop.push("N"), "");
  EXPECT_EQ(stop.push("x"), "ENx");
  EXPECT_FALSE(stop.hit());
  EXPECT_EQ(stop.push("yEN"), "y");
  EXPECT_EQ(stop.push("Dz"), "");
  EXPECT_TRUE(stop.hit());
  EXPECT_EQ(stop.push("more"), "");
  EXPECT_EQ(stop.finish(), "");
  StopTexts open({"END"});
  EXPECT_EQ(open.push("EN"), "");
  EXPECT_EQ(open.finish(), "EN");
}

TEST(Options, NothingIsSilentlyIgnored) {
  EXPECT_EQ(refused({"plan", "--log-dir", ""}), "--log-dir: no directory");
  EXPECT_EQ(refused({"plan", "--trace", "t", "--verify-ranks"}),
            "--trace: would time the hashes of --verify-ranks; give one of them");
  EXPECT_EQ(refused({"doctor", "--verify-ranks"}), "--verify-ranks: means nothing to doctor");
  EXPECT_EQ(refused({"plan", "embed"}), "embed: needs --output OUT.safetensors");
  EXPECT_EQ(refused({"plan", "--batch", "2"}), "--batch: means nothing to generate");
  EXPECT_EQ(refused({"plan", "bench", "--input", "a"}), "--input: means nothing to bench");
  EXPECT_EQ(refused({"plan", "logits", "--input", "a", "--output", "b", "--json"}),
            "--json: means nothing to logits");
  EXPECT_EQ(refused({"tokenize", "plan", "--nproc", "2"}), "--nproc: means nothing to tokenize");
  EXPECT_EQ(refused({"plan", "--device", "cpu", "--collectives", "nccl"}),
            "--collectives nccl: needs --device cuda; shm and tcp are for the CPU");
  EXPECT_TRUE(parsed({"plan"}).bind);
  EXPECT_FALSE(parsed({"plan", "--bind", "none"}).bind);
  EXPECT_EQ(parsed({"plan", "--collectives", "tcp"}).meet.transport, launch::Transport::kTcp);
  EXPECT_EQ(parsed({"plan", "--device", "cpu", "--collectives", "shm"}).dir, "plan");
}

TEST(Options, MistakesAreExplained) {
  EXPECT_EQ(refused({}), "no plan directory; drun DIR runs one, drun --help says more");
  EXPECT_EQ(refused({"plan", "--promt", "x"}),
            "--promt: no option of drun; did you mean --prompt?");
  EXPECT_EQ(refused({"plan", "--frobnicate"}),
            "--frobnicate: no option of drun; drun --help lists them");
  EXPECT_EQ(refused({"plan", "logit"}), "logit: no command of drun; did you mean \"logits\"?");
  EXPECT_EQ(refused({"a", "logits", "c"}),
            "c: one word too many; a directory and a command are right");
  EXPECT_EQ(refused({"logits"}), "logits: of what? drun logits DIR");
  EXPECT_NE(refused({"plan", "logits", "--input", "a"}).find("--output"), std::string::npos);
  EXPECT_NE(refused({"plan", "--prompt", "a", "--input", "b"}).find("--input"), std::string::npos);
  for (const char* option : {"--nproc", "--threads", "--max-new-tokens", "--timeout"}) {
    for (const char* value : {"-1", "x", "1e99", ""}) {
      EXPECT_NE(refused({"plan", option, value}).find(option), std::string::npos)
          << option << " " << value;
    }
  }
  EXPECT_NE(refused({"plan", "--nproc", "0"}), "accepted");
  EXPECT_NE(refused({"plan", "--threads", "0"}), "accepted");
  EXPECT_NE(refused({"plan", "--timeout", "0"}), "accepted");
  EXPECT_NE(refused({"plan", "--timeout", "nan"}), "accepted");
  EXPECT_EQ(parsed({"plan", "--timeout", "0.25"}).timeout, std::chrono::milliseconds(250));
  EXPECT_EQ(parsed({"plan", "--max-new-tokens", "0"}).max_new_tokens, 0u);
}

}  // namespace
}  // namespace dcc::drun
