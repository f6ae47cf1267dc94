#include "passes/Strategy.h"

#include <list>

namespace dcc {
namespace {

constexpr std::string_view kSum = "all_reduce before the first non-linear use";

constexpr Strategy kColwise = {.name = "colwise",
                               .linear = 0,
                               .embedding = 1,
                               .vector = 0,
                               .takes = "whole",
                               .gives = "cut by features",
                               .collective = "none"};
constexpr Strategy kRowwise = {.name = "rowwise",
                               .linear = 1,
                               .embedding = 0,
                               .vector = {},
                               .takes = "cut by features (an embedding: token ids)",
                               .gives = "partial sum",
                               .collective = kSum};
constexpr Strategy kReplicate = {.name = "replicate",
                                 .linear = {},
                                 .embedding = {},
                                 .vector = {},
                                 .takes = "as it comes",
                                 .gives = "as it comes",
                                 .collective = "none"};

// ---- variants of the three above ---------------------------------------------------------------

constexpr Strategy named(std::string_view name, Strategy s) {
  s.name = name;
  return s;
}
constexpr Strategy gathered(std::string_view name) {
  Strategy s = named(name, kColwise);
  s.output = Layout::kWhole;
  s.gives = "whole";
  s.collective = "all_gather";
  return s;
}
constexpr Strategy sliced(std::string_view name) {
  Strategy s = named(name, kRowwise);
  s.arrives = Layout::kWhole;
  s.input = Layout::kFeatures;
  s.takes = "whole, sliced";
  return s;
}
constexpr Strategy packed(std::string_view name, Strategy s) {
  s.name = name;
  s.packed = true;
  s.embedding = {};
  return s;
}
constexpr Strategy ofEmbedding(std::string_view name, Strategy s) {
  s.name = name;
  s.linear = s.vector = std::nullopt;
  s.takes = "token ids";
  return s;
}
constexpr Strategy overTokens(std::string_view name) {
  Strategy s = named(name, kReplicate);
  s.arrives = Layout::kWhole;
  s.input = Layout::kTokens;
  s.output = Layout::kWhole;
  s.takes = "cut by tokens: a sum is scattered, a whole value sliced";
  s.gives = "cut by tokens, gathered for who needs it whole";
  s.collective = "reduce_scatter before, all_gather after";
  return s;
}
// `arrives`: what the ops inside must give.
constexpr Strategy ofModule(std::string_view name, Layout arrives, Layout output,
                            std::string_view gives, std::string_view collective) {
  Strategy s = named(name, kReplicate);
  s.of_module = true;
  s.arrives = arrives;
  s.output = output;
  s.gives = gives;
  s.collective = collective;
  return s;
}

constexpr Strategy kGroupedGemm = {.name = "grouped_gemm",
                                   .linear = {},
                                   .embedding = {},
                                   .vector = {},
                                   .experts = true,
                                   .takes = "whole, and the gates of its experts",
                                   .gives = "partial sum",
                                   .collective = kSum};

// What transformers 5 calls otherwise stands beside its older name. The local strategies are those
// of transformers 4 that leave collectives to the module above; here collectives follow from the
// placements, so that they mean the same as the others.
constexpr Strategy kStrategies[] = {
    kColwise,
    kRowwise,
    gathered("colwise_rep"),
    gathered("colwise_gather_output"),
    sliced("rowwise_rep"),
    sliced("rowwise_split_input"),
    packed("packed_colwise", kColwise),
    packed("packed_rowwise", kRowwise),
    named("local_colwise", kColwise),
    named("local_rowwise", kRowwise),
    packed("local_packed_rowwise", kRowwise),
    ofEmbedding("embedding_rowwise", kRowwise),
    ofEmbedding("embedding_colwise", kColwise),
    overTokens("sequence_parallel"),
    kReplicate,
    named("replicated_with_grad_allreduce", kReplicate),
    kGroupedGemm,
    named("ep_router", kReplicate),
    ofModule("ep_dispatch_experts", Layout::kAny, Layout::kAny, "partial sum", kSum),
    ofModule("moe_tp_experts", Layout::kAny, Layout::kAny, "partial sum", kSum),
    ofModule("moe_identity_expert", Layout::kAny, Layout::kAny, "as it comes", "none"),
    named("mla_kv_a_proj", kReplicate),
    named("local_params", kReplicate),
    ofModule("local", Layout::kAny, Layout::kAny, "as it comes", "none"),
    ofModule("gather", Layout::kAny, Layout::kWhole, "whole",
             "all_gather of what is cut, all_reduce of a sum"),
    ofModule("all_reduce", Layout::kWhole, Layout::kWhole, "whole", "all_reduce of a sum"),
};

// Strategies of libraries. They and their names live as long as the process.
struct Loaded {
  std::string name;
  std::unique_ptr<plugin::Strategy> library;
  Strategy strategy;
};
std::list<Loaded>& loaded() {
  static std::list<Loaded> all;
  return all;
}

// The plugin's header stands alone, so that it has the layouts again.
Layout layoutOf(plugin::Layout layout) {
  switch (layout) {
    case plugin::Layout::kWhole:
      return Layout::kWhole;
    case plugin::Layout::kFeatures:
      return Layout::kFeatures;
    case plugin::Layout::kTokens:
      return Layout::kTokens;
    case plugin::Layout::kAny:
      break;
  }
  return Layout::kAny;
}

}  // namespace

std::span<const Strategy> strategies() { return kStrategies; }

bool registerStrategy(const std::string& name, std::unique_ptr<plugin::Strategy> strategy) {
  if (findStrategy(name)) return false;
  Loaded& own = loaded().emplace_back(Loaded{name, std::move(strategy), {}});
  own.strategy.name = own.name;
  own.strategy.arrives = layoutOf(own.library->inputLayout());
  own.strategy.input = layoutOf(own.library->desiredInputLayout());
  own.strategy.output = layoutOf(own.library->outputLayout());
  own.strategy.library = own.library.get();
  return true;
}

const Strategy* findStrategy(std::string_view name) {
  for (const Strategy& strategy : kStrategies) {
    if (strategy.name == name) return &strategy;
  }
  for (const Loaded& own : loaded()) {
    if (own.name == name) return &own.strategy;
  }
  return nullptr;
}

std::string cutInWords(const Strategy& s) {
  if (s.experts) return "experts";
  std::string text = !s.linear ? "whole" : *s.linear == 0 ? "rows" : "columns";
  if (s.packed) text += " of each block";
  if (!s.linear && s.embedding) text.clear();
  if (!s.embedding) return text;
  return text + (text.empty() ? "" : "; ") +
         "embedding: " + (*s.embedding == 0 ? "vocabulary" : "features");
}

std::string strategyNames() {
  std::string names;
  for (const Strategy& strategy : kStrategies) {
    names += (names.empty() ? "" : ", ") + std::string(strategy.name);
  }
  return names;
}

}  // namespace dcc
