#include <nlohmann/json.hpp>

#include "runtime/base/file.h"
#include "runtime/base/new_file.h"
#include "tools/drun/encode_command.h"
#include "tools/drun/labels.h"

namespace dcc::drun {
namespace {

using nlohmann::ordered_json;

constexpr size_t kBufferBytes = 1 << 16;

size_t best(std::span<const double> scores) {
  return static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

// A line of JSON for each text, in a file or on stdout; there, without --json, the label alone and
// its score.
class Classes final : public EncodeResults {
 public:
  Classes(Labels labels, bool per_token, bool json, std::optional<NewFile> file, Waiting waiting)
      : labels_(std::move(labels)),
        per_token_(per_token),
        json_(json),
        file_(std::move(file)),
        stdout_(std::move(waiting)) {}

  Status add(const Encoded& encoded) override {
    buffer_ += json_ ? jsonLine(encoded) : plainLine(encoded);
    return buffer_.size() < kBufferBytes && file_ ? Status::success() : flush();
  }
  Status finish() override {
    DCC_RETURN_IF_ERROR(flush());
    return file_ ? file_->finish() : Status::success();
  }
  bool stopped() override { return !file_ && stdout_.closed(); }

 private:
  std::span<const float> row(const Encoded& encoded, size_t i) const {
    return std::span(encoded.rows).subspan(i * labels_.count(), labels_.count());
  }

  std::string jsonLine(const Encoded& encoded) const {
    ordered_json line;
    if (per_token_) {
      line["input_ids"] = encoded.ids;
      for (size_t t = 0; t < encoded.ids.size(); ++t) {
        const std::vector<double> scores = labels_.scores(row(encoded, t));
        line["labels"].push_back(labels_.name(best(scores)));
        line["scores"].push_back(scores[best(scores)]);
        line["logits"].push_back(ordered_json(row(encoded, t)));
      }
    } else {
      const std::vector<double> scores = labels_.scores(row(encoded, 0));
      line["label"] = labels_.name(best(scores));
      line["score"] = scores[best(scores)];
      for (size_t i = 0; i < scores.size(); ++i) line["scores"][labels_.name(i)] = scores[i];
      line["logits"] = ordered_json(row(encoded, 0));
    }
    if (encoded.dropped > 0) line["dropped_tokens"] = encoded.dropped;
    return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  }

  std::string plainLine(const Encoded& encoded) const {
    std::string line;
    for (size_t i = 0; i < encoded.rows.size() / labels_.count(); ++i) {
      const std::vector<double> scores = labels_.scores(row(encoded, i));
      char score[32];
      std::snprintf(score, sizeof(score), "%.4f", scores[best(scores)]);
      line += (i == 0 ? "" : " ") + labels_.name(best(scores)) + (per_token_ ? "" : "\t") +
              (per_token_ ? "" : score);
    }
    return line + "\n";
  }

  Status flush() {
    const Status status =
        file_ ? writeAll(file_->fd(), buffer_, file_->path()) : stdout_.write(buffer_);
    buffer_.clear();
    return status;
  }

  Labels labels_;
  bool per_token_, json_;
  std::optional<NewFile> file_;  // none: stdout
  Output stdout_;
  std::string buffer_;
};

class ClassifyCommand final : public EncodeCommand {
 public:
  using EncodeCommand::EncodeCommand;

 private:
  Result<std::unique_ptr<EncodeResults>> open(uint64_t) override {
    DCC_ASSIGN(Labels labels, Labels::read(options_.dir, output_.columns));
    const bool standard = options_.output.empty() || options_.output == "-";
    std::optional<NewFile> file;
    if (!standard) {
      DCC_ASSIGN(NewFile created, NewFile::create(options_.output));
      file.emplace(std::move(created));
    }
    const bool json = options_.json || !options_.output.empty();
    return std::unique_ptr<EncodeResults>(std::make_unique<Classes>(
        std::move(labels), output_.per_token, json, std::move(file), waiting_));
  }
};

}  // namespace

std::unique_ptr<EncodeCommand> classifyCommand(const Options& options, const EncodeOutput& output,
                                               Waiting waiting) {
  return std::make_unique<ClassifyCommand>(options, output, std::move(waiting));
}

}  // namespace dcc::drun
