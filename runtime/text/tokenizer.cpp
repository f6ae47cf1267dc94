#include "runtime/text/tokenizer.h"

#include <algorithm>
#include <optional>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/text/added_tokens.h"
#include "runtime/text/decoder.h"
#include "runtime/text/limits.h"
#include "runtime/text/model.h"
#include "runtime/text/normalizer.h"
#include "runtime/text/pieces.h"
#include "runtime/text/post_processor.h"
#include "runtime/text/pre_tokenizer.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

// The largest published tokenizer.json has 34 MB.
constexpr uint64_t kMostFileBytes = 128ull << 20;

}  // namespace

struct Tokenizer::Impl {
  std::string name;  // the file, for errors
  std::unique_ptr<Normalizer> normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  std::unique_ptr<Model> model;
  AddedTokens added;
  std::optional<PostProcessor> post_processor;
  Decoder decoder;

  // The string that decoders see for an id; nothing when there is no such token, or when it is
  // special and special ones are skipped.
  std::optional<std::string_view> tokenOf(int32_t id, bool skip_special) const {
    if (const AddedToken* token = added.byId(id)) {
      if (skip_special && token->skipped) return std::nullopt;
      return token->form;
    }
    if (id < 0 || id >= model->vocabulary().size()) return std::nullopt;
    return model->vocabulary().token(id);
  }

  Status cut(std::string_view text, Pieces& pieces) const;
};

Result<Tokenizer> Tokenizer::fromFile(const std::string& path) {
  DCC_ASSIGN(const std::string json, readFile(path, kMostFileBytes));
  return fromJson(json, path);
}

Result<Tokenizer> Tokenizer::fromJson(std::string_view text, const std::string& name) {
  DCC_ASSIGN(const nlohmann::json json, parseJson(text, name, {.bytes = kMostFileBytes}));
  DCC_ASSIGN(const JsonFields spec, JsonFields::of(json, name));
  DCC_ASSIGN(const JsonFields model, spec.object("model"));
  auto impl = std::make_shared<Impl>();
  impl->name = name;
  DCC_ASSIGN(impl->model, makeModel(model.value(), model.where()));
  if (const nlohmann::json* part = spec.find("normalizer")) {
    DCC_ASSIGN(impl->normalizer, makeNormalizer(*part, name + ": normalizer"));
  }
  if (const nlohmann::json* part = spec.find("pre_tokenizer")) {
    DCC_ASSIGN(impl->pre_tokenizer, makePreTokenizer(*part, name + ": pre_tokenizer"));
  }
  if (spec.has("added_tokens")) {
    DCC_ASSIGN(const nlohmann::json* list, spec.array("added_tokens"));
    DCC_ASSIGN(impl->added, AddedTokens::read(*list, name + ": added_tokens",
                                              impl->model->vocabulary(), impl->normalizer.get()));
  }
  if (const nlohmann::json* part = spec.find("decoder")) {
    DCC_ASSIGN(impl->decoder, Decoder::read(*part, name + ": decoder"));
  }
  Tokenizer tokenizer;
  tokenizer.impl_ = impl;
  if (const nlohmann::json* part = spec.find("post_processor")) {
    DCC_ASSIGN(impl->post_processor, PostProcessor::read(*part, name + ": post_processor"));
    const int32_t id = impl->post_processor->highestId();
    if (id >= static_cast<int32_t>(tokenizer.vocabSize())) {
      return spec.error("post_processor", "adds the token id " + std::to_string(id) +
                                              "; an id below the vocabulary's size " +
                                              std::to_string(tokenizer.vocabSize()) +
                                              " is expected");
    }
  }
  return tokenizer;
}

