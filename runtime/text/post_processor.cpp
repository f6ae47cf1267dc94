#include "runtime/text/post_processor.h"

#include <algorithm>

#include "runtime/text/limits.h"
#include "runtime/text/oniguruma.h"

namespace dcc::text {
namespace {

Result<int32_t> readId(const nlohmann::json& json, const JsonFields& spec, std::string_view key) {
  if (!json.is_number_unsigned() || json.get<uint64_t>() > INT32_MAX) {
    return spec.error(key, "has an id that is no token id; an integer from 0 is expected");
  }
  return static_cast<int32_t>(json.get<uint64_t>());
}

// ["[SEP]", 102]
Result<int32_t> readPair(const JsonFields& spec, std::string_view key) {
  DCC_ASSIGN(const nlohmann::json* pair, spec.array(key));
  if (pair->size() != 2) return spec.error(key, "has no id; [token, id] is expected");
  return readId((*pair)[1], spec, key);
}

}  // namespace

Result<PostProcessor> PostProcessor::read(const nlohmann::json& spec, const std::string& where) {
  PostProcessor processor;
  DCC_RETURN_IF_ERROR(processor.addStep(spec, where));
  DCC_RETURN_IF_ERROR(checkSteps(where, processor.steps_.size()));
  return processor;
}

Status PostProcessor::addStep(const nlohmann::json& json, const std::string& where) {
  DCC_ASSIGN(const JsonFields spec, JsonFields::of(json, where));
  DCC_ASSIGN(const std::string type, spec.string("type"));
  if (type == "Sequence") {
    DCC_ASSIGN(const nlohmann::json* list, spec.array("processors"));
    for (size_t i = 0; i < list->size(); ++i) {
      DCC_RETURN_IF_ERROR(addStep((*list)[i], where + "[" + std::to_string(i) + "]"));
    }
    return Status::success();
  }
  if (type == "ByteLevel") return Status::success();  // concerns offsets only
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    DCC_ASSIGN(const int32_t first, readPair(spec, "cls"));
    DCC_ASSIGN(const int32_t last, readPair(spec, "sep"));
    steps_.push_back({{false, {first}}, {true, {}}, {false, {last}}});
    return Status::success();
  }
  if (type == "TemplateProcessing") {
    DCC_ASSIGN(std::vector<Part> parts, readTemplate(spec));
    steps_.push_back(std::move(parts));
    return Status::success();
  }
  return spec.error("type", "is \"" + oneLine(type) +
                                "\", which is not supported; Sequence, ByteLevel, "
                                "TemplateProcessing, BertProcessing or RobertaProcessing is "
                                "expected");
}

// "single" is a list of {"Sequence": {"id": "A"}} and {"SpecialToken": {"id": NAME}}; the names are
// keys of "special_tokens", whose values list ids.
Result<std::vector<PostProcessor::Part>> PostProcessor::readTemplate(const JsonFields& spec) {
  DCC_ASSIGN(const nlohmann::json* list, spec.array("single"));
  std::vector<Part> parts;
  bool has_text = false;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string here = spec.where() + ": single[" + std::to_string(i) + "]";
    DCC_ASSIGN(const JsonFields piece, JsonFields::of((*list)[i], here));
    if (piece.has("Sequence")) {
      if (has_text) return userError(here + ": names the text again; once is expected");
      has_text = true;
      DCC_ASSIGN(const JsonFields sequence, piece.object("Sequence"));
      DCC_ASSIGN(const std::string id, sequence.string("id"));
      if (id != "A") return sequence.error("id", "is \"" + oneLine(id) + "\"; \"A\" is expected");
      parts.push_back({true, {}});
      continue;
    }
    DCC_ASSIGN(const JsonFields special, piece.object("SpecialToken"));
    DCC_ASSIGN(const std::string name, special.string("id"));
    DCC_ASSIGN(const JsonFields all, spec.object("special_tokens"));
    DCC_ASSIGN(const JsonFields token, all.object(name));
    DCC_ASSIGN(const nlohmann::json* ids, token.array("ids"));
    Part part{false, {}};
    for (const nlohmann::json& json : *ids) {
      DCC_ASSIGN(const int32_t id, readId(json, token, "ids"));
      part.ids.push_back(id);
    }
    parts.push_back(std::move(part));
  }
  if (!has_text) return spec.error("single", "does not name the text; \"A\" is expected once");
  return parts;
}

int32_t PostProcessor::highestId() const {
  int32_t highest = -1;
  for (const std::vector<Part>& step : steps_) {
    for (const Part& part : step) {
      for (const int32_t id : part.ids) highest = std::max(highest, id);
    }
  }
  return highest;
}

std::vector<int32_t> PostProcessor::apply(std::vector<int32_t> ids, bool special) const {
  for (const std::vector<Part>& step : steps_) {
    std::vector<int32_t> out;
    out.reserve(ids.size() + step.size());
    for (const Part& part : step) {
      if (!part.text && !special) continue;
      const std::vector<int32_t>& from = part.text ? ids : part.ids;
      out.insert(out.end(), from.begin(), from.end());
    }
    ids = std::move(out);
  }
  return ids;
}

}  // namespace dcc::text
