#include "runtime/base/safetensors.h"
#include "tools/drun/encode_command.h"

namespace dcc::drun {
namespace {

// One matrix "embeddings" [texts, columns] or, with --tokens, one [tokens, columns] for each text,
// named by its number from 0.
class Vectors final : public EncodeResults {
 public:
  Vectors(SafetensorsWriter writer, uint64_t columns, bool per_token)
      : writer_(std::move(writer)), columns_(columns), per_token_(per_token) {}

  Status add(const Encoded& encoded) override {
    const uint64_t text = next_++;
    if (per_token_) return writer_.write(text, 0, encoded.rows);
    return writer_.write(0, text * columns_, encoded.rows);
  }
  Status finish() override { return writer_.finish(); }

 private:
  SafetensorsWriter writer_;
  uint64_t columns_;
  bool per_token_;
  uint64_t next_ = 0;
};

class EmbedCommand final : public EncodeCommand {
 public:
  using EncodeCommand::EncodeCommand;

 private:
  Status expect(const TextReader& reader, const Line& line, const std::string& where) override {
    if (!output_.per_token) return Status::success();
    uint64_t dropped = 0;
    DCC_ASSIGN(const generate::Text text, reader.read(line.text, where, dropped));
    tensors_.push_back(
        {std::to_string(tensors_.size()), DType::kF32, {text.ids.size(), output_.columns}});
    return Status::success();
  }

  Result<std::unique_ptr<EncodeResults>> open(uint64_t texts) override {
    if (!output_.per_token) tensors_ = {{"embeddings", DType::kF32, {texts, output_.columns}}};
    DCC_ASSIGN(SafetensorsWriter writer, SafetensorsWriter::create(options_.output, tensors_));
    return std::unique_ptr<EncodeResults>(
        std::make_unique<Vectors>(std::move(writer), output_.columns, output_.per_token));
  }

  std::vector<SafetensorsWriter::Tensor> tensors_;
};

}  // namespace

std::unique_ptr<EncodeCommand> embedCommand(const Options& options, const EncodeOutput& output,
                                            Waiting waiting) {
  return std::make_unique<EmbedCommand>(options, output, std::move(waiting));
}

}  // namespace dcc::drun
