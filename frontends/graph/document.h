// A JSON file whose diagnostics say where: "<path>:<line>: <key>: what is wrong; what would be
// right".
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "frontends/graph/key_lines.h"
#include "runtime/base/json.h"
#include "runtime/base/printable.h"
#include "runtime/base/status.h"

namespace dcc::graph {

// A name from the file, for a message of one line.
inline std::string inQuotes(std::string_view text) { return "\"" + printable(text) + "\""; }

class Document;
using DocumentPtr = std::shared_ptr<const Document>;

// Lines belong to the values inside, so that a document stays where it was made.
class Document {
 public:
  // Errors (user): missing, unreadable or too large file, not JSON, not an object.
  static Result<DocumentPtr> open(const std::string& path);
  // `path` stands for the text in errors.
  static Result<DocumentPtr> parse(std::string_view text, const std::string& path);

  const std::string& path() const { return path_; }
  const nlohmann::json& root() const { return root_; }

  // "<path>:<line>" of a value inside; "<path>" of the root and of what is not inside.
  std::string where(const nlohmann::json& value) const;
  // The fields of an object inside, for reading `key`: errors name that key's line, or the object's
  // where the key is missing.
  JsonFields at(const nlohmann::json& object, std::string_view key) const;
  // Error at the first key of the object that is not known, with the nearest that is.
  Status knownKeys(const nlohmann::json& object, std::span<const std::string_view> known) const;

  Document(const Document&) = delete;

 private:
  Document(std::string path, std::string_view text, nlohmann::json root);

  std::string path_;
  nlohmann::json root_;
  KeyLines lines_;
};

}  // namespace dcc::graph
