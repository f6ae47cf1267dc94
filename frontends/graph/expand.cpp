#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "frontends/graph/graph.h"

namespace dcc::graph {
namespace {

// Factors and offsets stay small, so that no product overflows.
std::optional<int64_t> smallNumber(std::string_view& text) {
  uint32_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number > 1'000'000) return std::nullopt;
  text.remove_prefix(end - text.data());
  return number;
}

bool consume(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// [number *] index [+ number]
std::optional<int64_t> evaluate(std::string_view text, const Indices& indices) {
  int64_t factor = 1, offset = 0;
  if (!text.empty() && std::isdigit(static_cast<unsigned char>(text.front()))) {
    std::optional<int64_t> number = smallNumber(text);
    if (!number || !consume(text, '*')) return std::nullopt;
    factor = *number;
  }
  auto index = indices.find(text.substr(0, text.find('+')));
  if (index == indices.end()) return std::nullopt;
  text.remove_prefix(index->first.size());
  if (consume(text, '+')) {
    std::optional<int64_t> number = smallNumber(text);
    if (!number) return std::nullopt;
    offset = *number;
  }
  return text.empty() ? std::optional(factor * index->second + offset) : std::nullopt;
}

bool isName(std::string_view text, std::string_view more) {
  return !text.empty() && text.size() <= kLongestName &&
         std::ranges::all_of(text, [&](unsigned char c) {
           return std::isalnum(c) || std::string_view("_.-/").find(char(c)) != text.npos ||
                  more.find(char(c)) != text.npos;
         });
}

Error noName(std::string_view text) {
  return userError(inQuotes(text) + " is no name; up to " + std::to_string(kLongestName) +
                   " letters, digits and _ . - / are expected");
}

std::string namesOf(const Indices& indices) {
  std::string names;
  for (const auto& [name, value] : indices) names += (names.empty() ? "{" : ", {") + name + "}";
  return names;
}

}  // namespace

Result<std::string> expandName(std::string_view text, const Indices& indices) {
  if (!isName(text.substr(0, kLongestName + 1), "{}+*")) return noName(text);
  std::string out;
  for (size_t at = 0;;) {
    const size_t brace = text.find_first_of("{}", at);
    out += text.substr(at, brace - at);
    if (brace == text.npos) break;
    const size_t end = text.find('}', brace);
    std::optional<int64_t> number;
    if (end != text.npos && text[brace] == '{') {
      number = evaluate(text.substr(brace + 1, end - brace - 1), indices);
    }
    if (!number) {
      return userError(inQuotes(text) + " has braces that hold no index; " +
                       (indices.empty()
                            ? "only inside a \"repeat\" is there one"
                            : namesOf(indices) + " is expected, or the like of {i+1}, {2*i+1}"));
    }
    out += std::to_string(*number);
    at = end + 1;
  }
  if (!isName(out, "")) return noName(out);
  return out;
}

}  // namespace dcc::graph
