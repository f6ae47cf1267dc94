#include "tools/drun/encode_command.h"

#include <iostream>

namespace dcc::drun {
namespace {

// Passes results on and counts the texts that were cut.
class Counted final : public EncodeResults {
 public:
  explicit Counted(EncodeResults& to) : to_(to) {}

  Status add(const Encoded& encoded) override {
    if (encoded.dropped > 0 && cut++ == 0) first = seen;
    ++seen;
    return to_.add(encoded);
  }
  Status finish() override { return to_.finish(); }
  bool stopped() override { return to_.stopped(); }

  uint64_t seen = 0, cut = 0, first = 0;

 private:
  EncodeResults& to_;
};

}  // namespace

Status EncodeCommand::prepare(const generate::Limits& limits) {
  DCC_ASSIGN(const TextReader reader, TextReader::open(options_.dir, limits));
  longest_ = reader.longest();
  DCC_ASSIGN(input_, TextInput::open(options_.input.empty() ? "-" : options_.input, waiting_));
  Line line;
  for (;;) {
    DCC_ASSIGN(const bool more, input_->next(line));
    if (!more) break;
    const std::string where = input_->where(line.number);
    DCC_RETURN_IF_ERROR(reader.check(line.text, where));
    DCC_RETURN_IF_ERROR(expect(reader, line, where));
    ++texts_;
    if (waiting_) DCC_RETURN_IF_ERROR(waiting_());
  }
  input_->rewind();
  DCC_ASSIGN(results_, open(texts_));
  return Status::success();
}

Status EncodeCommand::run(EncodeRounds& rounds) {
  Counted counted(*results_);
  DCC_RETURN_IF_ERROR(rounds.lead(*input_, texts_, counted));
  if (counted.cut > 0) {
    std::cerr << input_->name() + ": " + std::to_string(counted.cut) + " of " +
                     std::to_string(counted.seen) + " texts cut to " + std::to_string(longest_) +
                     " tokens, the first of them text " + std::to_string(counted.first + 1) + "\n";
  }
  if (results_->stopped()) return Status::success();
  return results_->finish();
}

}  // namespace dcc::drun
