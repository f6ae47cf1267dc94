#include "compiler/rewrites.h"

#include "passes/Passes.h"
#include "runtime/base/nearest.h"
#include "runtime/base/printable.h"

using namespace mlir;

namespace dcc {
namespace {

struct Rewrite {
  const char* name;
  bool on;                                   // unless chosen otherwise
  void (*add)(OpPassManager&, bool chosen);  // chosen: the user said on
  bool moves_sums = false;                   // so that they are others at other degrees
};

// experts-all-to-all is done where it saves bytes, or, chosen, everywhere. norms-by-tokens costs
// what it saves in bytes, and divides the norms' work; it waits for a target where that is worth
// its second exchange.
constexpr Rewrite kRewrites[] = {
    {"experts-all-to-all", true,
     [](OpPassManager& pm, bool chosen) {
       ChooseExchangeOptions options;
       options.always = chosen;
       pm.addPass(createChooseExchange(options));
     },
     true},
    {"norms-by-tokens", false,
     [](OpPassManager& pm, bool) {
       ResidualByTokensOptions options;
       options.norms = true;
       pm.addPass(createResidualByTokens(options));
     }},
    {"residual-by-tokens", true,
     [](OpPassManager& pm, bool) { pm.addPass(createResidualByTokens()); }},
    {"merge-all-reduces", true,
     [](OpPassManager& pm, bool) { pm.addPass(createMergeAllReduces()); }, true},
    {"cancel-gathers", true, [](OpPassManager& pm, bool) { pm.addPass(createCancelGathers()); }},
    {"merge-duplicates", true,
     [](OpPassManager& pm, bool) { pm.addPass(createMergeDuplicates()); }},
};

}  // namespace

Status chooseRewrites(ModuleOp module, const std::vector<std::string>& choices) {
  NamedAttrList chosen;
  for (const std::string& choice : choices) {
    const size_t equals = choice.find('=');
    const std::string name = choice.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : choice.substr(equals + 1);
    std::vector<std::string_view> names;
    for (const Rewrite& rewrite : kRewrites) names.push_back(rewrite.name);
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return userError("--rewrite " + printable(choice) + ": there is no rewrite '" +
                       printable(name) + "'; did you mean '" + nearestName(name, names) + "'?");
    }
    if (value != "on" && value != "off") {
      return userError("--rewrite " + printable(choice) + ": " + name + "=on or " + name +
                       "=off is right");
    }
    const Rewrite& rewrite = *std::find_if(std::begin(kRewrites), std::end(kRewrites),
                                           [&](const Rewrite& r) { return r.name == name; });
    if (value == "on" && rewrite.moves_sums && nn::isInvariant(module)) {
      return userError("--rewrite " + choice +
                       ": adds in another order than one rank alone, so that " +
                       "--numerics invariant can't have it; leave one of them out");
    }
    chosen.set(name, BoolAttr::get(module.getContext(), value == "on"));
  }
  if (!choices.empty()) {
    module->setAttr("nn.rewrites", chosen.getDictionary(module.getContext()));
  }
  return Status::success();
}

void addRewrites(OpPassManager& pm, ModuleOp module) {
  auto chosen = module->getAttrOfType<DictionaryAttr>("nn.rewrites");
  for (const Rewrite& rewrite : kRewrites) {
    if (rewrite.moves_sums && nn::isInvariant(module)) continue;
    auto choice = chosen ? chosen.getAs<BoolAttr>(rewrite.name) : BoolAttr();
    if (choice ? choice.getValue() : rewrite.on) rewrite.add(pm, choice != nullptr);
  }
  // Last: the others know nothing of tokens that don't travel.
  pm.addPass(createExchangeExperts());
}

}  // namespace dcc
