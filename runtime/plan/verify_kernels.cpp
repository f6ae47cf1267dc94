#include <optional>

#include "runtime/plan/kernels.h"
#include "runtime/plan/verify_internal.h"

namespace dcc::plan {
namespace {

using fb::AttrKey;
using fb::KernelKind;

constexpr int64_t kAny = INT64_MAX;

// A kernel's operands by position and attributes by key. The first check that fails is remembered.
class Shapes {
 public:
  Shapes(const EntryContext& context, const fb::Kernel& kernel)
      : context_(context), kernel_(kernel), info_(*kernelInfo(kernel.kind())) {}

  const fb::Buffer& buffer(uint32_t i) const { return context_.buffer(index(i)); }
  const fb::Weight& weight(uint32_t i) const { return *context_.plan.weights()->Get(index(i)); }
  const fb::Cache& cache(uint32_t i) const { return *context_.plan.caches()->Get(index(i)); }
  uint64_t constantSize(uint32_t i) const {
    return rows(context_.plan.constants()->Get(index(i))->values()).size();
  }
  const fb::PageGroup& groupOf(const fb::Cache& cache) const {
    return *context_.plan.page_groups()->Get(cache.group());
  }
  bool has(uint32_t i) const { return i < kernel_.operands()->size(); }
  uint64_t vocabSize() const { return context_.plan.vocab_size(); }
  uint64_t tokenTypes() const { return context_.plan.token_types(); }
  const fb::Attr* attr(AttrKey key) const {
    for (const fb::Attr* attr : rows(kernel_.attrs())) {
      if (attr->key() == key) return attr;
    }
    return nullptr;
  }
  Rows<uint64_t> ranges() const { return rows(kernel_.ranges()); }

  void require(bool ok, const std::string& what) {
    if (!ok && problem_.empty()) problem_ = what;
  }
  void requireFloat(uint32_t i) {
    const fb::DType type = buffer(i).dtype();
    require(type == fb::DType::f32 || type == fb::DType::bf16 || type == fb::DType::f16,
            named(i) + " must be f32, bf16 or f16");
  }
  void requireVariableRows(uint32_t i, uint32_t variable) {
    require(context_.sizes.isVariable(buffer(i).rows(), variable),
            named(i) + " must have " + (variable == kT ? "T" : "B") + " rows");
  }
  void requireCols(uint32_t i, uint64_t cols) {
    require(buffer(i).cols() == cols, named(i) + " must have " + std::to_string(cols) + " columns");
  }
  void requireSameRows(uint32_t i, uint32_t j) {
    require(context_.sizes.equal(buffer(i).rows(), buffer(j).rows()),
            named(i) + " and " + named(j) + " must have the same rows");
  }
  void requirePartOfRows(uint32_t i, uint32_t whole, int64_t part, int64_t parts) {
    require(context_.sizes.isPart(buffer(i).rows(), buffer(whole).rows(), part, parts),
            named(i) + " must have the rows of part " + std::to_string(part) + " of " +
                std::to_string(parts) + " of " + named(whole));
  }
  void requireSameShape(uint32_t i, uint32_t j) {
    requireSameRows(i, j);
    require(buffer(i).cols() == buffer(j).cols(),
            named(i) + " and " + named(j) + " must have the same columns");
  }
  // A norm's weight or a bias.
  void requireVector(uint32_t i, uint64_t cols) {
    const fb::Weight& w = weight(i);
    require(w.dtype() == fb::DType::f32 && w.rows() == 1 && w.cols() == cols,
            std::string(info_.operands[i].name) + " must be f32 [1, " + std::to_string(cols) + "]");
  }
  // An attribute that says how many sums over parts of `size` there are; it may be missing.
  void requireParts(AttrKey key, uint64_t size) {
    const fb::Attr* parts = attr(key);
    if (!parts) return;
    const std::string problem = partsProblem(context_.plan, attrName(key), parts->i(), size);
    require(problem.empty(), problem);
  }
  // A matrix of weights.
  void requireMatrix(uint32_t i, uint64_t rows, uint64_t cols) {
    const fb::Weight& w = weight(i);
    const bool matrix =
        w.dtype() == fb::DType::f32 || w.dtype() == fb::DType::bf16 || w.dtype() == fb::DType::f16;
    require(matrix && w.rows() == rows && w.cols() == cols,
            std::string(info_.operands[i].name) + " must be f32, bf16 or f16 [" +
                std::to_string(rows) + ", " + std::to_string(cols) + "]");
  }
  // x's columns are heads of head_dim.
  void requireHeads(uint32_t i) {
    requireInteger(AttrKey::head_dim, 1, kAny);
    if (!ok()) return;
    const auto head_dim = static_cast<uint64_t>(attr(AttrKey::head_dim)->i());
    require(buffer(i).cols() % head_dim == 0,
            named(i) + " must have a multiple of " + std::to_string(head_dim) + " columns");
  }
  void requirePositive(AttrKey key) {
    const fb::Attr* a = attr(key);
    require(!a || a->f() > 0, std::string(attrName(key)) + " must be above 0");
  }
  // The attribute, if present, is in [least, most].
  void requireInteger(AttrKey key, int64_t least, int64_t most) {
    const fb::Attr* a = attr(key);
    require(!a || (a->i() >= least && a->i() <= most),
            std::string(attrName(key)) + " must be from " + std::to_string(least) + " to " +
                std::to_string(most));
  }
  bool ok() const { return problem_.empty(); }
  const std::string& problem() const { return problem_; }

