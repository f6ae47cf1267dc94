#include "tools/drun/hash_ops.h"

#include <fcntl.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "runtime/base/file.h"
#include "runtime/plan/access.h"
#include "runtime/plan/describe.h"

namespace dcc::drun {

namespace fb = plan::fb;

HashingRunner::HashingRunner(const std::string& path, Executor& executor,
                             generate::StepRunner& runner, Communicator& world)
    : RunnerAround(runner), path_(path), plan_(*executor.plan()), world_(world), digests_(plan_) {}

Result<std::unique_ptr<HashingRunner>> HashingRunner::create(const std::string& path,
                                                             Executor& executor,
                                                             generate::StepRunner& runner,
                                                             Communicator& world) {
  std::unique_ptr<HashingRunner> made(new HashingRunner(path, executor, runner, world));
  if (world.rank() == 0) {
    made->file_ = UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!made->file_) return userError("--hash-ops " + path + ": " + errnoText(errno));
  }
  executor.watch(&made->digests_);
  return made;
}

Status HashingRunner::run(const Step& step) {
  digests_.clear();
  DCC_RETURN_IF_ERROR(RunnerAround::run(step));
  DCC_RETURN_IF_ERROR(gather());
  if (file_) DCC_RETURN_IF_ERROR(writeAll(file_.get(), lines(step.entry), "--hash-ops " + path_));
  ++step_;
  return Status::success();
}

// Ranks run programs of one shape: as many results each.
Status HashingRunner::gather() {
  const std::span<const Digest> own = digests_.digests();
  const uint64_t count = own.size();
  std::vector<uint64_t> counts(world_.size());
  DCC_RETURN_IF_ERROR(
      world_.allGather(&count, counts.data(), std::vector<size_t>(world_.size(), sizeof(count))));
  for (const uint64_t other : counts) {
    if (other == count) continue;
    return runtimeError("--hash-ops: a rank has " + std::to_string(other) +
                        " results in a step, this one " + std::to_string(count));
  }
  all_.resize(count * world_.size());
  return world_.allGather(own.data(), all_.data(),
                          std::vector<size_t>(world_.size(), count * sizeof(Digest)));
}

std::string HashingRunner::lines(uint32_t entry) const {
  const fb::Entry& e = *plan_.entries()->Get(entry);
  const std::span<const Digests::Result> results = digests_.results(entry);
  std::string text;
  for (size_t i = 0; i < digests_.digests().size(); ++i) {
    const fb::Instruction& instruction = *e.instructions()->Get(results[i].instruction);
    nlohmann::ordered_json ranks = nlohmann::ordered_json::array();
    for (uint32_t r = 0; r < world_.size(); ++r) {
      const Digest& d = all_[r * results.size() + i];
      ranks.push_back({d.rows, d.cols, d.sum, d.squares, d.largest});
    }
    const bool second = i > 0 && results[i - 1].instruction == results[i].instruction;
    const nlohmann::ordered_json line = {{"step", step_},
                                         {"entry", plan::text(e.name())},
                                         {"op", results[i].instruction},
                                         {"module", plan::text(instruction.module_())},
                                         {"kind", plan::opName(instruction)},
                                         {"result", second ? 1 : 0},
                                         {"partial", results[i].partial},
                                         {"ranks", std::move(ranks)}};
    text += line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }
  return text;
}

}  // namespace dcc::drun
