// Rank 0's side of `drun classify` and `drun embed`.
#pragma once

#include <memory>
#include <optional>

#include "tools/drun/encode.h"

namespace dcc::drun {

class EncodeCommand {
 public:
  EncodeCommand(const Options& options, const EncodeOutput& output, Waiting waiting)
      : options_(options), output_(output), waiting_(std::move(waiting)) {}
  virtual ~EncodeCommand() = default;

  // Checks the whole input, before the weights are read, and makes the output. Errors (user): the
  // input's with the line's number; the output cannot be written.
  Status prepare(const generate::Limits& limits);
  // Encodes and writes all texts; how many were cut is said on stderr.
  Status run(EncodeRounds& rounds);

 protected:
  // The line's input, as the output needs to know of it beforehand.
  virtual Status expect(const TextReader&, const Line&, const std::string&) {
    return Status::success();
  }
  virtual Result<std::unique_ptr<EncodeResults>> open(uint64_t texts) = 0;

  const Options& options_;
  const EncodeOutput& output_;
  Waiting waiting_;

 private:
  std::optional<TextInput> input_;
  uint64_t texts_ = 0;
  uint64_t longest_ = 0;
  std::unique_ptr<EncodeResults> results_;
};

// The options and the output outlive it.
std::unique_ptr<EncodeCommand> classifyCommand(const Options& options, const EncodeOutput& output,
                                               Waiting waiting);
std::unique_ptr<EncodeCommand> embedCommand(const Options& options, const EncodeOutput& output,
                                            Waiting waiting);

}  // namespace dcc::drun
