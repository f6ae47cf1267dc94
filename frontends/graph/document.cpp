#include "frontends/graph/document.h"

#include <algorithm>

#include "runtime/base/file.h"
#include "runtime/base/nearest.h"
#include "runtime/base/printable.h"

namespace dcc::graph {

constexpr JsonLimits kLimits{.depth = 32, .bytes = 1 << 20};

Document::Document(std::string path, std::string_view text, nlohmann::json root)
    : path_(std::move(path)), root_(std::move(root)), lines_(keyLines(text, root_)) {}

Result<DocumentPtr> Document::open(const std::string& path) {
  DCC_ASSIGN(std::string text, readFile(path, kLimits.bytes));
  return parse(text, path);
}

Result<DocumentPtr> Document::parse(std::string_view text, const std::string& path) {
  DCC_ASSIGN(nlohmann::json root, parseJson(text, path, kLimits));
  if (!root.is_object()) {
    return userError(path + ": is " + std::string(jsonTypeName(root)) + "; an object is expected");
  }
  return DocumentPtr(new Document(path, text, std::move(root)));
}

std::string Document::where(const nlohmann::json& value) const {
  auto line = lines_.find(&value);
  return line == lines_.end() ? path_ : path_ + ":" + std::to_string(line->second);
}

JsonFields Document::at(const nlohmann::json& object, std::string_view key) const {
  auto field = object.find(key);
  return *JsonFields::of(object, where(field == object.end() ? object : *field));
}

Status Document::knownKeys(const nlohmann::json& object,
                           std::span<const std::string_view> known) const {
  for (const auto& item : object.items()) {
    if (std::ranges::find(known, item.key()) != known.end()) continue;
    return at(object, item.key())
        .error(printable(item.key()), "is no key here; did you mean \"" +
                                          nearestName(item.key().substr(0, 200), known) + "\"?");
  }
  return Status::success();
}

}  // namespace dcc::graph
