#include "compiler/ir_text.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace dcc {

// MLIR gives every location an alias, defined at the end: `loc(#loc7)` ... `#loc7 = loc("...")`. A
// reader wants the path beside the op, so aliases are replaced by what they stand for.
static std::string inlineLocations(StringRef text) {
  llvm::StringMap<std::string> aliases;
  auto expand = [&](StringRef line) {
    std::string out;
    while (true) {
      size_t at = line.find("#loc");
      if (at == StringRef::npos) return out + line.str();
      size_t end = line.find_first_not_of("0123456789", at + 4);
      auto known = aliases.find(line.slice(at, end));
      out += line.take_front(at);
      out += known == aliases.end() ? line.slice(at, end).str() : known->second;
      line = end == StringRef::npos ? StringRef() : line.substr(end);
    }
  };
  SmallVector<StringRef> lines, body;
  text.split(lines, '\n');
  for (StringRef line : lines) {
    auto [name, value] = line.split(" = loc(");
    if (line.starts_with("#loc") && value.ends_with(")")) {
      aliases[name] = expand(value.drop_back());
    } else {
      body.push_back(line);
    }
  }
  std::string out;
  out.reserve(text.size() * 2);
  for (StringRef line : body) out += expand(line) + "\n";
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

std::string printIr(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  module.print(os, OpPrintingFlags().enableDebugInfo(true, /*prettyForm=*/false));
  return inlineLocations(text);
}

}  // namespace dcc
