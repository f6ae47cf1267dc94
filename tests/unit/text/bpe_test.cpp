// The fast ways of byte-pair encoding against the plain one: merge the best pair, again and again.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "runtime/text/bpe_merges.h"
#include "runtime/text/model.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

using Pair = std::pair<int32_t, int32_t>;

void mergePlainly(const std::map<Pair, Merge>& merges, std::vector<int32_t>& symbols) {
  while (true) {
    size_t best = symbols.size();
    uint32_t rank = UINT32_MAX;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto merge = merges.find({symbols[i], symbols[i + 1]});
      if (merge != merges.end() && merge->second.rank < rank) {
        rank = merge->second.rank;
        best = i;
      }
    }
    if (best == symbols.size()) return;
    symbols[best] = merges.at({symbols[best], symbols[best + 1]}).id;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST(Bpe, MergesAreThoseOfThePlainWay) {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    const auto letters = static_cast<int32_t>(1 + random() % 4);
    std::map<Pair, Merge> merges;
    int32_t next = letters;
    for (uint32_t rank = 0; rank < 40; ++rank) {
      const Pair pair(static_cast<int32_t>(random()) & INT32_MAX,
                      static_cast<int32_t>(random()) & INT32_MAX);
      const Pair known(pair.first % next, pair.second % next);
      if (merges.emplace(known, Merge{rank, next}).second) ++next;
    }
    MergeTable table;
    table.reserve(merges.size());
    for (const auto& [pair, merge] : merges) table.add(pair.first, pair.second, merge);
    Merger merger(table);
    for (const size_t length : {0, 1, 2, 5, 31, 32, 33, 34, 80, 200}) {
      std::vector<int32_t> symbols(length);
      for (int32_t& symbol : symbols)
        symbol = static_cast<int32_t>(random() % static_cast<uint32_t>(letters));
      std::vector<int32_t> expected = symbols;
      mergePlainly(merges, expected);
      merger.apply(symbols);
      ASSERT_EQ(symbols, expected) << "round " << round << ", " << length << " symbols";
    }
  }
}

// Long texts are cut where no merge can join; the result must be that of the whole. Tokenizers
// without pre-tokenizer rely on it.
TEST(Bpe, CutsDoNotShow) {
  for (const std::string kind : {"llama2", "gemma"}) {
    const auto json =
        readJson(DCC_SOURCE_DIR "/tests/models/tokenizers/" + kind + "/tokenizer.json");
    ASSERT_TRUE(json.ok()) << json.error().message;
    const auto model = makeModel(json->at("model"), kind);
    ASSERT_TRUE(model.ok()) << model.error().message;
    const Vocabulary& vocabulary = (*model)->vocabulary();
    std::map<Pair, Merge> merges;
    for (const nlohmann::json& merge : json->at("model").at("merges")) {
      const std::string left = merge[0], right = merge[1];
      merges[{vocabulary.find(left), vocabulary.find(right)}] = {
          static_cast<uint32_t>(merges.size()), vocabulary.find(left + right)};
    }
    std::mt19937 random(3);
    const std::vector<std::string> parts = {
        "\u2581", "\u2581the",  "\u2581a", "and",    "ing",  "\n",
        "\u00e9", "\U0001F600", "e",       "t",      "th",   "\u2581\u2581\u2581",
        ".",      ",",          "1",       "\u4f60", "ROMEO"};
    const auto session = (*model)->session();
    for (int round = 0; round < 200; ++round) {
      std::string text;
      while (text.size() < 65 + random() % 200) text += parts[random() % parts.size()];
      std::vector<int32_t> expected;
      for (size_t pos = 0; pos < text.size();) {
        const size_t begin = pos;
        nextChar(text, pos);
        const int32_t id = vocabulary.find(text.substr(begin, pos - begin));
        if (id >= 0) {
          expected.push_back(id);
          continue;
        }
        for (size_t i = begin; i < pos; ++i) {
          char name[8];
          std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned char>(text[i]));
          expected.push_back(vocabulary.find(name));
        }
      }
      mergePlainly(merges, expected);
      std::vector<int32_t> ids;
      const Status status = session->tokenize(text, ids);
      ASSERT_TRUE(status.ok()) << status.error().message;
      ASSERT_EQ(ids, expected) << kind << ": " << text;
    }
  }
}

}  // namespace
}  // namespace dcc::text