// Added tokens come out first: those that look for themselves in the text as it is, then, between
// them, those that look in normalized text. What remains is cut by the pre-tokenizer.
Status Tokenizer::Impl::cut(std::string_view text, Pieces& pieces) const {
  added.extract({text, -1, true}, false, pieces);
  DCC_RETURN_IF_ERROR(pieces.split([&](const Piece& piece, Pieces& out) -> Status {
    std::string_view normal = piece.text;
    if (normalizer) {
      std::string changed(piece.text);
      DCC_RETURN_IF_ERROR(normalizer->apply(changed));
      std::string& buffer = out.newBuffer(0);
      buffer = std::move(changed);
      normal = buffer;
    }
    added.extract({normal, -1, piece.at_start}, true, out);
    return Status::success();
  }));
  return pre_tokenizer ? pre_tokenizer->apply(pieces) : Status::success();
}

// Of the text alone.
Result<std::vector<int32_t>> Tokenizer::tokens(std::string_view text) const {
  DCC_RETURN_IF_ERROR(checkTextSize(text.size()));
  if (!isValidUtf8(text)) return userError("text: is not UTF-8; valid UTF-8 is expected");
  const auto named = [&](const Error& error) {
    return Error{impl_->name + ": " + error.message, error.fault};
  };
  Pieces pieces;
  if (Status status = impl_->cut(text, pieces); !status.ok()) return named(status.error());
  std::vector<int32_t> ids;
  const std::unique_ptr<Model::Session> session = impl_->model->session();
  for (const Piece& piece : pieces.list()) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else if (Status status = session->tokenize(piece.text, ids); !status.ok()) {
      return named(status.error());
    }
  }
  return ids;
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, bool special) const {
  DCC_ASSIGN(std::vector<int32_t> ids, tokens(text));
  return impl_->post_processor ? impl_->post_processor->apply(std::move(ids), special) : ids;
}

Result<std::vector<int32_t>> Tokenizer::encodeAtMost(std::string_view text, uint64_t most,
                                                     bool left, uint64_t& dropped) const {
  DCC_ASSIGN(std::vector<int32_t> ids, tokens(text));
  const std::optional<PostProcessor>& processor = impl_->post_processor;
  const uint64_t special = processor ? processor->apply({}, true).size() : 0;
  const uint64_t room = most - std::min(most, special);
  dropped = ids.size() - std::min<uint64_t>(ids.size(), room);
  const auto from = left ? ids.begin() : ids.end() - static_cast<ptrdiff_t>(dropped);
  ids.erase(from, from + static_cast<ptrdiff_t>(dropped));
  return processor ? processor->apply(std::move(ids), true) : ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  Decoder::Run run(impl_->decoder);
  for (const int32_t id : ids) {
    if (const auto token = impl_->tokenOf(id, skip_special)) run.push(*token);
  }
  run.finish();
  return run.take();
}

int32_t Tokenizer::idOf(std::string_view token) const {
  const int32_t id = impl_->added.idOf(token);
  return id >= 0 ? id : impl_->model->vocabulary().find(token);
}

size_t Tokenizer::vocabSize() const {
  return static_cast<size_t>(
      std::max(impl_->model->vocabulary().size(), impl_->added.highestId() + 1));
}

struct TextStream::State {
  Tokenizer tokenizer;
  bool skip_special;
  Decoder::Run run;
};

TextStream::TextStream(Tokenizer tokenizer, bool skip_special) {
  const Decoder& decoder = tokenizer.impl_->decoder;
  state_.reset(new State{std::move(tokenizer), skip_special, Decoder::Run(decoder)});
}

TextStream::~TextStream() = default;
TextStream::TextStream(TextStream&&) noexcept = default;
TextStream& TextStream::operator=(TextStream&&) noexcept = default;

std::string TextStream::push(int32_t id) {
  const auto token = state_->tokenizer.impl_->tokenOf(id, state_->skip_special);
  if (token) state_->run.push(*token);
  return state_->run.take();
}

std::string TextStream::finish() {
  state_->run.finish();
  return state_->run.take();
}

}  // namespace dcc::text
