#include "tools/drun/stop.h"

#include <algorithm>
#include <utility>

namespace dcc::drun {

std::string StopTexts::push(std::string_view text) {
  if (hit_) return "";
  held_ += text;
  size_t end = std::string::npos;
  for (const std::string& stop : texts_) end = std::min(end, held_.find(stop));
  if (end != std::string::npos) {
    hit_ = true;
    held_.resize(end);
    return std::exchange(held_, "");
  }
  // The longest tail that begins a stop.
  size_t keep = 0;
  for (const std::string& stop : texts_) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n) {
      if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) keep = n;
    }
  }
  std::string out = held_.substr(0, held_.size() - keep);
  held_.erase(0, out.size());
  return out;
}

std::string StopTexts::finish() { return std::exchange(held_, ""); }

}  // namespace dcc::drun
