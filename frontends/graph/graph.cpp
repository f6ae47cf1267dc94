#include "frontends/graph/graph.h"

#include <algorithm>
#include <optional>
#include <ranges>

#include "runtime/base/nearest.h"

namespace dcc::graph {
namespace {

using nlohmann::json;

// Far above any model's; what a hostile file can make us hold stays small.
constexpr size_t kMostSteps = 20'000;
constexpr int64_t kMostRepeats = 10'000;
constexpr size_t kMostNames = 64;  // that one op gives

constexpr std::string_view kGraphKeys[] = {"vocab_size", "max_position_embeddings", "unused",
                                           "ops"};
constexpr std::string_view kGroupKeys[] = {"module", "repeat", "ops"};
constexpr std::string_view kOneOutput[] = {"op", "module", "inputs", "output", "shape"};
constexpr std::string_view kOutputs[] = {"op", "module", "inputs", "outputs"};

// Writes the list of ops and groups out, op by op, names unread.
class Writer {
 public:
  Writer(const Document& document, const std::vector<OpKind>& kinds, Graph& out)
      : document_(document), kinds_(kinds), out_(out) {
    for (const OpKind& kind : kinds) names_.push_back(kind.name);
  }

  // The ops under `owner`, whose module paths begin with `prefix`.
  Status ops(const json& owner, const std::string& prefix, std::shared_ptr<const Indices> indices) {
    JsonFields fields = document_.at(owner, "ops");
    DCC_ASSIGN(const json* list, fields.array("ops"));
    if (list->empty()) return fields.error("ops", "is empty; at least one op is expected");
    for (const json& item : *list) {
      if (!item.is_object()) {
        return userError(document_.where(item) + ": ops: holds " + std::string(jsonTypeName(item)) +
                         "; an op or a group is expected");
      }
      DCC_RETURN_IF_ERROR(item.contains("ops") ? group(item, prefix, indices)
                                               : op(item, prefix, indices));
    }
    return Status::success();
  }

 private:
  Status group(const json& object, const std::string& prefix,
               std::shared_ptr<const Indices> indices) {
    DCC_RETURN_IF_ERROR(document_.knownKeys(object, kGroupKeys));
    JsonFields fields = document_.at(object, "repeat");
    if (!fields.has("repeat")) {
      DCC_ASSIGN(std::string module, modulePath(object, prefix, *indices));
      return ops(object, module, indices);
    }
    DCC_ASSIGN(JsonFields repeat, fields.object("repeat"));
    if (repeat.value().size() != 1) {
      return fields.error("repeat", "is one index and how often: {\"i\": 6}");
    }
    const std::string& index = repeat.value().begin().key();
    JsonFields count = document_.at(repeat.value(), index);
    if (index.size() > 20 || index.empty() ||
        !std::ranges::all_of(index, [](unsigned char c) { return std::islower(c) || c == '_'; })) {
      return count.error(inQuotes(index), "is no index; small letters are expected, {\"i\": 6}");
    }
    if (indices->contains(index)) {
      return count.error(index, "is the index of a repeat around this one; another is expected");
    }
    DCC_ASSIGN(int64_t times, count.integer(index, 1, kMostRepeats));
    for (int64_t i = 0; i < times; ++i) {
      auto inner = std::make_shared<Indices>(*indices);
      (*inner)[index] = i;
      DCC_ASSIGN(std::string module, modulePath(object, prefix, *inner));
      DCC_RETURN_IF_ERROR(ops(object, module, inner));
    }
    return Status::success();
  }

  Status op(const json& object, const std::string& prefix, std::shared_ptr<const Indices> indices) {
    JsonFields fields = document_.at(object, "op");
    DCC_ASSIGN(std::string name, fields.string("op"));
    auto kind = std::ranges::find(kinds_, name, &OpKind::name);
    if (kind == kinds_.end()) {
      return fields.error("op", inQuotes(name) + " is no op; did you mean \"" +
                                    nearestName(name.substr(0, kLongestName), names_) + "\"?");
    }
    std::vector<std::string_view> keys(kind->keys);
    std::ranges::copy(commonOpKeys(*kind), std::back_inserter(keys));
    DCC_RETURN_IF_ERROR(document_.knownKeys(object, keys));
    if (out_.steps.size() == kMostSteps) {
      return fields.error("op", "is one too many; at most " + std::to_string(kMostSteps) +
                                    " ops are expected, repeats written out");
    }
    Step step{.kind = &*kind, .object = &object, .indices = indices};
    DCC_ASSIGN(step.module, modulePath(object, prefix, *indices));
    if (step.module.empty()) step.module = name;
    if (!kind->inputs.empty() || fields.has("inputs")) {
      DCC_ASSIGN(step.input_names, nameList(object, "inputs", *indices));
    }
    if (step.input_names.size() != kind->inputs.size()) return wrongInputs(object, *kind);
    if (kind->several) {
      DCC_ASSIGN(step.output_names, nameList(object, "outputs", *indices));
    } else {
      DCC_ASSIGN(std::string output, nameAt(object, "output", step.module, *indices));
      step.output_names.push_back(std::move(output));
    }
    out_.steps.push_back(std::move(step));
    return Status::success();
  }

