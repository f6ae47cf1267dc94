// A strategy declared in a tp_plan, where a name of one could stand:
//
//   {"name": "colwise_custom", "weight": 0, "bias": 0,
//    "input": "Replicate", "output": "Shard(-1)"}
//
// `weight`, `bias`: the dimension of the tensor that is cut, null (the default) for none; "packed":
// true cuts every block of it. `input`, `output`: a placement in transformers' words, of a value
// [tokens, features]: "Replicate", "Shard(-1)" or "Shard(1)" (features), "Shard(0)" (tokens).
// An input may say from what to what it is brought: ["Replicate", "Shard(-1)"]; a single placement
// is what must arrive. Without them what follows from the cut and the input.
#pragma once

#include "frontends/graph/document.h"
#include "frontends/strategy_spec.h"

namespace dcc::graph {

// Of an object in the document. Without "name" its own text is the name. Errors (user) name line
// and key.
Result<StrategySpec> readStrategy(const Document& document, const nlohmann::json& object);

}  // namespace dcc::graph
