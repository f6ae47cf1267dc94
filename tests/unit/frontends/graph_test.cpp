#include "frontends/graph/graph.h"

#include <gtest/gtest.h>

#include <set>

#include "runtime/base/json.h"

namespace dcc::graph {
namespace {

// The reader takes any table of ops; what they compute is tests/models/graph_test.py's matter.
const std::vector<OpKind>& kinds() {
  static const std::vector<OpKind> kKinds = {
      {"embed", {"tokens"}, {}, nullptr},
      {"add", {"x", "y"}, {}, nullptr, true},
      {"norm", {"x"}, {"eps"}, nullptr},
      {"split", {"x"}, {"sizes"}, nullptr, false, true},
  };
  return kKinds;
}

Result<Graph> read(const std::string& ops) {
  Result<DocumentPtr> document = Document::parse(
      R"({"graph": {"vocab_size": 8, "max_position_embeddings": 16, "ops": [)" + ops + "]}}",
      "model.json");
  EXPECT_TRUE(document.ok()) << document.error().message;
  return readGraph(*document, kinds());
}

std::string errorOf(const std::string& ops) {
  Result<Graph> graph = read(ops);
  return graph.ok() ? "" : graph.error().message;
}

const std::string kEmbed = R"({"op": "embed", "inputs": ["tokens"], "output": "x"},)";

TEST(ExpandName, IndicesOfRepeats) {
  const Indices indices{{"i", 3}, {"layer", 12}};
  EXPECT_EQ(*expandName("model.layers.{i}.w", indices), "model.layers.3.w");
  EXPECT_EQ(*expandName("{layer}.{2*i+1}-{i+4}/{2*i}", indices), "12.7-7/6");
  EXPECT_EQ(*expandName("plain_name", {}), "plain_name");
  for (const char* bad :
       {"{j}", "{i", "i}", "{}", "{i+}", "{*i}", "{2i}", "{i*2}", "{i-1}", "{i+1", "{9999999*i}",
        "{i+99999999999}", "{{i}}", "{+1}", "", "a b", "a\"b", "é"}) {
    EXPECT_FALSE(expandName(bad, indices).ok()) << bad;
  }
  EXPECT_FALSE(expandName(std::string(kLongestName + 1, 'a'), indices).ok());
  EXPECT_TRUE(expandName(std::string(kLongestName, 'a'), indices).ok());
  EXPECT_FALSE(expandName(std::string(kLongestName - 3, 'a') + "{layer}{i}", indices).ok());
}

TEST(Graph, RepeatsAreWrittenOutAndNamesFollowTheFlow) {
  Result<Graph> graph = read(kEmbed + R"(
    {"module": "layers.{i}", "repeat": {"i": 2}, "ops": [
      {"module": "a", "repeat": {"j": 2}, "ops": [
        {"op": "norm", "module": "n{j}", "inputs": ["x"], "output": "y"},
        {"op": "add", "inputs": ["x", "y"], "output": "x"}]},
      {"op": "norm", "module": "last", "inputs": ["x"]},
      {"op": "add", "inputs": ["x", "layers.{i}.last"], "output": "x"}]},
    {"op": "norm", "inputs": ["x"]})");
  ASSERT_TRUE(graph.ok()) << graph.error().message;
  ASSERT_EQ(graph->steps.size(), 1u + 2 * (2 * 2 + 2) + 1);
  std::vector<std::string> modules;
  for (const Step& step : graph->steps) modules.push_back(step.module);
  EXPECT_EQ(modules, (std::vector<std::string>{
                         "embed", "layers.0.a.n0", "layers.0.a", "layers.0.a.n1", "layers.0.a",
                         "layers.0.last", "layers.0", "layers.1.a.n0", "layers.1.a",
                         "layers.1.a.n1", "layers.1.a", "layers.1.last", "layers.1", "norm"}));
  // x of the embedding, read by the first norm and the first add; then theirs.
  EXPECT_EQ(graph->values[graph->steps[0].outputs[0]].readers, (std::vector<size_t>{1, 2}));
  EXPECT_EQ(graph->steps[7].inputs, graph->steps[6].outputs);
  EXPECT_EQ(graph->values[graph->result()].name, "norm");
  EXPECT_EQ(graph->vocab_size, 8);
  EXPECT_EQ(graph->max_position_embeddings, 16);
}

TEST(Graph, ResultsNobodyReads) {
  EXPECT_EQ(
      errorOf(kEmbed + R"({"op": "split", "inputs": ["x"], "outputs": ["a", "_"], "sizes": []},
                                {"op": "norm", "inputs": ["a"]})"),
      "");
  EXPECT_EQ(
      errorOf(kEmbed + R"({"op": "split", "inputs": ["x"], "outputs": ["a", "b"], "sizes": []},
                                {"op": "norm", "inputs": ["a"]})"),
      "model.json:1: outputs: nobody reads \"b\"; read it, leave the op out, or call it \"_\"");
  EXPECT_EQ(errorOf(kEmbed + "\n" + R"({"op": "norm", "inputs": ["_"]})"),
            "model.json:2: inputs: \"_\" is no result so far; did you mean \"x\"?");
  EXPECT_EQ(errorOf(kEmbed + "\n" + R"({"op": "norm", "output": "y",
                                        "inputs": ["y"]})"),
            "model.json:3: inputs: \"y\" is given only in line 2; ops stand in the order in which "
            "they run");
  EXPECT_EQ(
      errorOf(kEmbed + R"({"op": "split", "inputs": ["x"], "outputs": ["a", "b"], "sizes": []})"),
      "model.json:1: outputs: the last op gives the logits; one result is expected of it");
}

TEST(Graph, WhatAHostileFileMayNotTake) {
  // 10000 repeats of 10000 repeats.
  EXPECT_EQ(
      errorOf(R"({"repeat": {"i": 10000}, "ops": [{"repeat": {"j": 10000}, "ops": [
                         {"op": "embed", "inputs": ["tokens"], "output": "_"}]}]})"),
      "model.json:2: op: is one too many; at most 20000 ops are expected, repeats written out");
  std::string names;
  for (int i = 0; i < 65; ++i) names += std::string(i ? "," : "") + "\"_\"";
  EXPECT_EQ(errorOf(kEmbed + R"({"op": "split", "inputs": ["x"], "outputs": [)" + names + "]}"),
            "model.json:1: outputs: holds 65 names; at most 64 are expected");
  // A path that grows with every group.
  const std::string part(100, 'm');
  std::string nested = R"({"op": "embed", "inputs": ["tokens"]})";
  for (int i = 0; i < 3; ++i) nested = R"({"module": ")" + part + R"(", "ops": [)" + nested + "]}";
  EXPECT_NE(errorOf(nested).find("is no name; up to 256"), std::string::npos);
  for (int i = 0; i < 40; ++i) nested = R"({"ops": [)" + nested + "]}";
  EXPECT_FALSE(Document::parse(R"({"graph": [)" + nested + "]}", "model.json").ok());
}

TEST(Graph, NeedsItsKeys) {
  for (
      std::string_view text :
      {R"({"graph": 1})", R"({"graph": {}})", R"({"graph": {"vocab_size": 8, "ops": []}})",
       R"({"graph": {"vocab_size": 0, "max_position_embeddings": 1, "ops": []}})",
       R"({"graph": {"vocab_size": 8, "max_position_embeddings": 1, "ops": []}})",
       R"({"graph": {"vocab_size": 8, "max_position_embeddings": 1, "ops": {}}})",
       R"({"graph": {"vocab_size": 8, "max_position_embeddings": 1, "unused": "x", "ops": [1]}})"}) {
    Result<DocumentPtr> document = Document::parse(text, "model.json");
    ASSERT_TRUE(document.ok());
    EXPECT_FALSE(readGraph(*document, kinds()).ok()) << text;
  }
}

}  // namespace
}  // namespace dcc::graph
