// The graph of a model.json is written out and wired, or refused in one line that names the file.
#include <cstdint>
#include <cstdlib>

#include "frontends/graph/graph.h"

using namespace dcc::graph;

// Names and inputs of the real table, which needs MLIR to build.
static const std::vector<OpKind>& kinds() {
  static const std::vector<OpKind> kKinds = {
      {"embedding", {"tokens"}, {"weight"}, nullptr},
      {"linear", {"x"}, {"weight", "bias"}, nullptr},
      {"rms_norm", {"x"}, {"eps", "weight"}, nullptr},
      {"frequencies", {}, {"rotary_dim", "rope_parameters"}, nullptr},
      {"rope", {"x", "frequencies"}, {"head_dim", "interleaved"}, nullptr, true},
      {"attention", {"q", "k", "v"}, {"head_dim", "scale", "window"}, nullptr},
      {"add", {"x", "y"}, {}, nullptr, true},
      {"split", {"x"}, {"sizes"}, nullptr, false, true},
      {"last_token", {"x"}, {}, nullptr},
  };
  return kKinds;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dcc::Result<DocumentPtr> document =
      Document::parse({reinterpret_cast<const char*>(data), size}, "model.json");
  if (!document.ok()) return 0;
  dcc::Result<Graph> graph = readGraph(*document, kinds());
  if (!graph.ok()) {
    const std::string& message = graph.error().message;
    if (!message.starts_with("model.json") || message.find('\n') != message.npos) std::abort();
    return 0;
  }
  for (const Step& step : graph->steps) {
    if (step.inputs.size() != step.kind->inputs.size()) std::abort();
    for (size_t value : step.inputs) {
      // Nothing is read before it is given.
      if (value != Graph::kTokens && graph->steps.data() + graph->values.at(value).step >= &step) {
        std::abort();
      }
    }
  }
  if (graph->values.at(graph->result()).step + 1 != graph->steps.size()) std::abort();
  return 0;
}
