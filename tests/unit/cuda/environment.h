// Environment variables of a test, and the log of a fake NCCL.
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace dcc::cuda::testing {

// Set until the end of its life. Not while other threads run.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

// The lines of `path` that begin with `begin`, without it.
inline std::vector<std::string> linesAfter(const std::string& path, const std::string& begin) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(begin)) lines.push_back(line.substr(begin.size()));
  }
  return lines;
}

}  // namespace dcc::cuda::testing
