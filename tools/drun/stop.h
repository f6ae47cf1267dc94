// Texts that end a continuation: found even where they span tokens, and not part of what is
// printed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dcc::drun {

class StopTexts {
 public:
  // None of them empty.
  explicit StopTexts(std::vector<std::string> texts) : texts_(std::move(texts)) {}

  // Adds text; returns what is certainly before any stop. Held back is what might become one.
  std::string push(std::string_view text);
  // No more text: what was held back.
  std::string finish();
  bool hit() const { return hit_; }

 private:
  std::vector<std::string> texts_;
  std::string held_;
  bool hit_ = false;
};

}  // namespace dcc::drun