  Error wrongInputs(const json& object, const OpKind& kind) {
    std::string wanted;
    for (std::string_view input : kind.inputs) {
      wanted += (wanted.empty() ? "" : ", ") + std::string(input);
    }
    return document_.at(object, "inputs")
        .error("inputs", std::string(kind.name) + " reads " + std::to_string(kind.inputs.size()) +
                             ": [" + wanted + "]; as many names are expected");
  }

  // The object's own module inside `prefix`, or `prefix` where it names none.
  Result<std::string> modulePath(const json& object, const std::string& prefix,
                                 const Indices& indices) {
    if (!document_.at(object, "module").has("module")) return prefix;
    DCC_ASSIGN(std::string own, nameAt(object, "module", "", indices));
    std::string path = prefix.empty() ? own : prefix + "." + own;
    return checked(document_.at(object, "module"), "module", path, indices);
  }

  Result<std::string> nameAt(const json& object, std::string_view key, std::string otherwise,
                             const Indices& indices) {
    JsonFields fields = document_.at(object, key);
    DCC_ASSIGN(std::string text, fields.stringOr(key, std::move(otherwise)));
    return checked(fields, key, text, indices);
  }

  Result<std::vector<std::string>> nameList(const json& object, std::string_view key,
                                            const Indices& indices) {
    DCC_ASSIGN(const json* list, document_.at(object, key).array(key));
    std::vector<std::string> names;
    if (list->size() > kMostNames) {
      return document_.at(object, key)
          .error(key, "holds " + std::to_string(list->size()) + " names; at most " +
                          std::to_string(kMostNames) + " are expected");
    }
    for (const json& item : *list) {
      JsonFields fields = *JsonFields::of(object, document_.where(item));
      if (!item.is_string()) {
        return fields.error(
            key, "holds " + std::string(jsonTypeName(item)) + "; names of results are expected");
      }
      DCC_ASSIGN(std::string name,
                 checked(fields, key, item.get_ref<const std::string&>(), indices));
      names.push_back(std::move(name));
    }
    return names;
  }

  Result<std::string> checked(const JsonFields& fields, std::string_view key,
                              const std::string& text, const Indices& indices) {
    Result<std::string> name = expandName(text, indices);
    if (!name.ok()) return fields.error(key, name.error().message);
    return name;
  }

  const Document& document_;
  const std::vector<OpKind>& kinds_;
  Graph& out_;
  std::vector<std::string_view> names_;  // of kinds_
};

Status readUnused(const Document& document, Graph& out) {
  JsonFields fields = document.at(*out.object, "unused");
  if (!fields.has("unused")) return Status::success();
  DCC_ASSIGN(const json* list, fields.array("unused"));
  for (const json& item : *list) {
    if (!item.is_string() || item.get_ref<const std::string&>().size() > kLongestName) {
      return userError(document.where(item) +
                       ": unused: names of tensors are expected, * for a number");
    }
    out.unused.push_back(item.get<std::string>());
  }
  return Status::success();
}

}  // namespace

std::span<const std::string_view> graphKeys() { return kGraphKeys; }
std::span<const std::string_view> groupKeys() { return kGroupKeys; }
std::span<const std::string_view> commonOpKeys(const OpKind& kind) {
  if (kind.several) return kOutputs;
  return kOneOutput;
}

Result<Graph> readGraph(DocumentPtr pointer, const std::vector<OpKind>& kinds) {
  const Document& document = *pointer;
  DCC_ASSIGN(JsonFields graph, document.at(document.root(), "graph").object("graph"));
  DCC_RETURN_IF_ERROR(document.knownKeys(graph.value(), kGraphKeys));
  Graph out;
  out.document = pointer;
  out.object = &graph.value();
  DCC_ASSIGN(out.vocab_size,
             document.at(*out.object, "vocab_size").integer("vocab_size", 1, kMostColumns));
  DCC_ASSIGN(out.max_position_embeddings, document.at(*out.object, "max_position_embeddings")
                                              .integer("max_position_embeddings", 1, INT32_MAX));
  DCC_RETURN_IF_ERROR(readUnused(document, out));
  Writer writer(document, kinds, out);
  DCC_RETURN_IF_ERROR(writer.ops(*out.object, "", std::make_shared<Indices>()));
  DCC_RETURN_IF_ERROR(wire(out));
  return out;
}

}  // namespace dcc::graph