 private:
  uint32_t index(uint32_t i) const { return kernel_.operands()->Get(i)->index(); }
  std::string named(uint32_t i) const {
    return std::string(info_.operands[i].name) + " " + context_.shape(buffer(i));
  }

  const EntryContext& context_;
  const fb::Kernel& kernel_;
  const KernelInfo& info_;
  std::string problem_;
};

void checkEmbedding(Shapes& s) {
  constexpr uint32_t kTokens = 0, kWeight = 1, kOut = 2;
  const fb::Weight& weight = s.weight(kWeight);
  const fb::Storage ids = s.buffer(kTokens).storage();
  s.require(ids != fb::Storage::arena, "tokens must be a step input");
  s.require(weight.dtype() == fb::DType::f32 || weight.dtype() == fb::DType::bf16 ||
                weight.dtype() == fb::DType::f16,
            "weight must be f32, bf16 or f16");
  // A table of positions may have more rows than sequences become long.
  const uint64_t most = ids == fb::Storage::tokens  ? s.vocabSize()
                        : ids == fb::Storage::types ? s.tokenTypes()
                                                    : uint64_t{INT32_MAX};
  s.require(weight.rows() <= most && weight.row_origin() <= most - weight.rows(),
            "weight's rows " + std::to_string(weight.row_origin()) + " + " +
                std::to_string(weight.rows()) + " lie outside the vocabulary of " +
                std::to_string(most));
  s.requireFloat(kOut);
  s.requireVariableRows(kOut, kT);
  s.requireCols(kOut, weight.cols());
}

void checkRmsNorm(Shapes& s) {
  constexpr uint32_t kX = 0, kWeight = 1, kOut = 2;
  s.requireFloat(kX);
  s.requireFloat(kOut);
  s.requireSameShape(kX, kOut);
  const uint64_t cols = s.buffer(kX).cols();
  const fb::Attr* head_dim = s.attr(AttrKey::head_dim);
  s.require(!head_dim || (head_dim->i() > 0 && cols % static_cast<uint64_t>(head_dim->i()) == 0),
            "head_dim must divide the columns");
  s.requireVector(kWeight, head_dim ? static_cast<uint64_t>(head_dim->i()) : cols);
  s.require(s.attr(AttrKey::eps)->f() >= 0, "eps must not be negative");
}

void checkAddRmsNorm(Shapes& s) {
  constexpr uint32_t kX = 0, kWeight = 2;
  for (uint32_t buffer : {0, 1, 3, 4}) {
    s.requireFloat(buffer);
    s.requireSameShape(kX, buffer);
  }
  s.requireVector(kWeight, s.buffer(kX).cols());
  s.require(s.attr(AttrKey::eps)->f() >= 0, "eps must not be negative");
}

void checkRope(Shapes& s) {
  constexpr uint32_t kX = 0, kPositions = 1, kFrequencies = 2, kOut = 3, kBeyond = 4;
  s.require(s.buffer(kPositions).storage() == fb::Storage::positions,
            "positions must be the step's positions");
  s.requireFloat(kX);
  s.requireFloat(kOut);
  s.requireVariableRows(kX, kT);
  s.requireSameShape(kX, kOut);
  s.requireInteger(AttrKey::head_dim, 1, kAny);
  if (!s.ok()) return;
  uint64_t head_dim = static_cast<uint64_t>(s.attr(AttrKey::head_dim)->i());
  uint64_t pairs = s.constantSize(kFrequencies);
  s.require(s.buffer(kX).cols() % head_dim == 0,
            "x's columns must be a multiple of head_dim " + std::to_string(head_dim));
  s.require(pairs >= 1 && 2 * pairs <= head_dim, "constant has " + std::to_string(pairs) +
                                                     " frequencies; there must be from 1 to " +
                                                     std::to_string(head_dim / 2));
  s.requireInteger(AttrKey::interleaved, 0, 1);
  const fb::Attr* theta = s.attr(AttrKey::theta);
  const fb::Attr* factor = s.attr(AttrKey::factor);
  bool dynamic = theta != nullptr;
  const bool beyond = s.has(kBeyond);
  const bool longer = s.attr(AttrKey::original_positions) != nullptr;
  s.require(dynamic == (factor != nullptr) && longer == (dynamic || beyond) && !(dynamic && beyond),
            "original_positions must come with theta and factor or with other frequencies");
  s.requireInteger(AttrKey::original_positions, 1, INT32_MAX);
  s.require(!beyond || s.constantSize(kBeyond) == pairs,
            "there must be as many frequencies beyond original_positions as before");
  s.requireInteger(AttrKey::first, 0, static_cast<int64_t>(head_dim - 2 * pairs));
  if (!s.ok() || !dynamic) return;
  s.require(theta->f() > 0 && factor->f() >= 1, "theta must be above 0 and factor at least 1");
  // The base's exponent is d' / (d' - 2).
  s.require(pairs >= 2, "dynamic frequencies need at least 2 of them");
}

void checkKvWrite(Shapes& s) {
  constexpr uint32_t kK = 0, kV = 1, kCache = 2;
  const fb::Cache& cache = s.cache(kCache);
  for (uint32_t buffer : {kK, kV}) {
    s.requireFloat(buffer);
    s.requireVariableRows(buffer, kT);
  }
  s.requireCols(kK, uint64_t{cache.heads()} * cache.k_dim());
  s.requireCols(kV, uint64_t{cache.heads()} * cache.v_dim());
}

// Query heads in `columns`, which go with so many KV heads.
uint64_t checkPairing(Shapes& s, uint64_t columns, uint64_t head_dim, uint64_t kv_heads) {
  const uint64_t heads = columns / head_dim;
  s.require(columns % head_dim == 0, "q has " + std::to_string(columns) +
                                         " columns; they must be a multiple of " +
                                         std::to_string(head_dim));
  Rows<uint64_t> pairing = s.ranges();
  if (pairing.empty()) {
    s.require(heads % kv_heads == 0, "q has " + std::to_string(heads) +
                                         " heads; they must be a multiple of " +
                                         std::to_string(kv_heads) + " KV heads");
  } else {
    s.require(pairing.size() == 2 && pairing[0] < pairing[1] && pairing[1] <= UINT32_MAX &&
                  heads >= 1 && heads <= UINT32_MAX &&
                  (pairing[0] + heads - 1) / pairing[1] + 1 == kv_heads,
              "ranges must be a place in a group and the groups' size, with which " +
                  std::to_string(heads) + " heads have " + std::to_string(kv_heads) + " KV heads");
  }
  return heads;
}

void checkAttention(Shapes& s) {
  constexpr uint32_t kQ = 0, kCache = 1, kOut = 2, kSinks = 3;
  const fb::Cache& cache = s.cache(kCache);
  s.requireFloat(kQ);
  s.requireFloat(kOut);
  s.requireVariableRows(kQ, kT);
  s.requireSameRows(kQ, kOut);
  s.requireInteger(AttrKey::head_dim, cache.k_dim(), cache.k_dim());
  s.requireInteger(AttrKey::window, 1, kAny);
  s.requireInteger(AttrKey::chunk, 1, kAny);
  s.require(!s.attr(AttrKey::window) || !s.attr(AttrKey::chunk),
            "window and chunk must not come together");
  s.requirePositive(AttrKey::softcap);
  const uint64_t heads = checkPairing(s, s.buffer(kQ).cols(), cache.k_dim(), cache.heads());
  if (!s.ok()) return;
  s.requireCols(kOut, heads * cache.v_dim());
  if (s.has(kSinks)) s.requireVector(kSinks, heads);
  uint64_t kept = s.groupOf(cache).window();
  const fb::Attr* seen = s.attr(AttrKey::window);
  if (!seen) seen = s.attr(AttrKey::chunk);
  s.require(kept == 0 || (seen && static_cast<uint64_t>(seen->i()) <= kept),
            "the cache keeps only the last " + std::to_string(kept) +
                " tokens; window or chunk must be at most that");
}

void checkSelfAttention(Shapes& s) {
  constexpr uint32_t kQ = 0, kK = 1, kV = 2, kOut = 3;
  for (uint32_t buffer : {kQ, kK, kV, kOut}) {
    s.requireFloat(buffer);
    s.requireVariableRows(buffer, kT);
  }
  s.requirePositive(AttrKey::softcap);
  s.requireHeads(kK);
  if (!s.ok()) return;
  const auto head_dim = static_cast<uint64_t>(s.attr(AttrKey::head_dim)->i());
  const uint64_t kv_heads = s.buffer(kK).cols() / head_dim;
  const uint64_t heads = checkPairing(s, s.buffer(kQ).cols(), head_dim, kv_heads);
  const uint64_t v_dim = s.buffer(kV).cols() / kv_heads;
  s.require(s.buffer(kV).cols() % kv_heads == 0,
            "v must have " + std::to_string(kv_heads) + " heads, as k has");
  // Divided, not multiplied, which could overflow.
  s.require(s.ok() && s.buffer(kOut).cols() % heads == 0 && s.buffer(kOut).cols() / heads == v_dim,
            "out must have " + std::to_string(heads) + " heads of " + std::to_string(v_dim));
}

void checkBinary(Shapes& s) {
  for (uint32_t buffer : {0, 1, 2}) {
    s.requireFloat(buffer);
    s.requireSameShape(0, buffer);
  }
}

void checkFunction(Shapes& s) {
  s.requireInteger(AttrKey::function, static_cast<int64_t>(Function::kSilu), kFunctions - 1);
}

void checkActivationShape(Shapes& s) {
  s.requireFloat(0);
  s.requireFloat(1);
  s.requireSameShape(0, 1);
}

void checkActivation(Shapes& s) {
  checkActivationShape(s);
  checkFunction(s);
}

void checkLayerNorm(Shapes& s) {
  constexpr uint32_t kX = 0, kWeight = 1, kOut = 2, kBias = 3;
  s.requireFloat(kX);
  s.requireFloat(kOut);
  s.requireSameShape(kX, kOut);
  s.require(s.attr(AttrKey::eps)->f() >= 0, "eps must not be negative");
  const uint64_t cols = s.buffer(kX).cols();
  const fb::Attr* head_dim = s.attr(AttrKey::head_dim);
  if (head_dim) s.requireHeads(kX);
  if (!s.ok()) return;
  if (!head_dim) {
    s.requireVector(kWeight, cols);
    if (s.has(kBias)) s.requireVector(kBias, cols);
    return;
  }
  const auto block = static_cast<uint64_t>(head_dim->i());
  s.requireMatrix(kWeight, cols / block, block);
  s.require(s.weight(kWeight).dtype() == fb::DType::f32, "weight must be f32");
  s.require(!s.has(kBias), "norms of heads have no bias");
}

void checkUnitNorm(Shapes& s) {
  checkActivationShape(s);
  s.requireHeads(0);
  s.require(s.attr(AttrKey::eps)->f() >= 0, "eps must not be negative");
}

void checkScaleRows(Shapes& s) {
  constexpr uint32_t kX = 0, kFactors = 1, kOut = 2;
  s.requireFloat(kX);
  s.requireFloat(kFactors);
  s.requireFloat(kOut);
  s.requireSameShape(kX, kOut);
  s.requireSameRows(kX, kFactors);
  s.requireCols(kFactors, 1);
}

void checkSliceHeads(Shapes& s) {
  constexpr uint32_t kX = 0, kOut = 1;
  s.requireFloat(kX);
  s.requireFloat(kOut);
  s.requireSameRows(kX, kOut);
  s.requireHeads(kX);
  if (!s.ok()) return;
  const int64_t head_dim = s.attr(AttrKey::head_dim)->i();
  s.requireInteger(AttrKey::first, 0, head_dim - 1);
  if (!s.ok()) return;
  s.requireInteger(AttrKey::size, 1, head_dim - s.attr(AttrKey::first)->i());
  if (!s.ok()) return;
  s.requireCols(kOut, s.buffer(kX).cols() / static_cast<uint64_t>(head_dim) *
                          static_cast<uint64_t>(s.attr(AttrKey::size)->i()));
}

void checkExtendHeads(Shapes& s) {
  constexpr uint32_t kX = 0, kY = 1, kOut = 2;
  for (uint32_t buffer : {kX, kY, kOut}) {
    s.requireFloat(buffer);
    s.requireSameRows(kX, buffer);
  }
  s.requireHeads(kX);
  if (!s.ok()) return;
  const uint64_t heads =
      s.buffer(kX).cols() / static_cast<uint64_t>(s.attr(AttrKey::head_dim)->i());
  // Both are sizes of buffers, so that the sum stays far from 64 bits; divided, not multiplied.
  const uint64_t tails = s.buffer(kOut).cols() - s.buffer(kX).cols();
  s.require(s.buffer(kOut).cols() > s.buffer(kX).cols() && tails % heads == 0 &&
                tails / heads == s.buffer(kY).cols(),
            "out must have the columns of x and " + std::to_string(heads) + " times those of y");
}

void checkTemperature(Shapes& s) {
  constexpr uint32_t kX = 0, kPositions = 1, kOut = 2;
  s.require(s.buffer(kPositions).storage() == fb::Storage::positions,
            "positions must be the step's positions");
  s.requireFloat(kX);
  s.requireFloat(kOut);
  s.requireVariableRows(kX, kT);
  s.requireSameShape(kX, kOut);
  s.requireInteger(AttrKey::floor, 1, INT32_MAX);
}

void checkRoute(Shapes& s) {
  constexpr uint32_t kLogits = 0, kOut = 1, kBias = 2;
  s.requireFloat(kLogits);
  s.require(s.buffer(kOut).dtype() == fb::DType::f32, "out must be f32");
  s.requireSameShape(kLogits, kOut);
  const uint64_t experts = s.buffer(kLogits).cols();
  s.require(experts <= INT32_MAX, "there are too many experts");
  if (!s.ok()) return;
  const auto count = static_cast<int64_t>(experts);
  s.requireInteger(AttrKey::k, 1, count);
  s.requireInteger(AttrKey::scores, 0, static_cast<int64_t>(Scores::kSigmoid));
  s.requireInteger(AttrKey::normalize, 0, 1);
  if (s.has(kBias)) s.requireVector(kBias, experts);
  const fb::Attr* groups = s.attr(AttrKey::groups);
  const fb::Attr* live = s.attr(AttrKey::live);
  const fb::Attr* best = s.attr(AttrKey::best);
  s.require(!groups == !live && !groups == !best, "groups, live and best must come together");
  s.requireInteger(AttrKey::groups, 1, count);
  if (!s.ok() || !groups) return;
  const int64_t size = count / groups->i();
  s.require(count % groups->i() == 0, "groups must divide the experts");
  s.requireInteger(AttrKey::live, 1, groups->i());
  s.requireInteger(AttrKey::best, 1, size);
  s.require(s.attr(AttrKey::k)->i() <= live->i() * size, "k experts must be in the live groups");
}

void checkExperts(Shapes& s) {
  constexpr uint32_t kX = 0, kGates = 1, kGate = 2, kUp = 3, kDown = 4, kOut = 5, kGateBias = 6,
                     kUpBias = 7;
  s.requireFloat(kX);
  for (uint32_t buffer : {kGates, kOut}) {
    s.require(s.buffer(buffer).dtype() == fb::DType::f32, "gates and out must be f32");
    s.requireSameRows(kX, buffer);
  }
  const uint64_t experts = s.buffer(kGates).cols(), width = s.weight(kDown).cols();
  // Weights have fewer than 2^63 elements, and so have these products where they are right.
  s.require(s.weight(kGate).rows() % experts == 0 && s.weight(kGate).rows() / experts == width,
            "gate must have " + std::to_string(width) + " rows for each of " +
                std::to_string(experts) + " experts");
  s.require(
      s.weight(kDown).rows() % experts == 0 &&
          s.weight(kDown).rows() / experts == s.buffer(kOut).cols(),
      "down must have out's columns as rows for each of " + std::to_string(experts) + " experts");
  s.requireMatrix(kGate, s.weight(kGate).rows(), s.buffer(kX).cols());
  s.requireMatrix(kUp, s.weight(kGate).rows(), s.buffer(kX).cols());
  s.requireMatrix(kDown, s.weight(kDown).rows(), width);
  s.require(s.has(kGateBias) == s.has(kUpBias), "gate_bias and up_bias must come together");
  for (uint32_t bias : {kGateBias, kUpBias}) {
    if (!s.has(bias)) continue;
    s.requireMatrix(bias, experts, width);
    s.require(s.weight(bias).dtype() == fb::DType::f32, "biases must be f32");
  }
  checkFunction(s);
  s.require(!s.attr(AttrKey::limit) == !s.attr(AttrKey::alpha),
            "limit and alpha must come together");
  s.require(!s.attr(AttrKey::limit) ||
                s.attr(AttrKey::function)->i() == static_cast<int64_t>(Function::kSilu),
            "limit must come with silu");
  s.requirePositive(AttrKey::limit);
  s.requireInteger(AttrKey::scaled_inputs, 0, 1);
  s.requireParts(AttrKey::chunks, width);
  s.requireParts(AttrKey::groups, experts);
  s.require(!s.attr(AttrKey::chunks) || !s.attr(AttrKey::groups),
            "sums are kept apart by chunks or by groups, not both");
}

// The rows of each sequence become one.
void checkPool(Shapes& s) {
  constexpr uint32_t kX = 0, kOut = 1;
  s.requireFloat(kX);
  s.requireFloat(kOut);
  s.requireVariableRows(kX, kT);
  s.requireVariableRows(kOut, kB);
  s.requireCols(kOut, s.buffer(kX).cols());
}

void checkSliceColumns(Shapes& s) {
  constexpr uint32_t kX = 0, kOut = 1;
  s.requireFloat(kX);
  s.requireFloat(kOut);
  s.requireSameRows(kX, kOut);
  Rows<uint64_t> ranges = s.ranges();
  s.require(!ranges.empty() && ranges.size() % 2 == 0, "ranges must be pairs of begin and end");
  uint64_t left = s.buffer(kOut).cols();
  for (uint32_t i = 0; s.ok() && i < ranges.size(); i += 2) {
    s.require(ranges[i] < ranges[i + 1] && ranges[i + 1] <= s.buffer(kX).cols(),
              "range " + std::to_string(ranges[i]) + " to " + std::to_string(ranges[i + 1]) +
                  " is not inside x");
    if (!s.ok()) return;
    s.require(ranges[i + 1] - ranges[i] <= left, "out has fewer columns than the ranges");
    left -= ranges[i + 1] - ranges[i];
  }
  s.require(left == 0, "out has more columns than the ranges");
}

void checkSliceRows(Shapes& s) {
  constexpr uint32_t kX = 0, kOut = 1;
  s.requireFloat(kX);
  s.requireFloat(kOut);
  s.requireCols(kOut, s.buffer(kX).cols());
  Rows<uint64_t> ranges = s.ranges();
  s.require(ranges.size() == 2 && ranges[0] < ranges[1] && ranges[1] <= INT32_MAX,
            "ranges must be a part and how many there are");
  if (s.ok()) s.requirePartOfRows(kOut, kX, ranges[0], ranges[1]);
}

void checkAddBias(Shapes& s) {
  constexpr uint32_t kX = 0, kBias = 1, kOut = 2;
  s.requireFloat(kX);
  s.requireFloat(kOut);
  s.requireSameShape(kX, kOut);
  s.requireVector(kBias, s.buffer(kX).cols());
}

}  // namespace

std::string kernelProblem(const EntryContext& context, const fb::Kernel& kernel) {
  Shapes s(context, kernel);
  const bool ranges =
      kernel.kind() == KernelKind::slice_columns || kernel.kind() == KernelKind::slice_rows ||
      kernel.kind() == KernelKind::attention || kernel.kind() == KernelKind::self_attention;
  s.require(ranges || s.ranges().empty(), "ranges mean nothing to this kernel");
  switch (kernel.kind()) {
    case KernelKind::embedding:
      checkEmbedding(s);
      break;
    case KernelKind::rms_norm:
      checkRmsNorm(s);
      break;
    case KernelKind::add_rms_norm:
      checkAddRmsNorm(s);
      break;
    case KernelKind::rope:
      checkRope(s);
      break;
    case KernelKind::kv_write:
      checkKvWrite(s);
      break;
    case KernelKind::attention:
      checkAttention(s);
      break;
    case KernelKind::add:
    case KernelKind::mul:
      checkBinary(s);
      break;
    case KernelKind::activation:
      checkActivation(s);
      break;
    case KernelKind::gated_activation:
      checkBinary(s);
      checkFunction(s);
      break;
    case KernelKind::last_token:
    case KernelKind::first_token:
    case KernelKind::mean_tokens:
      checkPool(s);
      break;
    case KernelKind::slice_columns:
      checkSliceColumns(s);
      break;
    case KernelKind::add_bias:
      checkAddBias(s);
      break;
    case KernelKind::slice_rows:
      checkSliceRows(s);
      break;
    case KernelKind::layer_norm:
      checkLayerNorm(s);
      break;
    case KernelKind::scale:
      checkActivationShape(s);
      break;
    case KernelKind::scale_rows:
      checkScaleRows(s);
      break;
    case KernelKind::soft_cap:
      checkActivationShape(s);
      s.requirePositive(AttrKey::softcap);
      break;
    case KernelKind::slice_heads:
      checkSliceHeads(s);
      break;
    case KernelKind::extend_heads:
      checkExtendHeads(s);
      break;
    case KernelKind::temperature:
      checkTemperature(s);
      break;
    case KernelKind::unit_norm:
      checkUnitNorm(s);
      break;
    case KernelKind::route:
      checkRoute(s);
      break;
    case KernelKind::experts:
      checkExperts(s);
      break;
    case KernelKind::self_attention:
      checkSelfAttention(s);
      break;
  }
  return s.problem();
}

}  // namespace dcc::plan
