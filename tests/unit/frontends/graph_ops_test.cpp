// docs/model.schema.json and the table of ops say the same.
#include <gtest/gtest.h>

#include <set>

#include "frontends/graph/ops.h"
#include "runtime/base/json.h"

namespace dcc::graph {
namespace {

using Names = std::set<std::string>;

template <class List>
Names asSet(const List& list) {
  return Names(list.begin(), list.end());
}

Names keysOf(const nlohmann::json& object) {
  Names keys;
  for (const auto& item : object["properties"].items()) keys.insert(item.key());
  return keys;
}

TEST(GraphSchema, HasTheOpsAndKeysOfTheTable) {
  Result<nlohmann::json> schema = readJson(DCC_SOURCE_DIR "/docs/model.schema.json");
  ASSERT_TRUE(schema.ok()) << schema.error().message;
  const nlohmann::json& definitions = (*schema)["$defs"];
  EXPECT_EQ(keysOf((*schema)["properties"]["graph"]), asSet(graphKeys()));
  EXPECT_EQ(keysOf(definitions["group"]), asSet(groupKeys()));
  Names names;
  for (const OpKind& kind : opKinds()) {
    SCOPED_TRACE(kind.name);
    names.emplace(kind.name);
    Names keys = asSet(kind.keys);
    for (std::string_view key : commonOpKeys(kind)) keys.emplace(key);
    const nlohmann::json& definition = definitions[std::string(kind.name)];
    EXPECT_EQ(keysOf(definition), keys);
    EXPECT_EQ(definition["properties"]["op"]["const"], kind.name);
    EXPECT_EQ(definition["properties"]["inputs"]["minItems"], kind.inputs.size());
    EXPECT_EQ(definition["properties"]["inputs"]["maxItems"], kind.inputs.size());
  }
  EXPECT_EQ(definitions["op"]["properties"]["op"]["enum"].get<Names>(), names);
  EXPECT_EQ(definitions["op"]["allOf"].size(), names.size());
}

}  // namespace
}  // namespace dcc::graph
