// Parser of factor rules. They are constants of our own op definitions, so a malformed one is a
// bug.
#include "dialects/nn/NN.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

#include "dialects/nn/FactorRule.cpp.inc"

namespace dcc::nn {

static std::vector<std::vector<FactorDim>> parseShapes(StringRef text) {
  std::vector<std::vector<FactorDim>> shapes;
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    std::vector<FactorDim> dims;
    for (part = part.trim(); !part.empty(); part = part.ltrim()) {
      if (part.consume_front("(")) {
        dims.push_back({part[0], part[2]});
        part = part.drop_front(4);  // "h d)"
      } else {
        dims.push_back({part[0], 0});
        part = part.drop_front(1);
      }
    }
    shapes.push_back(std::move(dims));
  }
  return shapes;
}

FactorRule FactorRule::parse(StringRef text) {
  FactorRule rule;
  SmallVector<StringRef> clauses;
  text.split(clauses, ';');
  auto [operands, results] = clauses[0].split("->");
  rule.operands = parseShapes(operands);
  rule.results = parseShapes(results);
  for (StringRef clause : ArrayRef(clauses).drop_front()) {
    SmallVector<StringRef> words;
    clause.trim().split(words, ' ', -1, /*KeepEmpty=*/false);
    if (words[1] == "=") {
      rule.covering = words[0][0];
      rule.covered = words[2][0];
      continue;
    }
    for (StringRef word : ArrayRef(words).drop_front()) {
      if (words[0] == "reduce") rule.reduced += word[0];
      if (words[0] == "whole") rule.whole += word[0];
      if (words[0] == "linear") rule.linear.push_back(word[0] - '0');
    }
  }
  return rule;
}

StringRef moduleOf(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc)) return name.getName();
  if (auto fused = dyn_cast<FusedLoc>(loc)) return moduleOf(fused.getLocations().front());
  return "";
}

StringRef moduleOf(Operation* op) { return moduleOf(op->getLoc()); }

bool isInvariant(Operation* op) {
  auto module = isa<ModuleOp>(op) ? cast<ModuleOp>(op) : op->getParentOfType<ModuleOp>();
  auto numerics = module->getAttrOfType<StringAttr>("nn.numerics");
  return numerics && numerics.getValue() == "invariant";
}

}  // namespace dcc::nn
