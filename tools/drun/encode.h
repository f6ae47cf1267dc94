// What classify and embed share: texts of any number through the model, over all replicas.
//
// It goes in rounds, so that memory stays bounded: rank 0 reads some lines and broadcasts them,
// each replica makes tokens of those that are its own and encodes them, and what they give is
// gathered and handed on in input order.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/generate/encode_loop.h"
#include "runtime/text/tokenizer.h"
#include "runtime/text/truncation.h"
#include "tools/drun/options.h"
#include "tools/drun/prompts.h"
#include "tools/drun/replica.h"
#include "tools/drun/text_input.h"
#include "tools/drun/wire.h"

namespace dcc::drun {

// What the model makes of one text.
struct Encoded {
  std::vector<int32_t> ids;
  uint64_t dropped = 0;     // tokens that were too many
  std::vector<float> rows;  // [1 or ids.size(), columns]
};

// Rank 0's side: what becomes of the results.
class EncodeResults {
 public:
  virtual ~EncodeResults() = default;
  // Of the next text, in input order.
  virtual Status add(const Encoded& encoded) = 0;
  virtual Status finish() = 0;
  // Nobody wants any more.
  virtual bool stopped() { return false; }
};

// An output of the entry "encode".
struct EncodeOutput {
  std::string name;
  uint64_t columns = 0;
  bool per_token = false;  // else per text
};
// The output that a command is for. Error (user): the model has none.
Result<EncodeOutput> encodeOutput(const plan::Plan& plan, const Options& options);

// Ids of one line's text, within the limits. Error (user): begins with `where`.
class TextReader {
 public:
  // Error (user): damaged files of the tokenizer in `dir`.
  static Result<TextReader> open(const std::string& dir, const generate::Limits& limits);

  // Whether a line is right, without making tokens of its text.
  Status check(const std::string& line, const std::string& where) const;
  // `dropped`: tokens left out of a text that is too long.
  Result<generate::Text> read(const std::string& line, const std::string& where,
                              uint64_t& dropped) const;
  uint64_t longest() const { return truncation_.most; }

 private:
  TextReader() = default;
  // A line that is right.
  Result<Prompt> parse(const std::string& line, const std::string& where) const;

  std::string dir_;
  generate::Limits limits_;
  std::optional<text::Tokenizer> tokenizer_;
  text::Truncation truncation_;
};

class EncodeRounds {
 public:
  // One per rank of the world; `group` is its replica. All outlive the object.
  EncodeRounds(const Options& options, const EncodeOutput& output, const generate::Limits& limits,
               const Replica& replica, Communicator& world, Communicator& group,
               generate::StepRunner& runner);

  // Rank 0, which has checked the `count` lines of `input`.
  Status lead(TextInput& input, uint64_t count, EncodeResults& results);
  // Other ranks.
  Status follow();

 private:
  struct Header;
  Status send(Header& header);
  // Every rank: the round's lines that are its replica's become records.
  Status encodeOwn(const Header& header);
  // To those who wait for this rank.
  void alive();

  const Options& options_;
  const EncodeOutput& output_;
  const generate::Limits& limits_;
  const Replica& replica_;
  Communicator& world_;
  Communicator& group_;
  generate::EncodeLoop loop_;
  bool leads_;  // its replica
  std::optional<TextReader> reader_;
  std::string name_;     // of the input, for messages
  std::string lines_;    // of the round, packed
  std::string records_;  // what this rank has to give
  Gathered gathered_;
  std::function<void(uint64_t)> progress_;  // rank 0: so many of its own are done
};

}  // namespace dcc::drun
