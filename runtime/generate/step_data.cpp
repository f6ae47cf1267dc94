#include "runtime/generate/step_data.h"

#include <algorithm>
#include <string>

#include "runtime/base/checked.h"

namespace dcc::generate {
namespace {

// The message is 32-bit words: words in all, kind, entry, T, B, sampled, types, each group's
// stride, then the arrays. Its first block has a fixed size, so that a decode step is one
// broadcast.
constexpr size_t kBlockWords = 1024;
constexpr size_t kHeaderWords = 7;

}  // namespace

void StepData::clear(size_t groups) {
  for (auto* array : {&tokens, &positions, &types, &starts, &rope_lengths, &requests, &sampled})
    array->clear();
  tables.resize(groups);
  for (Table& table : tables) {
    table.pages.clear();
    table.stride = 0;
  }
}

Step StepData::view(std::vector<Step::PageTable>& scratch) const {
  scratch.clear();
  for (const Table& table : tables) scratch.push_back({table.pages, table.stride});
  Step step;
  step.entry = entry;
  step.tokens = tokens;
  step.positions = positions;
  step.types = types;
  step.starts = starts;
  step.rope_lengths = rope_lengths;
  step.page_tables = scratch;
  return step;
}

uint64_t StepBroadcast::maxWords() const {
  const uint64_t seqs = limits_.maxSeqs();
  uint64_t words = kHeaderWords + limits_.groups.size() + 3 * uint64_t{limits_.maxTokens()} +
                   (seqs + 1) + 3 * seqs;
  for (const PageGroupLimits& group : limits_.groups) {
    words += seqs * ceilDiv<uint64_t>(limits_.max_seq_len, group.tokens_per_page);
  }
  return std::max<uint64_t>(words, kBlockWords);
}

void StepBroadcast::pack(const StepData& step) {
  words_.assign(
      {0, static_cast<int32_t>(step.kind), static_cast<int32_t>(step.entry),
       static_cast<int32_t>(step.tokens.size()), static_cast<int32_t>(step.rope_lengths.size()),
       static_cast<int32_t>(step.sampled.size()), static_cast<int32_t>(step.types.size())});
  for (const auto& table : step.tables) words_.push_back(static_cast<int32_t>(table.stride));
  for (const auto* array : {&step.tokens, &step.positions, &step.types, &step.starts,
                            &step.rope_lengths, &step.requests, &step.sampled}) {
    words_.insert(words_.end(), array->begin(), array->end());
  }
  for (const auto& table : step.tables) {
    words_.insert(words_.end(), table.pages.begin(), table.pages.end());
  }
  if (words_.size() < kBlockWords) words_.resize(kBlockWords);
  words_[0] = static_cast<int32_t>(words_.size());
}

Status StepBroadcast::unpack(StepData& step) const {
  const auto refuse = [](const std::string& what) {
    return runtimeError("step of rank 0: " + what +
                        "; all ranks must run plans of one compilation");
  };
  const auto count = [&](size_t word) { return static_cast<uint64_t>(uint32_t(words_[word])); };
  if (count(1) > static_cast<uint64_t>(StepKind::kEncode)) return refuse("an unknown kind");
  step.kind = static_cast<StepKind>(words_[1]);
  step.entry = static_cast<uint32_t>(words_[2]);
  step.clear(limits_.groups.size());
  if (step.kind == StepKind::kEnd) return Status::success();

  const uint64_t tokens = count(3), seqs = count(4), sampled = count(5), types = count(6);
  if (tokens == 0 || tokens > limits_.maxTokens() || seqs == 0 || seqs > limits_.maxSeqs() ||
      seqs > tokens || sampled > seqs || (types != 0 && types != tokens)) {
    return refuse(std::to_string(tokens) + " tokens of " + std::to_string(seqs) + " sequences");
  }
  size_t at = kHeaderWords + limits_.groups.size();
  bool complete = true;
  const auto take = [&](std::vector<int32_t>& to, uint64_t n) {
    complete = complete && n <= words_.size() - at;
    if (!complete) return;
    to.assign(words_.begin() + static_cast<ptrdiff_t>(at),
              words_.begin() + static_cast<ptrdiff_t>(at + n));
    at += n;
  };
  take(step.tokens, tokens);
  take(step.positions, tokens);
  take(step.types, types);
  take(step.starts, seqs + 1);
  take(step.rope_lengths, seqs);
  take(step.requests, seqs);
  take(step.sampled, sampled);
  for (size_t g = 0; g < limits_.groups.size(); ++g) {
    step.tables[g].stride = static_cast<uint32_t>(words_[kHeaderWords + g]);
    take(step.tables[g].pages, seqs * step.tables[g].stride);
  }
  if (!complete) return refuse("arrays longer than the message");
  if (step.starts.front() != 0 || step.starts.back() != static_cast<int32_t>(tokens) ||
      std::adjacent_find(step.starts.begin(), step.starts.end(), std::greater_equal<>()) !=
          step.starts.end()) {
    return refuse("sequences that do not follow each other");
  }
  for (const int32_t row : step.sampled) {
    if (row < 0 || static_cast<uint64_t>(row) >= seqs) return refuse("a row out of range");
  }
  return Status::success();
}

Status StepBroadcast::operator()(StepData& step) {
  if (world_.size() == 1) return Status::success();
  if (world_.rank() == 0) {
    pack(step);
  } else {
    words_.resize(kBlockWords);
  }
  DCC_RETURN_IF_ERROR(world_.broadcast(words_.data(), kBlockWords * sizeof(int32_t), 0));
  const auto total = static_cast<uint64_t>(uint32_t(words_[0]));
  if (total < kBlockWords || total > maxWords()) {
    return runtimeError("step of rank 0: a message of " + std::to_string(total) +
                        " words; at most " + std::to_string(maxWords()) + " are right");
  }
  words_.resize(total);
  if (total > kBlockWords) {
    DCC_RETURN_IF_ERROR(
        world_.broadcast(words_.data() + kBlockWords, (total - kBlockWords) * sizeof(int32_t), 0));
  }
  return world_.rank() == 0 ? Status::success() : unpack(step);
}

}  // namespace dcc::generate
