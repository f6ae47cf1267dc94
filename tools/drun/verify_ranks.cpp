#include "tools/drun/verify_ranks.h"

#include <algorithm>
#include <utility>

#include "runtime/plan/access.h"
#include "runtime/plan/describe.h"
#include "tools/drun/agreement.h"

namespace dcc::drun {

VerifyingRunner::VerifyingRunner(Executor& executor, generate::StepRunner& runner,
                                 Communicator& group, std::vector<uint32_t> ranks)
    : RunnerAround(runner),
      executor_(executor),
      group_(group),
      ranks_(std::move(ranks)),
      hashes_(*executor.plan()) {
  executor.watch(&hashes_);
}

Status VerifyingRunner::run(const Step& step) {
  hashes_.clear();
  const uint32_t number = executor_.steps();
  DCC_RETURN_IF_ERROR(RunnerAround::run(step));
  return compare(step.entry, number);
}

Status VerifyingRunner::compare(uint32_t entry, uint32_t step) {
  const std::span<const uint64_t> own = hashes_.hashes();
  const uint32_t size = group_.size();
  if (size == 1 || own.empty()) return Status::success();
  all_.resize(own.size() * size);
  DCC_RETURN_IF_ERROR(
      group_.allGather(own.data(), all_.data(), std::vector<size_t>(size, own.size_bytes())));
  std::vector<uint64_t> hashes(size);  // of one instruction, by rank
  for (size_t i = 0; i < own.size(); ++i) {
    for (uint32_t r = 0; r < size; ++r) hashes[r] = all_[r * own.size() + i];
    const std::vector<uint32_t> others = dissenters(hashes);
    if (others.empty()) continue;
    const uint32_t instruction = hashes_.instructions(entry)[i];
    const auto* op = executor_.plan()->entries()->Get(entry)->instructions()->Get(instruction);
    std::vector<uint32_t> named;
    for (const uint32_t r : others) named.push_back(ranks_[r]);
    const Error error = runtimeError(
        "step " + std::to_string(step) + ", " + executor_.describe(entry, instruction) +
        ": result of " + std::string(plan::opName(*op)) + " differs from the other ranks'" +
        (named.size() == 1 ? "" : ", as on ranks " + ranksText(named)) +
        "; one build on all hosts and memory without faults are right");
    return sayOnce(others[0], error, group_);
  }
  return Status::success();
}

std::vector<uint32_t> dissenters(const std::vector<uint64_t>& hashes) {
  const auto supporters = [&](uint64_t hash) { return std::ranges::count(hashes, hash); };
  uint64_t right = hashes[0];
  for (const uint64_t hash : hashes) {
    if (supporters(hash) > supporters(right)) right = hash;
  }
  std::vector<uint32_t> others;
  for (uint32_t r = 0; r < hashes.size(); ++r) {
    if (hashes[r] != right) others.push_back(r);
  }
  return others;
}

}  // namespace dcc::drun
