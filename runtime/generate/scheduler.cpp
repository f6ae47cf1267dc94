#include "runtime/generate/scheduler.h"

#include <algorithm>

#include "runtime/base/checked.h"

namespace dcc::generate {

Result<Scheduler> Scheduler::create(const Limits& limits, StepKind kind) {
  EntryLimits entry = limits.prefill;
  if (kind == StepKind::kScore) {
    entry = limits.logits;
  } else if (limits.decode.index >= 0) {
    entry.max_seqs = std::min({entry.max_seqs, limits.decode.max_seqs, limits.decode.max_tokens});
  }
  if (entry.index < 0 && limits.encode.index >= 0) {
    return userError("the model encodes texts and writes none; classify and embed are for it");
  }
  if (entry.index < 0) {
    return userError("the plan has no entry \"" +
                     std::string(kind == StepKind::kScore ? "logits" : "prefill") +
                     "\"; compile it again for this command");
  }
  // Every running sequence gets a token in every step.
  entry.max_seqs = std::min(entry.max_seqs, entry.max_tokens);
  if (entry.max_seqs == 0)
    return userError("the plan takes no tokens in a step; at least 1 is due");
  return Scheduler(limits, kind, entry);
}

Scheduler::Scheduler(const Limits& limits, StepKind kind, const EntryLimits& entry)
    : limits_(limits),
      kind_(kind),
      entry_(entry),
      pool_(limits.groups, entry.max_tokens),
      context_(std::min(limits.max_seq_len, pool_.capacity())) {}

std::string Scheduler::contextReason() const {
  return context_ < limits_.max_seq_len ? "the KV cache's " + std::to_string(context_) + " tokens"
                                        : "max_seq_len " + std::to_string(context_);
}

Result<uint32_t> Scheduler::add(Request request, const std::string& where) {
  if (request.prompt.empty()) return userError(where + ": no tokens; at least one is needed");
  for (const int32_t id : request.prompt) {
    if (id >= 0 && static_cast<uint64_t>(id) < limits_.vocab_size) continue;
    return userError(where + ": token id " + std::to_string(id) + "; the vocabulary has " +
                     std::to_string(limits_.vocab_size) + " tokens, 0 to " +
                     std::to_string(limits_.vocab_size - 1));
  }
  if (request.prompt.size() > context_) {
    return userError(where + ": a prompt of " + std::to_string(request.prompt.size()) +
                     " tokens is longer than " + contextReason());
  }
  Sequence sequence;
  sequence.number = added_++;
  sequence.draws = request.draws.value_or(sequence.number);
  sequence.prompt = request.prompt.size();
  sequence.tokens = std::move(request.prompt);
  sequence.eos = std::move(request.eos);
  const uint64_t wanted = sequence.prompt + uint64_t{request.max_new_tokens};
  sequence.longest = std::min(wanted, context_);
  sequence.cut = wanted > context_;
  if (waiting_.empty() && running_.empty()) prompt_tokens_ = {};
  prompt_tokens_.all += sequence.prompt;
  waiting_.push_back(std::move(sequence));
  return added_ - 1;
}

// Moves the first waiting request to the running ones; false when there is none or no room.
bool Scheduler::admit(Listener& listener) {
  // Those with nothing to write need no room.
  while (kind_ == StepKind::kGenerate && !waiting_.empty() &&
         waiting_.front().longest == waiting_.front().prompt) {
    const Sequence& first = waiting_.front();
    prompt_tokens_.done += first.prompt;
    listener.onFinish(first.number, first.cut ? Finish::kContext : Finish::kLength);
    waiting_.pop_front();
  }
  if (waiting_.empty() || running_.size() >= entry_.max_seqs) return false;
  Sequence& first = waiting_.front();
  // The last token is never an input, so it needs no place in the cache.
  const size_t inputs = kind_ == StepKind::kGenerate ? first.longest - 1 : first.prompt;
  auto pages = pool_.acquire(inputs);
  if (!pages) return false;
  first.pages = std::move(*pages);
  running_.push_back(std::move(first));
  waiting_.pop_front();
  return true;
}

bool Scheduler::next(StepData& step, Listener& listener) {
  chunks_.clear();
  size_t room = entry_.max_tokens;
  for (size_t s = 0; s < running_.size(); ++s) {
    if (running_[s].cached < running_[s].prompt) continue;
    chunks_.push_back({s, 1});
    --room;
  }
  for (size_t s = 0; room > 0 && (s < running_.size() || admit(listener)); ++s) {
    const Sequence& sequence = running_[s];
    if (sequence.cached >= sequence.prompt) continue;
    chunks_.push_back({s, std::min(room, sequence.prompt - sequence.cached)});
    room -= chunks_.back().tokens;
  }
  if (chunks_.empty()) return false;

  step.clear(limits_.groups.size());
  step.kind = kind_;
  step.starts.push_back(0);
  for (const Chunk& chunk : chunks_) append(chunk, step);
  appendTables(step);
  const bool one_each = step.tokens.size() == chunks_.size();
  const bool decode = kind_ == StepKind::kGenerate && one_each && limits_.decode.index >= 0;
  step.entry = static_cast<uint32_t>(decode ? limits_.decode.index : entry_.index);
  return true;
}

void Scheduler::append(const Chunk& chunk, StepData& step) const {
  const Sequence& sequence = running_[chunk.sequence];
  const size_t end = sequence.cached + chunk.tokens;
  for (size_t t = sequence.cached; t < end; ++t) {
    step.tokens.push_back(sequence.tokens[t]);
    step.positions.push_back(static_cast<int32_t>(t));
  }
  step.rope_lengths.push_back(static_cast<int32_t>(std::max(end, sequence.prompt)));
  step.requests.push_back(static_cast<int32_t>(sequence.draws));
  step.starts.push_back(static_cast<int32_t>(step.tokens.size()));
  if (kind_ == StepKind::kGenerate && end == sequence.tokens.size()) {
    step.sampled.push_back(static_cast<int32_t>(step.rope_lengths.size() - 1));
  }
}

void Scheduler::appendTables(StepData& step) const {
  for (size_t g = 0; g < limits_.groups.size(); ++g) {
    const auto pagesOf = [&](const Chunk& chunk) {
      return ceilDiv<size_t>(running_[chunk.sequence].cached + chunk.tokens,
                             limits_.groups[g].tokens_per_page);
    };
    StepData::Table& table = step.tables[g];
    size_t stride = 0;
    for (const Chunk& chunk : chunks_) stride = std::max(stride, pagesOf(chunk));
    table.stride = static_cast<uint32_t>(stride);
    for (const Chunk& chunk : chunks_) {
      const std::vector<int32_t>& pages = running_[chunk.sequence].pages[g];
      const size_t used = pagesOf(chunk);
      for (size_t k = 0; k < used; ++k) table.pages.push_back(pages[k % pages.size()]);
      // The rest of the row is never looked at, but must name a page.
      table.pages.resize(table.pages.size() + stride - used, pages[0]);
    }
  }
}

Scheduler::Row Scheduler::row(size_t index) const {
  const Sequence& sequence = running_[chunks_[index].sequence];
  return {sequence.number, sequence.cached};
}

void Scheduler::done(const StepData& step, std::span<const int32_t> tokens, Listener& listener) {
  for (const Chunk& chunk : chunks_) {
    Sequence& sequence = running_[chunk.sequence];
    if (sequence.cached < sequence.prompt) prompt_tokens_.done += chunk.tokens;
    sequence.cached += chunk.tokens;
  }
  listener.onStep(prompt_tokens_);
  std::vector<bool> finished(running_.size());
  const auto finish = [&](size_t s, Finish why) {
    finished[s] = true;
    pool_.release(running_[s].pages);
    listener.onFinish(running_[s].number, why);
  };
  for (size_t i = 0; i < step.sampled.size(); ++i) {
    const size_t s = chunks_[static_cast<size_t>(step.sampled[i])].sequence;
    Sequence& sequence = running_[s];
    sequence.tokens.push_back(tokens[i]);
    const bool go_on = listener.onToken(sequence.number, tokens[i]);
    if (std::find(sequence.eos.begin(), sequence.eos.end(), tokens[i]) != sequence.eos.end()) {
      finish(s, Finish::kEos);
    } else if (!go_on) {
      finish(s, Finish::kListener);
    } else if (sequence.tokens.size() == sequence.longest) {
      finish(s, sequence.cut ? Finish::kContext : Finish::kLength);
    }
  }
  if (kind_ == StepKind::kScore) {
    for (const Chunk& chunk : chunks_) {
      const Sequence& sequence = running_[chunk.sequence];
      if (sequence.cached == sequence.prompt) finish(chunk.sequence, Finish::kScored);
    }
  }
  size_t kept = 0;
  for (size_t s = 0; s < running_.size(); ++s) {
    if (finished[s]) continue;
    if (kept != s) running_[kept] = std::move(running_[s]);
    ++kept;
  }
  running_.resize(kept);
}

}  // namespace dcc::generate
