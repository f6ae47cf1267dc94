#include "runtime/launch/nodelist.h"

#include <algorithm>
#include <cctype>

#include "runtime/base/printable.h"

namespace dcc::launch {
namespace {

constexpr size_t kLongestName = 253;

// The number that a bracket's "01-03,7" begins with, as it is written; empty: it doesn't.
std::string_view firstNumber(std::string_view ranges) {
  const size_t digits = std::min(ranges.find_first_not_of("0123456789"), ranges.size());
  const bool ends = digits == ranges.size() || ranges[digits] == '-' || ranges[digits] == ',';
  return ends ? ranges.substr(0, digits) : std::string_view();
}

bool mayBeInName(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_';
}

}  // namespace

Result<std::string> firstHost(std::string_view list) {
  const auto refuse = [&] {
    return userError("\"" + printable(list, 100) +
                     "\": no list of hosts; one like node[01-03,7],other is right");
  };
  std::string host;
  for (size_t i = 0; i < list.size() && list[i] != ','; ++i) {
    if (list[i] == '[') {
      const size_t close = list.find(']', i);
      if (close == std::string_view::npos) return refuse();
      const std::string_view number = firstNumber(list.substr(i + 1, close - i - 1));
      if (number.empty()) return refuse();
      host += number;
      i = close;
    } else if (mayBeInName(list[i])) {
      host += list[i];
    } else {
      return refuse();
    }
    if (host.size() > kLongestName) return refuse();
  }
  if (host.empty()) return refuse();
  return host;
}

}  // namespace dcc::launch
