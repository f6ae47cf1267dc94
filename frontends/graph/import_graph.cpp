#include "frontends/graph/import_graph.h"

#include <algorithm>
#include <ranges>

#include "frontends/graph/ops.h"
#include "runtime/base/nearest.h"
#include "runtime/base/printable.h"

namespace dcc::graph {
namespace {

using huggingface::Checkpoint;
using huggingface::DummyWeights;
using huggingface::ModelBuilder;
using huggingface::TensorSource;
using mlir::Value;

// Finds the linears whose columns are heads: walks back from what attention reads.
class HeadFinder {
 public:
  explicit HeadFinder(Building& building) : building_(building) {}

  Status run() {
    for (const Step& step : building_.graph.steps) {
      if (step.kind->name != "attention") continue;
      const Document& document = *building_.graph.document;
      DCC_ASSIGN(int64_t head_dim,
                 document.at(*step.object, "head_dim").integer("head_dim", 1, INT32_MAX));
      for (size_t i = 0; i < step.inputs.size(); ++i) {
        mark(step.inputs[i], {head_dim, /*shared=*/i > 0});
      }
    }
    return Status::success();
  }

 private:
  void mark(size_t value, const Heads& heads) {
    std::vector<size_t> open{value};
    while (!open.empty()) {
      value = open.back();
      open.pop_back();
      if (value == Graph::kTokens || !seen_.emplace(value, heads.shared).second) {
        continue;
      }
      const size_t index = building_.graph.values[value].step;
      const Step& step = building_.graph.steps[index];
      if (step.kind->name == "linear") {
        auto [known, added] = building_.heads.try_emplace(index, heads);
        known->second.shared &= heads.shared;
      } else if (step.kind->keeps_columns) {
        open.insert(open.end(), step.inputs.begin(), step.inputs.end());
      }
    }
  }

  Building& building_;
  std::set<std::pair<size_t, bool>> seen_;  // values, and as what
};

class GraphModel : public huggingface::CausalModel {
 public:
  explicit GraphModel(Building& building) : building_(building) {}

  std::string size() const override {
    return std::to_string(building_.graph.steps.size()) + " ops";
  }
  int64_t vocabulary() const override { return building_.graph.vocab_size; }
  int64_t maxSequence() const override { return building_.graph.max_position_embeddings; }

  Result<Value> logits(ModelBuilder& builder) const override {
    const Graph& graph = building_.graph;
    std::vector<Built> values(graph.values.size());
    values[Graph::kTokens].tensor = builder.tokens();
    for (size_t i = 0; i < graph.steps.size(); ++i) {
      OpCall call(builder, building_, values, i);
      DCC_RETURN_IF_ERROR(graph.steps[i].kind->build(call));
      DCC_RETURN_IF_ERROR(builder.status());
    }
    Value result = values[graph.result()].tensor;
    // In prefill.
    const std::string expected = "[B, " + std::to_string(graph.vocab_size) + "]";
    if (builder.lastOnly() && (!result || shapeText(result) != expected)) {
      const nlohmann::json& last = *graph.steps.back().object;
      return graph.document->at(last, "op")
          .error("op",
                 "the last op gives " + (result ? shapeText(result) : "frequencies") +
                     "; logits of shape " + expected +
                     " are expected, B the sequences: vocab_size columns, and a last_token before");
    }
    return result;
  }

 private:
  Building& building_;
};

// "model.layers.3.mlp" -> "model.layers.*.mlp"
std::string generalize(std::string_view name) {
  std::string out;
  for (auto part : std::views::split(name, '.')) {
    std::string_view text(part.begin(), part.end());
    const bool number =
        !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c); });
    out += (out.empty() ? "" : ".") + (number ? "*" : std::string(text));
  }
  return out;
}

// What no op reads is likely something forgotten, a bias say, and the numbers would be wrong
// without a word.
Status checkUnused(const Building& building) {
  const Graph& graph = building.graph;
  JsonFields unused = graph.document->at(*graph.object, "unused");
  std::string first;
  size_t count = 0;
  std::set<std::string_view> matched;
  for (const std::string& name : std::views::keys(building.checkpoint->tensors())) {
    if (building.symbols.contains(name)) continue;
    auto pattern = std::ranges::find_if(graph.unused, [&](const std::string& candidate) {
      return candidate == name || candidate == generalize(name);
    });
    if (pattern != graph.unused.end()) {
      matched.insert(*pattern);
    } else if (count++ == 0) {
      first = name;
    }
  }
  if (count > 0) {
    return unused.error(
        "unused", "no op reads tensor \"" + printable(first) + "\"" +
                      (count > 1 ? " (and " + std::to_string(count - 1) + " more)" : "") + " of " +
                      building.directory + "; read it, or list it here, \"" +
                      printable(generalize(first)) + "\"");
  }
  for (const std::string& pattern : graph.unused) {
    if (matched.contains(pattern)) continue;
    return unused.error("unused", "\"" + printable(pattern) +
                                      "\" is no tensor that the ops leave over; take it out");
  }
  return Status::success();
}

}  // namespace

Result<mlir::OwningOpRef<mlir::ModuleOp>> importGraph(mlir::MLIRContext& context,
                                                      const ModelJson& file,
                                                      const huggingface::ImportOptions& options) {
  DCC_ASSIGN(Graph graph, readGraph(file.document, opKinds()));
  Building building{graph, nullptr, options.directory, {}, {}};
  for (const char* entry : huggingface::kEntries) building.symbols.try_emplace(entry);
  DCC_RETURN_IF_ERROR(HeadFinder(building).run());

  std::optional<Checkpoint> checkpoint;
  std::optional<DummyWeights> dummy;
  if (options.dummy_seed) {
    dummy.emplace(file.path, options.compute.value_or(DType::kF32), *options.dummy_seed);
  } else {
    DCC_ASSIGN(checkpoint, Checkpoint::open(options.directory));
    building.checkpoint = &*checkpoint;
  }
  TensorSource& tensors = dummy ? static_cast<TensorSource&>(*dummy) : *checkpoint;
  GraphModel model(building);
  DCC_ASSIGN(mlir::OwningOpRef<mlir::ModuleOp> module,
             huggingface::buildModule(context, model, tensors, {.file = file.path, .name = "graph"},
                                      options));
  if (checkpoint) DCC_RETURN_IF_ERROR(checkUnused(building));
  return module;
}

}  // namespace dcc::graph
