#include <algorithm>
#include <cmath>
#include <ranges>

#include "frontends/graph/ops.h"
#include "runtime/base/nearest.h"
#include "runtime/base/printable.h"
#include "runtime/plan/kernels.h"

namespace dcc::graph {
namespace {

using huggingface::CheckpointTensor;
using huggingface::ModelBuilder;
using mlir::Value;
using nlohmann::json;

nn::TensorType typeOf(Value value) { return mlir::cast<nn::TensorType>(value.getType()); }

// As in a model.json: named sizes are strings there.
std::string sizeText(mlir::Attribute size) {
  if (auto name = mlir::dyn_cast<mlir::StringAttr>(size)) return name.str();
  return std::to_string(mlir::cast<mlir::IntegerAttr>(size).getInt());
}

std::string wantedText(const std::vector<std::optional<int64_t>>& shape) {
  std::string text = "[";
  for (std::optional<int64_t> size : shape) {
    text += (text.size() > 1 ? ", " : "") + (size ? std::to_string(*size) : "n");
  }
  return text + "]";
}

}  // namespace

std::string shapeText(Value value) {
  std::string text = "[";
  for (mlir::Attribute size : typeOf(value).getDims()) {
    text += (text.size() > 1 ? ", " : "") + sizeText(size);
  }
  return text + "]";
}

OpCall::OpCall(ModelBuilder& builder, Building& building, std::vector<Built>& values, size_t step)
    : builder(builder),
      building_(building),
      document_(*building.graph.document),
      step_(building.graph.steps[step]),
      values_(values) {}

// ---- what it reads -----------------------------------------------------------------------------

Error OpCall::inputError(size_t i, std::string_view what) const {
  return at("inputs").error("inputs", inQuotes(step_.input_names[i]) + " " + std::string(what));
}

Result<Value> OpCall::tensor(size_t i) const {
  const Built& input = values_[step_.inputs[i]];
  if (!input.tensor) {
    return inputError(i, "are rotary frequencies; a tensor is expected for " +
                             std::string(step_.kind->inputs[i]));
  }
  if (typeOf(input.tensor).rank() != 2) {
    return inputError(i, "are ids of shape [T]; what has columns is expected for " +
                             std::string(step_.kind->inputs[i]));
  }
  return input.tensor;
}

Result<Value> OpCall::tokenRows(size_t i) const {
  DCC_ASSIGN(Value x, tensor(i));
  if (x && sizeText(typeOf(x).getDims()[0]) != "T") {
    return inputError(i, "has shape " + shapeText(x) + "; every token's row is expected, so that " +
                             std::string(step_.kind->name) + " stands before last_token");
  }
  return x;
}

Result<Frequencies> OpCall::frequencies(size_t i) const {
  const Built& input = values_[step_.inputs[i]];
  if (!input.tensor) return input.frequencies;
  return inputError(i, "is a tensor; the result of an op frequencies is expected");
}

Status OpCall::checkIds(size_t i) const {
  if (step_.inputs[i] == Graph::kTokens) return Status::success();
  return inputError(i, "are no ids; \"tokens\", the step's, are expected");
}

Status OpCall::checkSame(Value x, Value y) const {
  if (typeOf(x).getDims() == typeOf(y).getDims()) return Status::success();
  return at("inputs").error("inputs", "have shapes " + shapeText(x) + " and " + shapeText(y) +
                                          "; the same shape is expected");
}

Status OpCall::checkHeads(size_t i, Value x, int64_t head_dim) const {
  if (ModelBuilder::columns(x) % head_dim == 0) return Status::success();
  return inputError(i, "has " + std::to_string(ModelBuilder::columns(x)) +
                           " columns; whole heads of head_dim " + std::to_string(head_dim) +
                           " are expected");
}

// ---- keys --------------------------------------------------------------------------------------

Result<int64_t> OpCall::integer(std::string_view key) const {
  return at(key).integer(key, 1, key == "window" || key == "chunk" ? INT32_MAX : kMostColumns);
}

Result<double> OpCall::positive(std::string_view key) const {
  DCC_ASSIGN(double number, at(key).number(key));
  if (number > 0 && std::isfinite(number)) return number;
  return at(key).error(key, "is " + json(number).dump() + "; a number above 0 is expected");
}

Result<bool> OpCall::flag(std::string_view key) const { return at(key).booleanOr(key, false); }

Result<std::string> OpCall::activation(std::string_view key) const {
  DCC_ASSIGN(std::string name, at(key).string(key));
  if (plan::functionNamed(name)) return name;
  return at(key).error(key, inQuotes(name) + " is no function; " + plan::functionNames() + " are");
}

Result<std::vector<int64_t>> OpCall::sizes(std::string_view key) const {
  DCC_ASSIGN(const json* list, at(key).array(key));
  if (list->size() != step_.outputs.size()) {
    return at(key).error(key, "are " + std::to_string(list->size()) + "; as many as outputs, " +
                                  std::to_string(step_.outputs.size()) + ", are expected");
  }
  std::vector<int64_t> sizes;
  for (const json& item : *list) {
    // One field, so that the integer is read as others are.
    const json field{{key, item}};
    DCC_ASSIGN(JsonFields fields, JsonFields::of(field, document_.where(item)));
    DCC_ASSIGN(int64_t size, fields.integer(key, 1, kMostColumns));
    sizes.push_back(size);
  }
  return sizes;
}

// ---- weights -----------------------------------------------------------------------------------

Result<OpCall::Weight> OpCall::weight(std::string_view key,
                                      std::vector<std::optional<int64_t>> shape) const {
  Weight out{step_.module + "." + std::string(key), {}};
  if (const json* given = at(key).find(key); given && !given->is_boolean()) {
    DCC_ASSIGN(std::string text, at(key).string(key));
    Result<std::string> name = expandName(text, *step_.indices);
    if (!name.ok()) return at(key).error(key, name.error().message);
    out.tensor = *name;
  }
  const CheckpointTensor* stored = nullptr;
  if (building_.checkpoint) {
    stored = building_.checkpoint->find(out.tensor);
    if (!stored) {
      return at(key).error(
          key, "tensor " + inQuotes(out.tensor) + " is not in " + building_.directory +
                   "; did you mean \"" +
                   printable(
                       nearestName(out.tensor, std::views::keys(building_.checkpoint->tensors()))) +
                   "\"?");
    }
    std::optional<DType> type = parseDType(stored->dtype);
    if (type != DType::kF32 && type != DType::kBF16 && type != DType::kF16) {
      return at(key).error(key, "tensor " + inQuotes(out.tensor) + " has type " +
                                    printable(stored->dtype) + "; F32, BF16 or F16 is expected");
    }
  }
  DCC_ASSIGN(std::optional<int64_t> columns, statedColumns());
  for (std::optional<int64_t>& size : shape) {
    if (!size) size = columns;
  }
  if (stored) {
    bool fits = stored->shape.size() == shape.size();
    for (size_t i = 0; fits && i < shape.size(); ++i) {
      const uint64_t size = stored->shape[i];
      fits = shape[i] ? size == uint64_t(*shape[i]) : size >= 1 && size <= uint64_t(kMostColumns);
    }
    if (!fits) {
      if (columns) key = "shape";
      return at(key).error(key, "tensor " + inQuotes(out.tensor) + " has shape " +
                                    huggingface::shapeText(stored->shape) + "; " +
                                    wantedText(shape) + " is expected");
    }
    shape.assign(stored->shape.begin(), stored->shape.end());
  }
  for (std::optional<int64_t> size : shape) {
    if (!size) {
      return at("shape").error("shape",
                               "is missing; without a checkpoint to look the columns up "
                               "in, the result's shape is expected, [\"T\", 256]");
    }
    out.shape.push_back(*size);
  }
  auto [known, added] = building_.symbols.try_emplace(out.tensor, out.shape);
  if (!added && known->second.empty()) {
    return at(key).error(key, inQuotes(out.tensor) +
                                  " is the name of something else in the module; a tensor of "
                                  "another name is expected");
  }
  if (!added && known->second != out.shape) {
    std::vector<uint64_t> other(known->second.begin(), known->second.end());
    return at(key).error(key, "tensor " + inQuotes(out.tensor) + " of shape " + wantedText(shape) +
                                  " is used as " + huggingface::shapeText(other) +
                                  " too; one shape is expected");
  }
  return out;
}

Result<std::optional<int64_t>> OpCall::statedColumns() const {
  if (!has("shape")) return std::optional<int64_t>();
  DCC_ASSIGN(const json* stated, at("shape").array("shape"));
  if (stated->size() == 2 && stated->back().is_number_integer() && stated->back() >= 1 &&
      stated->back() <= kMostColumns) {
    return std::optional(stated->back().get<int64_t>());
  }
  return at("shape").error("shape", "rows and columns are expected, [\"T\", 256], with up to " +
                                        std::to_string(kMostColumns) + " columns");
}

Status OpCall::claim(const std::string& symbol) const {
  // Later entries find what the first has claimed.
  if (!builder.lastOnly() || building_.symbols.try_emplace(symbol).second) {
    return Status::success();
  }
  return at("module").error("module", "\"" + symbol + "\" is there already; every " +
                                          std::string(step_.kind->name) +
                                          " needs a module of its own");
}

// ---- around it ---------------------------------------------------------------------------------

bool OpCall::summed() const {
  const size_t output = step_.outputs.front();
  return output == graph().result() ||
         std::ranges::any_of(graph().values[output].readers, [&](size_t reader) {
           return graph().steps[reader].kind->name == "add";
         });
}

std::optional<Heads> OpCall::heads() const {
  auto found = building_.heads.find(&step_ - graph().steps.data());
  return found == building_.heads.end() ? std::nullopt : std::optional(found->second);
}

// ---- results -----------------------------------------------------------------------------------

Status OpCall::checkShape(Value result) const {
  constexpr std::string_view kKey = "shape";
  // Rows are what they are in prefill.
  if (!has(kKey) || !builder.lastOnly()) return Status::success();
  DCC_ASSIGN(std::optional<int64_t> columns, statedColumns());
  const json& rows = at(kKey).find(kKey)->front();
  if (columns == ModelBuilder::columns(result) && rows == sizeText(typeOf(result).getDims()[0])) {
    return Status::success();
  }
  return at(kKey).error(kKey, "the result of " + module() + " has shape " + shapeText(result) +
                                  "; that is expected here, or other inputs");
}

Status OpCall::gives(Value result) const {
  values_[step_.outputs.front()] = {result};
  return checkShape(result);
}

Status OpCall::gives(const std::vector<Value>& results) const {
  for (size_t i = 0; i < results.size(); ++i) values_[step_.outputs[i]] = {results[i]};
  return Status::success();
}

Status OpCall::gives(Frequencies result) const {
  values_[step_.outputs.front()] = {Value(), std::move(result)};
  if (!has("shape")) return Status::success();
  return at("shape").error("shape", "frequencies have none; leave it out");
}

}  // namespace dcc::graph
