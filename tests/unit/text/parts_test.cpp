// Single parts of tokenizer.json with every option, against the `tokenizers` library
// (tests/models/tokenizers/make_parts.py).
#include <gtest/gtest.h>

#include "runtime/text/decoder.h"
#include "runtime/text/model.h"
#include "runtime/text/normalizer.h"
#include "runtime/text/pre_tokenizer.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

using nlohmann::json;

// Calls `check(spec, input, output)` for every case of a kind.
template <class Check>
void forEachCase(const char* kind, Check&& check) {
  const auto parts = readJson(DCC_SOURCE_DIR "/tests/models/tokenizers/parts.json");
  ASSERT_TRUE(parts.ok()) << parts.error().message;
  size_t count = 0;
  for (const json& part : parts->at(kind)) {
    for (const json& one : part.at("cases")) {
      SCOPED_TRACE(part.at("spec").dump().substr(0, 300) + " on " + one[0].dump());
      check(part.at("spec"), one[0], one[1]);
      ++count;
    }
  }
  EXPECT_GT(count, 500u);
}

TEST(TokenizerParts, Normalizers) {
  forEachCase("normalizers", [](const json& spec, const json& input, const json& output) {
    const auto normalizer = makeNormalizer(spec, "spec");
    ASSERT_TRUE(normalizer.ok()) << normalizer.error().message;
    std::string text = input;
    const Status status = (*normalizer)->apply(text);
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(text, output.get<std::string>());
  });
}

TEST(TokenizerParts, PreTokenizers) {
  forEachCase("pre_tokenizers", [](const json& spec, const json& input, const json& output) {
    const auto pre_tokenizer = makePreTokenizer(spec, "spec");
    ASSERT_TRUE(pre_tokenizer.ok()) << pre_tokenizer.error().message;
    const std::string text = input;
    Pieces pieces;
    pieces.add({text, -1, true});
    const Status status = (*pre_tokenizer)->apply(pieces);
    ASSERT_TRUE(status.ok()) << status.error().message;
    std::vector<std::string> texts;
    for (const Piece& piece : pieces.list()) texts.emplace_back(piece.text);
    EXPECT_EQ(texts, output.get<std::vector<std::string>>());
  });
}

TEST(TokenizerParts, Decoders) {
  forEachCase("decoders", [](const json& spec, const json& input, const json& output) {
    auto decoder = spec.is_null() ? Decoder() : Decoder::read(spec, "spec");
    ASSERT_TRUE(decoder.ok()) << decoder.error().message;
    Decoder::Run run(*decoder);
    std::string text;
    for (const json& token : input) {
      run.push(token.get_ref<const std::string&>());
      const std::string certain = run.take();
      EXPECT_TRUE(isValidUtf8(certain));
      text += certain;
    }
    run.finish();
    EXPECT_EQ(text + run.take(), output.get<std::string>());
  });
}

TEST(TokenizerParts, Models) {
  forEachCase("models", [](const json& spec, const json& input, const json& output) {
    const auto model = makeModel(spec, "spec");
    ASSERT_TRUE(model.ok()) << model.error().message;
    const auto session = (*model)->session();
    // The second time from memory, where words are remembered.
    for (int i = 0; i < 2; ++i) {
      std::vector<int32_t> ids;
      const Status status = session->tokenize(input.get_ref<const std::string&>(), ids);
      ASSERT_TRUE(status.ok()) << status.error().message;
      EXPECT_EQ(ids, output.get<std::vector<int32_t>>());
    }
  });
}

}  // namespace
}  // namespace dcc::text
