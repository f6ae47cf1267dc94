#include "runtime/generate/encode_loop.h"

#include <algorithm>
#include <utility>

namespace dcc::generate {

EncodeLoop::EncodeLoop(const Limits& limits, Communicator& group, StepRunner& runner,
                       std::function<void()> alive)
    : limits_(limits),
      runner_(runner),
      alive_(std::move(alive)),
      broadcast_(limits, group),
      stamp_(group),
      gather_(group) {}

Status EncodeLoop::lead(std::span<const Text> texts, uint32_t most_tokens, const Each& each) {
  for (size_t next = 0; next < texts.size();) {
    const size_t first = next;
    fill(texts, next, most_tokens);
    DCC_RETURN_IF_ERROR(broadcast_(step_));
    DCC_RETURN_IF_ERROR(run(first, &each));
  }
  step_.clear(limits_.groups.size());
  step_.kind = StepKind::kEnd;
  return broadcast_(step_);
}

Status EncodeLoop::follow() {
  for (;;) {
    DCC_RETURN_IF_ERROR(broadcast_(step_));
    if (step_.kind == StepKind::kEnd) return Status::success();
    DCC_RETURN_IF_ERROR(run(0, nullptr));
  }
}

// The next step: at least one text, and what more of them fits.
void EncodeLoop::fill(std::span<const Text> texts, size_t& next, uint32_t most_tokens) {
  step_.clear(limits_.groups.size());
  step_.kind = StepKind::kEncode;
  step_.entry = static_cast<uint32_t>(limits_.encode.index);
  step_.starts.push_back(0);
  const size_t room = std::min(most_tokens, limits_.encode.max_tokens);
  do {
    const Text& text = texts[next];
    for (size_t t = 0; t < text.ids.size(); ++t) {
      step_.tokens.push_back(text.ids[t]);
      step_.positions.push_back(static_cast<int32_t>(t));
      if (limits_.token_types > 0) step_.types.push_back(text.types.empty() ? 0 : text.types[t]);
    }
    step_.starts.push_back(static_cast<int32_t>(step_.tokens.size()));
    step_.rope_lengths.push_back(static_cast<int32_t>(text.ids.size()));
    step_.requests.push_back(static_cast<int32_t>(step_.requests.size()));
    ++next;
  } while (next < texts.size() && step_.requests.size() < limits_.encode.max_seqs &&
           step_.tokens.size() + texts[next].ids.size() <= room);
}

Status EncodeLoop::run(size_t first_text, const Each* each) {
  stamp_.add(step_);
  DCC_RETURN_IF_ERROR(runner_.run(step_.view(tables_)));
  const LogitsPart part = runner_.logits();
  // Where every text has one token both are the same.
  const bool of_texts = part.rows + 1 == static_cast<int64_t>(step_.starts.size());
  const auto start = [&](size_t b) { return of_texts ? b : static_cast<size_t>(step_.starts[b]); };
  const size_t all = static_cast<size_t>(part.rows), block = gatherRows(part.allColumns());
  size_t text = 0;
  for (size_t begin = 0; begin < all; begin += block) {
    const size_t n = std::min(block, all - begin);
    DCC_ASSIGN(const std::span<const float> rows, gather_(part, begin, n));
    for (size_t r = begin; each && r < begin + n;) {
      while (start(text + 1) <= r) ++text;
      const size_t end = std::min(begin + n, start(text + 1)), columns = rows.size() / n;
      DCC_RETURN_IF_ERROR((*each)(first_text + text, r - start(text),
                                  rows.subspan((r - begin) * columns, (end - r) * columns)));
      r = end;
    }
  }
  alive_();
  return Status::success();
}

}  // namespace dcc::generate
