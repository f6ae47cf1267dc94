// A report in sections, for people and for programs.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace dcc::drun {

class Findings {
 public:
  // What follows belongs to it.
  void section(std::string name);
  // `key` names the value in JSON and the text, one line, in the table: there with spaces for
  // underscores, but for the names of variables.
  void add(const std::string& key, nlohmann::ordered_json value, const std::string& text);
  // For a value that says it all.
  void add(const std::string& key, const std::string& text) { add(key, text, text); }

  // {"section": {"key": value, ...}, ...} in a line.
  std::string json() const;
  // A line for each: section (once), key, text; aligned.
  std::string table() const;

 private:
  struct Row {
    std::string section, name, text;
  };
  std::string section_;
  nlohmann::ordered_json root_ = nlohmann::ordered_json::object();
  std::vector<Row> rows_;
};

// "23.5 GiB".
std::string bytesText(uint64_t n);

}  // namespace dcc::drun
