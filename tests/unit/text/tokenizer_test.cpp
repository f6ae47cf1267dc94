// The tokenizer as a whole: streams, time, threads.
#include "runtime/text/tokenizer.h"

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <random>
#include <thread>

#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

const char* const kKinds[] = {"bert", "gemma", "gpt2", "llama2", "qwen2", "unigram"};

Tokenizer load(const std::string& kind) {
  auto tokenizer =
      Tokenizer::fromFile(DCC_SOURCE_DIR "/tests/models/tokenizers/" + kind + "/tokenizer.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return *tokenizer;
}

// Any tokens in any order, most of which make no sense together.
TEST(TextStream, IsDecode) {
  std::mt19937 random(4);
  for (const char* kind : kKinds) {
    const Tokenizer tokenizer = load(kind);
    std::vector<int32_t> bytes;  // tokens that are parts of characters
    for (const char* token :
         {"<0xE4>", "<0xBD>", "<0xA0>", "<0x41>", "\u00e4", "\u00bd", "\u0142", "\u2581", "##s"}) {
      if (tokenizer.idOf(token) >= 0) bytes.push_back(tokenizer.idOf(token));
    }
    for (int round = 0; round < 300; ++round) {
      std::vector<int32_t> ids(random() % 12);
      for (int32_t& id : ids) {
        id = !bytes.empty() && random() % 2
                 ? bytes[random() % bytes.size()]
                 : static_cast<int32_t>(random() % (tokenizer.vocabSize() + 2));
      }
      for (const bool skip : {false, true}) {
        TextStream stream(tokenizer, skip);
        std::string all;
        for (const int32_t id : ids) {
          const std::string text = stream.push(id);
          EXPECT_TRUE(isValidUtf8(text)) << kind;
          all += text;
        }
        all += stream.finish();
        ASSERT_EQ(all, tokenizer.decode(ids, skip)) << kind << " " << testing::PrintToString(ids);
      }
    }
  }
}

TEST(TextStream, GivesTextAsSoonAsItIsCertain) {
  const Tokenizer gpt2 = load("gpt2");
  TextStream stream(gpt2);
  const auto ids = gpt2.encode("the \u4f60");
  ASSERT_TRUE(ids.ok());
  ASSERT_EQ(ids->size(), 5u);  // "the", " ", three bytes
  EXPECT_EQ(stream.push((*ids)[0]), "the");
  EXPECT_EQ(stream.push((*ids)[1]), " ");
  EXPECT_EQ(stream.push((*ids)[2]), "");
  EXPECT_EQ(stream.push((*ids)[3]), "");
  EXPECT_EQ(stream.push((*ids)[4]), "\u4f60");
  EXPECT_EQ(stream.push((*ids)[2]), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");

  const Tokenizer llama2 = load("llama2");
  TextStream words(llama2);
  EXPECT_EQ(words.push(llama2.idOf("\u2581the")), "the");
  EXPECT_EQ(words.push(llama2.idOf("</s>")), "");
  EXPECT_EQ(words.push(llama2.idOf("\u2581the")), " the");
}

TEST(Tokenizer, Lookups) {
  const Tokenizer qwen2 = load("qwen2");
  EXPECT_EQ(qwen2.vocabSize(), 1028u);
  EXPECT_EQ(qwen2.idOf("<|im_end|>"), 1026);
  EXPECT_EQ(qwen2.idOf("a"), 64);
  EXPECT_EQ(qwen2.idOf("no such token"), -1);
}

double processorSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Four times the text takes about four times as long (a square would take sixteen times): runs of
// one character or of two, which no pre-tokenizer cuts. Processor time, the best of some.
TEST(Tokenizer, TimeIsLinear) {
  for (const char* kind : kKinds) {
    const Tokenizer tokenizer = load(kind);
    for (const char* unit :
         {"a", " ", "\n", "1", "!", "ab", "\u00e9", "\U0001F600", "\u2581", "\u0301"}) {
      const auto seconds = [&](size_t count) {
        std::string text;
        for (size_t i = 0; i < count; ++i) text += unit;
        double best = 1e9;
        for (int i = 0; i < 3; ++i) {
          const double start = processorSeconds();
          const auto ids = tokenizer.encode(text);
          EXPECT_TRUE(ids.ok()) << ids.error().message;
          TextStream stream(tokenizer);
          for (const int32_t id : *ids) stream.push(id);
          best = std::min(best, processorSeconds() - start);
        }
        return best;
      };
      // The floor keeps what takes next to nothing out of it.
      EXPECT_LT(seconds(100'000), 10 * std::max(seconds(25'000), 0.002)) << kind << " " << unit;
    }
  }
}

TEST(Tokenizer, ThreadsShareOne) {
  for (const char* kind : kKinds) {
    const Tokenizer tokenizer = load(kind);
    const std::string text = "First Citizen: caf\u00e9 \u4f60\u597d <unk> 12345\n\n";
    const auto expected = tokenizer.encode(text);
    ASSERT_TRUE(expected.ok());
    std::vector<std::thread> threads;
    std::vector<int> same(4, 0);
    for (size_t t = 0; t < same.size(); ++t) {
      threads.emplace_back([&, t, copy = tokenizer] {
        for (int i = 0; i < 50; ++i) {
          const auto ids = copy.encode(text);
          same[t] +=
              ids.ok() && *ids == *expected && copy.decode(*ids) == tokenizer.decode(*expected);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const int count : same) EXPECT_EQ(count, 50) << kind;
  }
}

}  // namespace
}  // namespace dcc::text
