#include "tools/drun/encode.h"

#include <algorithm>

#include "runtime/base/progress.h"
#include "runtime/plan/access.h"
#include "runtime/plan/kernels.h"
#include "tools/drun/plan_files.h"

namespace dcc::drun {
namespace {

namespace fb = plan::fb;

// Of a round: enough that the replicas rarely wait for each other.
constexpr uint64_t kLinesOfReplica = 1024;
constexpr uint64_t kTextBytes = uint64_t{1} << 20;
constexpr uint64_t kResultBytes = uint64_t{16} << 20;

std::string inputName(const Options& options) {
  return options.input == "-" ? "stdin" : options.input;
}

}  // namespace

Result<EncodeOutput> encodeOutput(const plan::Plan& plan, const Options& options) {
  const fb::Entry* entry = nullptr;
  for (const fb::Entry* e : plan::rows(plan->entries())) {
    if (plan::text(e->name()) == "encode") entry = e;
  }
  if (entry == nullptr) {
    return userError(options.dir + ": the model writes texts and encodes none; generate is for it");
  }
  std::vector<std::string_view> names = {"logits"};
  std::string what = "labels";
  if (options.command == Command::kEmbed) {
    names = {"embedding", "pooled"};
    what = "vector for a whole text; --tokens gives those of its tokens";
    if (options.tokens) names = {"hidden"};
  }
  for (const std::string_view name : names) {
    for (const fb::Output* output : plan::rows(entry->outputs())) {
      if (plan::text(output->name()) != name) continue;
      const fb::Buffer& buffer = *entry->buffers()->Get(output->buffer());
      const fb::SizeNode& rows = *plan->sizes()->Get(buffer.rows());
      const bool per_token = rows.op() == fb::SizeOp::variable && rows.a() == plan::kT;
      return EncodeOutput{std::string(name), output->columns(), per_token};
    }
  }
  return userError(options.dir + ": the model has no " + what);
}

// ---- lines -------------------------------------------------------------------------------------

Result<TextReader> TextReader::open(const std::string& dir, const generate::Limits& limits) {
  TextReader reader;
  reader.dir_ = dir;
  reader.limits_ = limits;
  DCC_ASSIGN(PlanFiles files, readPlanFiles(dir));
  reader.tokenizer_ = std::move(files.tokenizer);
  DCC_ASSIGN(reader.truncation_, text::readTruncation(dir, limits.max_seq_len));
  return reader;
}

Status TextReader::check(const std::string& line, const std::string& where) const {
  const Result<Prompt> prompt = parse(line, where);
  return prompt.ok() ? Status::success() : prompt.error();
}

Result<Prompt> TextReader::parse(const std::string& line, const std::string& where) const {
  DCC_ASSIGN(Prompt prompt, promptOf(line, where));
  if (prompt.text) {
    if (tokenizer_) return prompt;
    return userError(where + ": a text, but " + dir_ +
                     " has no tokenizer.json; give token ids: {\"input_ids\": [...]}");
  }
  if (prompt.ids.empty()) return userError(where + ": no tokens; at least one is needed");
  if (prompt.ids.size() > limits_.max_seq_len) {
    return userError(where + ": " + std::to_string(prompt.ids.size()) +
                     " token ids; the plan takes up to " + std::to_string(limits_.max_seq_len));
  }
  const auto outside = [&](const std::vector<int32_t>& ids, uint64_t count, const char* what) {
    const auto bad = std::find_if(ids.begin(), ids.end(),
                                  [&](int32_t id) { return static_cast<uint64_t>(id) >= count; });
    if (bad == ids.end()) return Status::success();
    return Status(userError(where + ": " + what + " " + std::to_string(*bad) + "; the model has " +
                            std::to_string(count)));
  };
  DCC_RETURN_IF_ERROR(outside(prompt.ids, limits_.vocab_size, "token id of the vocabulary"));
  // Of models without types all are 0.
  DCC_RETURN_IF_ERROR(outside(prompt.types, std::max(1u, limits_.token_types), "token type"));
  return prompt;
}

Result<generate::Text> TextReader::read(const std::string& line, const std::string& where,
                                        uint64_t& dropped) const {
  DCC_ASSIGN(Prompt prompt, parse(line, where));
  dropped = 0;
  generate::Text text{std::move(prompt.ids), std::move(prompt.types)};
  if (!prompt.text) return text;
  Result<std::vector<int32_t>> ids =
      tokenizer_->encodeAtMost(*prompt.text, truncation_.most, truncation_.left, dropped);
  if (!ids.ok()) return userError(where + ": " + ids.error().message);
  text.ids = std::move(ids).value();
  if (text.ids.empty())
    return userError(where + ": the text has no tokens; at least one is needed");
  if (text.ids.size() > limits_.max_seq_len) {
    return userError(where + ": the tokenizer's special tokens alone are more than the plan's " +
                     std::to_string(limits_.max_seq_len));
  }
  for (const int32_t id : text.ids) {
    if (static_cast<uint64_t>(id) < limits_.vocab_size) continue;
    return userError(dir_ + "/tokenizer.json: gives token id " + std::to_string(id) +
                     "; the model's vocabulary has " + std::to_string(limits_.vocab_size));
  }
  return text;
}

// ---- rounds ------------------------------------------------------------------------------------

// What is broadcast first.
struct EncodeRounds::Header {
  uint64_t first = 0;  // index of the first line
  uint64_t lines = 0;  // 0: there are no more rounds
  uint64_t bytes = 0;  // of the lines, which follow
};

EncodeRounds::EncodeRounds(const Options& options, const EncodeOutput& output,
                           const generate::Limits& limits, const Replica& replica,
                           Communicator& world, Communicator& group, generate::StepRunner& runner)
    : options_(options),
      output_(output),
      limits_(limits),
      replica_(replica),
      world_(world),
      group_(group),
      loop_(limits, group, runner, [this] { alive(); }),
      leads_(group.rank() == 0),
      name_(inputName(options)) {}

void EncodeRounds::alive() {
  world_.noteProgress();
  if (&group_ != &world_) group_.noteProgress();
}

Status EncodeRounds::send(Header& header) {
  DCC_RETURN_IF_ERROR(world_.broadcast(&header, sizeof(header), 0));
  lines_.resize(header.bytes);
  return world_.broadcast(lines_.data(), lines_.size(), 0);
}

Status EncodeRounds::encodeOwn(const Header& header) {
  records_.clear();
  if (!leads_) return loop_.follow();
  if (!reader_) {
    DCC_ASSIGN(reader_, TextReader::open(options_.dir, limits_));
  }
  Taker lines(lines_);
  std::vector<generate::Text> texts;
  std::vector<Encoded> results;
  for (uint64_t i = 0; i < header.lines; ++i) {
    const uint64_t number = lines.number();
    const std::string line(lines.bytes(lines.number()));
    if (!replica_.has(header.first + i)) continue;
    const std::string where = name_ + ":" + std::to_string(number);
    Encoded& result = results.emplace_back();
    DCC_ASSIGN(generate::Text text, reader_->read(line, where, result.dropped));
    result.ids = text.ids;
    texts.push_back(std::move(text));
    alive();
  }
  const uint32_t most = options_.batch_tokens.value_or(limits_.encode.max_tokens);
  const auto each = [&](size_t text, size_t, std::span<const float> rows) {
    results[text].rows.insert(results[text].rows.end(), rows.begin(), rows.end());
    if (progress_) progress_(text + 1);
    return Status::success();
  };
  DCC_RETURN_IF_ERROR(loop_.lead(texts, most, each));
  for (const Encoded& result : results) {
    put(records_, result.dropped);
    put(records_, result.ids);
    put(records_, result.rows);
  }
  return Status::success();
}

Status EncodeRounds::follow() {
  for (;;) {
    Header header;
    DCC_RETURN_IF_ERROR(send(header));
    if (header.lines == 0) return Status::success();
    DCC_RETURN_IF_ERROR(encodeOwn(header));
    DCC_RETURN_IF_ERROR(gathered_.gather(records_, world_));
  }
}

Status EncodeRounds::lead(TextInput& input, uint64_t count, EncodeResults& results) {
  Progress progress("encoding", "texts", true);
  // What every token has many numbers for goes in smaller rounds.
  const uint64_t each = output_.per_token ? output_.columns * sizeof(float) : 1;
  const uint64_t most_bytes = std::min(kTextBytes, std::max<uint64_t>(1, kResultBytes / each));
  Line line;
  for (uint64_t done = 0; done < count && !results.stopped();) {
    Header header{done, 0, 0};
    std::string lines;
    while (done + header.lines < count && header.lines < kLinesOfReplica * replica_.count &&
           (lines.empty() || lines.size() < most_bytes * replica_.count)) {
      DCC_ASSIGN(const bool more, input.next(line));
      if (!more) return userError(input.name() + ": has become shorter while it was read");
      put(lines, line.number);
      put(lines, uint64_t{line.text.size()});
      lines += line.text;
      ++header.lines;
    }
    header.bytes = lines.size();
    lines_ = std::move(lines);
    DCC_RETURN_IF_ERROR(send(header));
    progress_ = [&](uint64_t own) { progress.update(done + own * replica_.count, count); };
    DCC_RETURN_IF_ERROR(encodeOwn(header));
    DCC_RETURN_IF_ERROR(gathered_.gather(records_, world_));

    std::vector<Taker> takers;  // by replica
    for (const std::vector<uint32_t>& ranks : replica_.groups) {
      takers.emplace_back(gathered_.of(ranks.front()));
    }
    for (uint64_t i = 0; i < header.lines; ++i) {
      Taker& from = takers[(done + i) % replica_.count];
      Encoded encoded;
      encoded.dropped = from.number();
      encoded.ids = from.list<int32_t>();
      encoded.rows = from.list<float>();
      if (encoded.rows.size() != (output_.per_token ? encoded.ids.size() : 1) * output_.columns) {
        return runtimeError("text " + std::to_string(done + i) + ": its result is incomplete");
      }
      DCC_RETURN_IF_ERROR(results.add(encoded));
    }
    done += header.lines;
    progress.update(done, count);
  }
  Header end;
  return send(end);
}

}  // namespace dcc::drun
