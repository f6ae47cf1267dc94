#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <string>

#include "runtime/base/progress.h"
#include "runtime/generate/page_pool.h"
#include "tools/drun/bench.h"
#include "tools/drun/command.h"

namespace dcc::drun {
namespace {

using generate::Limits;
using generate::Scheduler;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kPromptTokens = 512, kNewTokens = 128, kWarmUpTokens = 8;

// What isn't given becomes smaller where sequences are limited.
Result<BenchShape> shapeOf(const Options& options, const Scheduler& scheduler) {
  const uint64_t context = scheduler.context();
  const auto beside = [context](uint64_t tokens) { return context - std::min(context, tokens); };
  const auto clamped = [](uint64_t n, uint32_t least, uint32_t most) {
    return static_cast<uint32_t>(std::clamp<uint64_t>(n, least, most));
  };
  BenchShape shape;
  shape.batch = options.batch;
  shape.new_tokens = options.new_tokens.value_or(
      clamped(beside(options.prompt_tokens.value_or(context / 2)), 2, kNewTokens));
  shape.prompt_tokens =
      options.prompt_tokens.value_or(clamped(beside(shape.new_tokens), 1, kPromptTokens));
  const uint64_t wanted = uint64_t{shape.prompt_tokens} + shape.new_tokens;
  if (wanted > context) {
    return userError("bench: " + std::to_string(shape.prompt_tokens) + " prompt tokens and " +
                     std::to_string(shape.new_tokens) + " new ones are " + std::to_string(wanted) +
                     ", more than " + scheduler.contextReason() +
                     "; fewer with --prompt-tokens and --new-tokens are right");
  }
  return shape;
}

// How many sequences of this length the caches hold at once, up to `most`.
uint32_t sequencesThatFit(const Limits& limits, uint64_t inputs, uint32_t most) {
  generate::PagePool pool(limits.groups, limits.prefill.max_tokens);
  uint32_t fit = 0;
  while (fit < most && pool.acquire(inputs)) ++fit;
  return fit;
}

Status checkBatch(const BenchShape& shape, const Limits& limits, const Scheduler& scheduler) {
  const std::string batch = "--batch " + std::to_string(shape.batch);
  const std::string compile =
      ", or compile the model with --max-seqs " + std::to_string(shape.batch);
  if (shape.batch > scheduler.maxSeqs()) {
    return userError(batch + ": a step of this plan takes " + std::to_string(scheduler.maxSeqs()) +
                     " sequences; up to as many are right" + compile);
  }
  const uint64_t tokens = uint64_t{shape.prompt_tokens} + shape.new_tokens;
  const uint32_t fit = sequencesThatFit(limits, tokens - 1, shape.batch);
  if (fit < shape.batch) {
    return userError(batch + ": the KV cache of this plan holds " + std::to_string(fit) +
                     " sequences of " + std::to_string(tokens) +
                     " tokens; up to as many are right, or shorter ones" + compile);
  }
  return Status::success();
}

class Timer final : public generate::Listener {
 public:
  // `tokens`: of prompts and new, of all sequences.
  Timer(const generate::StepLoop& loop, const BenchFacts& facts, uint32_t sequences,
        const std::string& name, uint64_t tokens)
      : times(sequences), loop_(loop), facts_(facts), tokens_(tokens), progress_(name, "tokens") {}

  void onStep(const generate::PromptTokens& prompts) override {
    const Mark now = mark();
    times.step(prompts, {now.now - begin_.now, now.waited - begin_.waited, now.moved - begin_.moved,
                         now.reading - begin_.reading});
    progress_.update(prompts.done + new_tokens_, tokens_);
  }
  bool onToken(uint32_t sequence, int32_t) override {
    times.token(sequence);
    ++new_tokens_;
    return true;
  }
  void onFinish(uint32_t, generate::Finish) override {}

  BenchTimes times;

 private:
  Mark mark() const {
    const std::chrono::duration<double> now = Clock::now().time_since_epoch();
    const std::chrono::duration<double> waited = loop_.waited();
    return {now.count() - facts_.reading.seconds, waited.count(), loop_.traffic(), facts_.reading};
  }

  const generate::StepLoop& loop_;
  const BenchFacts& facts_;
  uint64_t tokens_, new_tokens_ = 0;
  Progress progress_;
  Mark begin_ = mark();
};

class BenchCommand final : public RankZeroCommand {
 public:
  BenchCommand(const Options& options, const BenchFacts& facts, Waiting waiting)
      : options_(options), facts_(facts), output_(std::move(waiting)) {}

  Status prepare(const Limits& limits) override;
  std::vector<uint64_t> lengths() const override {
    return std::vector(shape_.batch, uint64_t{shape_.prompt_tokens} + shape_.new_tokens);
  }
  Status run(generate::StepLoop& loop) override;

 private:
  Result<BenchTimes> pass(generate::StepLoop& loop, const std::string& name,
                          const BenchShape& shape);

  const Options& options_;
  const BenchFacts& facts_;
  Output output_;
  Limits limits_;
  BenchShape shape_;
};

Status BenchCommand::prepare(const Limits& limits) {
  limits_ = limits;
  DCC_ASSIGN(const Scheduler scheduler, Scheduler::create(limits, generate::StepKind::kGenerate));
  DCC_ASSIGN(shape_, shapeOf(options_, scheduler));
  return checkBatch(shape_, limits, scheduler);
}

Status BenchCommand::run(generate::StepLoop& loop) {
  // One step of each prompt reaches all weights; the rest of a long one would only take time.
  BenchShape warm_up = shape_;
  warm_up.prompt_tokens = std::min(shape_.prompt_tokens, limits_.prefill.max_tokens);
  warm_up.new_tokens = std::min(shape_.new_tokens, kWarmUpTokens);
  DCC_RETURN_IF_ERROR(pass(loop, "warming up", warm_up));
  DCC_ASSIGN(const BenchTimes times, pass(loop, "measuring", shape_));
  return output_.write(benchReport(facts_, shape_, times, options_.json));
}

// All sequences from their beginning to their end.
Result<BenchTimes> BenchCommand::pass(generate::StepLoop& loop, const std::string& name,
                                      const BenchShape& shape) {
  DCC_ASSIGN(Scheduler scheduler, Scheduler::create(limits_, generate::StepKind::kGenerate));
  std::mt19937_64 random(1);
  for (uint32_t i = 0; i < shape.batch; ++i) {
    generate::Request request;
    request.max_new_tokens = shape.new_tokens;
    request.prompt.resize(shape.prompt_tokens);
    for (int32_t& id : request.prompt) id = static_cast<int32_t>(random() % limits_.vocab_size);
    DCC_RETURN_IF_ERROR(scheduler.add(std::move(request), "bench"));
  }
  const uint64_t each = uint64_t{shape.prompt_tokens} + shape.new_tokens;
  Timer timer(loop, facts_, shape.batch, name, shape.batch * each);
  DCC_RETURN_IF_ERROR(loop.lead(scheduler, timer));
  return std::move(timer.times);
}

}  // namespace

std::unique_ptr<RankZeroCommand> benchCommand(const Options& options, const BenchFacts& facts,
                                              Waiting waiting) {
  return std::make_unique<BenchCommand>(options, facts, std::move(waiting));
}

}  // namespace dcc::drun
