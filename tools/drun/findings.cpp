#include "tools/drun/findings.h"

#include <algorithm>
#include <cctype>

#include "runtime/base/printable.h"

namespace dcc::drun {

void Findings::section(std::string name) { section_ = std::move(name); }

void Findings::add(const std::string& key, nlohmann::ordered_json value, const std::string& text) {
  std::string name = key;
  const bool variable = std::any_of(key.begin(), key.end(), [](char c) { return std::isupper(c); });
  if (!variable) std::replace(name.begin(), name.end(), '_', ' ');
  root_[section_][key] = std::move(value);
  rows_.push_back({section_, name, printable(text, 1000)});
}

std::string Findings::json() const {
  return root_.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string Findings::table() const {
  size_t sections = 0, names = 0;
  for (const Row& row : rows_) {
    sections = std::max(sections, row.section.size());
    names = std::max(names, row.name.size());
  }
  std::string out;
  const std::string* last = nullptr;
  for (const Row& row : rows_) {
    const bool first = last == nullptr || *last != row.section;
    if (first && last != nullptr) out += "\n";
    const std::string section = first ? row.section : "";
    out += section + std::string(sections + 2 - section.size(), ' ') + row.name +
           std::string(names + 2 - row.name.size(), ' ') + row.text + "\n";
    last = &row.section;
  }
  return out;
}

std::string bytesText(uint64_t n) {
  const char* const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(n);
  size_t u = 0;
  for (; value >= 1024 && u + 1 < std::size(units); ++u) value /= 1024;
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f %s", u == 0 ? 0 : 1, value, units[u]);
  return text;
}

}  // namespace dcc::drun
