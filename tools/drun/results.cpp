#include "tools/drun/results.h"

#include <iostream>
#include <nlohmann/json.hpp>

namespace dcc::drun {

Results::Results(const text::Tokenizer* tokenizer, bool json, Output& output, std::string limit,
                 std::vector<std::string> stop)
    : tokenizer_(tokenizer),
      json_(json),
      output_(output),
      limit_(std::move(limit)),
      stop_(std::move(stop)) {}

void Results::expect(const Prompt& prompt) {
  Entry entry;
  entry.prompt = prompt;
  entry.stop = StopTexts(stop_);
  if (tokenizer_ != nullptr) entry.stream = std::make_unique<text::TextStream>(*tokenizer_);
  entries_.push_back(std::move(entry));
}

bool Results::onToken(uint32_t request, int32_t token) {
  Entry& entry = entries_[request];
  if (entry.stream) {
    entry.text += entry.stop.push(entry.stream->push(token));
  } else if (!json_) {
    entry.text += (entry.ids.empty() ? "" : " ") + std::to_string(token);
  }
  entry.ids.push_back(token);
  const bool hit = entry.stop.hit();
  print();
  return !stopped() && !hit;
}

void Results::onFinish(uint32_t request, generate::Finish why) {
  Entry& entry = entries_[request];
  if (entry.stream) {
    entry.text += entry.stop.push(entry.stream->finish());
    entry.text += entry.stop.finish();
  }
  entry.finished = true;
  if (why == generate::Finish::kContext) {
    progress_.reset();
    std::cerr << entry.prompt.where + ": ended after " + std::to_string(entry.ids.size()) +
                     " new tokens by " + limit_ + "\n";
  }
  print();
}

// The first unfinished prompt's text streams, the later ones' waits.
void Results::print() {
  for (; current_ < entries_.size(); ++current_) {
    Entry& entry = entries_[current_];
    if (json_) {
      if (!entry.finished) return;
      write(jsonLine(entry));
    } else {
      if (!entry.text.empty()) write(entry.text);
      entry.text.clear();
      if (!entry.finished) return;
      write("\n");
    }
    entry = Entry();  // a long list of prompts need not stay in memory
    entry.finished = true;
  }
}

void Results::write(std::string_view text) {
  progress_.reset();
  if (status_.ok()) status_ = output_.write(text);
}

std::string Results::jsonLine(const Entry& entry) const {
  nlohmann::ordered_json line;
  const Prompt& prompt = entry.prompt;
  line["prompt"] = nullptr;
  if (prompt.text) {
    line["prompt"] = *prompt.text;
  } else if (tokenizer_ != nullptr) {
    line["prompt"] = tokenizer_->decode(prompt.ids);
  }
  line["input_ids"] = prompt.ids;
  line["output_ids"] = entry.ids;
  line["text"] = nullptr;
  if (tokenizer_ != nullptr) line["text"] = entry.text;
  // The tokenizer gives and takes UTF-8 only; nothing here may throw all the same.
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace dcc::drun
