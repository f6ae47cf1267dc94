#include "tools/drun/answer.h"

#include <iostream>

namespace dcc::drun {

Answer::Answer(const text::Tokenizer& tokenizer, Output& output, std::string limit,
               const std::vector<std::string>& stop)
    : stream_(tokenizer), output_(output), limit_(std::move(limit)), stop_(stop) {
  progress_.emplace("reading the conversation", "tokens");
}

bool Answer::onToken(uint32_t, int32_t token) {
  const std::string text = stop_.push(stream_.push(token));
  if (!text.empty()) print(text);
  return !stopped() && !stop_.hit();
}

void Answer::onFinish(uint32_t, generate::Finish why) {
  print(stop_.push(stream_.finish()));
  print(stop_.finish());
  if (status_.ok()) status_ = output_.write("\n");
  if (why == generate::Finish::kContext) {
    std::cerr << "the answer was ended by " + limit_ + "\n";
  }
}

void Answer::print(std::string_view text) {
  progress_.reset();
  text_ += text;
  if (status_.ok()) status_ = output_.write(text);
}

}  // namespace dcc::drun
