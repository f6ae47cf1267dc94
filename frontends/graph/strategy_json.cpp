#include "frontends/graph/strategy_json.h"

namespace dcc::graph {
namespace {

constexpr std::string_view kKeys[] = {"name", "weight", "bias", "packed", "input", "output"};

struct Placement {
  const char* text;
  const char* layout;
};
constexpr Placement kPlacements[] = {{"Replicate", "whole"},
                                     {"Shard(-1)", "features"},
                                     {"Shard(1)", "features"},
                                     {"Shard(0)", "tokens"}};
constexpr char kExpected[] = "\"Replicate\", \"Shard(-1)\" or \"Shard(0)\" is expected";

class Reader {
 public:
  Reader(const Document& document, const nlohmann::json& object)
      : document_(document), object_(object) {}

  Result<StrategySpec> read() {
    DCC_RETURN_IF_ERROR(document_.knownKeys(object_, kKeys));
    StrategySpec spec;
    DCC_ASSIGN(spec.name, at("name").stringOr("name", object_.dump()));
    if (spec.name.empty()) return at("name").error("name", "is empty; a name is expected");
    DCC_RETURN_IF_ERROR(dimension("weight", 1, spec.weight));
    DCC_RETURN_IF_ERROR(dimension("bias", 0, spec.bias));
    if (const nlohmann::json* packed = at("packed").find("packed")) {
      if (!packed->is_boolean()) return at("packed").error("packed", "true or false is expected");
      spec.packed = packed->get<bool>();
    }
    if (spec.packed && !spec.weight) {
      return at("packed").error("packed", "cuts nothing without \"weight\"");
    }
    DCC_RETURN_IF_ERROR(input(spec));
    return output(spec);
  }

 private:
  JsonFields at(std::string_view key) const { return document_.at(object_, key); }

  Status dimension(std::string_view key, int most, std::optional<int>& out) const {
    const nlohmann::json* value = at(key).find(key);
    if (value == nullptr || value->is_null()) return Status::success();
    DCC_ASSIGN(const int64_t number, at(key).integer(key, 0, most));
    out = static_cast<int>(number);
    return Status::success();
  }

  Result<std::string> layout(std::string_view key, const nlohmann::json& value) const {
    for (const Placement& placement : kPlacements) {
      if (value == placement.text) return std::string(placement.layout);
    }
    return at(key).error(key, "is " + printable(value.dump()) + "; " + kExpected);
  }

  Status input(StrategySpec& spec) const {
    const nlohmann::json* value = at("input").find("input");
    if (value == nullptr) return Status::success();
    if (!value->is_array()) {
      DCC_ASSIGN(spec.arrives, layout("input", *value));
      spec.input = spec.arrives;
      return Status::success();
    }
    if (value->size() != 2) {
      return at("input").error("input", "from what to what it is brought, two placements, is " +
                                            std::string("expected"));
    }
    DCC_ASSIGN(spec.arrives, layout("input", (*value)[0]));
    DCC_ASSIGN(spec.input, layout("input", (*value)[1]));
    return Status::success();
  }

  Result<StrategySpec> output(StrategySpec& spec) const {
    if (const nlohmann::json* value = at("output").find("output")) {
      DCC_ASSIGN(spec.output, layout("output", *value));
    }
    return spec;
  }

  const Document& document_;
  const nlohmann::json& object_;
};

}  // namespace

Result<StrategySpec> readStrategy(const Document& document, const nlohmann::json& object) {
  return Reader(document, object).read();
}

}  // namespace dcc::graph
