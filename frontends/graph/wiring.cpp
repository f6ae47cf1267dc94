// Which result an op reads by a name.
#include <algorithm>
#include <ranges>

#include "frontends/graph/graph.h"
#include "runtime/base/nearest.h"

namespace dcc::graph {
namespace {

constexpr std::string_view kNobody = "_";  // a result that nobody reads

// Gives every name a value. A name may be given again, as `x = x + y` does, once it has been read.
class Wiring {
 public:
  explicit Wiring(Graph& out) : document_(*out.document), out_(out) {}

  Status run() {
    out_.values.push_back({"tokens", 0, {}});
    current_["tokens"] = Graph::kTokens;
    for (size_t i = 0; i < out_.steps.size(); ++i) {
      for (const std::string& name : out_.steps[i].input_names) DCC_RETURN_IF_ERROR(read(i, name));
      for (const std::string& name : out_.steps[i].output_names) DCC_RETURN_IF_ERROR(give(i, name));
    }
    const Step& last = out_.steps.back();
    if (last.outputs.size() != 1) {
      return userError(document_.where(*last.object) + ": outputs: the last op gives the logits; " +
                       "one result is expected of it");
    }
    // Without an embedding that reads the tokens the ops say so themselves.
    for (const GraphValue& value : std::span(out_.values).subspan(Graph::kTokens + 1)) {
      if (!value.readers.empty() || value.name == kNobody || &value == &out_.values[out_.result()])
        continue;
      return unread(value, "");
    }
    return Status::success();
  }

 private:
  Status read(size_t step, const std::string& name) {
    auto value = current_.find(name);
    if (value == current_.end()) return unknown(step, name);
    out_.steps[step].inputs.push_back(value->second);
    out_.values[value->second].readers.push_back(step);
    return Status::success();
  }

  Status give(size_t step, const std::string& name) {
    JsonFields fields = document_.at(*out_.steps[step].object, outputKey(step));
    if (name == "tokens") {
      return fields.error(outputKey(step), "\"tokens\" are the step's; another name is expected");
    }
    if (auto old = current_.find(name); old != current_.end()) {
      const GraphValue& value = out_.values[old->second];
      if (value.readers.empty()) {
        return unread(value, " before it is given again, " + lineOf(step));
      }
    }
    if (name != kNobody) current_[name] = out_.values.size();
    out_.steps[step].outputs.push_back(out_.values.size());
    out_.values.push_back({name, step, {}});
    return Status::success();
  }

  Error unknown(size_t step, const std::string& name) {
    JsonFields fields = document_.at(*out_.steps[step].object, "inputs");
    for (size_t later = step; later < out_.steps.size(); ++later) {
      if (name == kNobody || !std::ranges::count(out_.steps[later].output_names, name)) continue;
      return fields.error("inputs", inQuotes(name) + " is given only " + lineOf(later) +
                                        "; ops stand in the order in which they run");
    }
    return fields.error("inputs", inQuotes(name) + " is no result so far; did you mean \"" +
                                      nearestName(name, std::views::keys(current_)) + "\"?");
  }

  Error unread(const GraphValue& value, const std::string& when) {
    return document_.at(*out_.steps[value.step].object, outputKey(value.step))
        .error(outputKey(value.step), "nobody reads " + inQuotes(value.name) + when +
                                          "; read it, leave the op out, or call it \"_\"");
  }

  std::string_view outputKey(size_t step) {
    return out_.steps[step].kind->several ? "outputs" : "output";
  }
  // "in line 12"
  std::string lineOf(size_t step) {
    std::string where = document_.where(*out_.steps[step].object);
    return "in line " + where.substr(where.rfind(':') + 1);
  }

  const Document& document_;
  Graph& out_;
  std::map<std::string, size_t, std::less<>> current_;
};

}  // namespace

Status wire(Graph& graph) { return Wiring(graph).run(); }

}  // namespace dcc::graph
