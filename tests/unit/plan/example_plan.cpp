#include "example_plan.h"

#include <cmath>

#include "runtime/base/checked.h"
#include "runtime/base/safetensors.h"
#include "runtime/plan/plan.h"

namespace dcc::plan::testing {
namespace {

using fb::AttrKey;
using fb::KernelKind;
using fb::OperandKind;

// Nodes of the size pool: kT, kB and
constexpr uint32_t kVocabPart = 2;

fb::Operand buffer(uint32_t index) { return {OperandKind::buffer, index}; }
fb::Operand weight(uint32_t index) { return {OperandKind::weight, index}; }
fb::Attr attr(AttrKey key, double value) { return {key, 0, value}; }
fb::Attr attr(AttrKey key, int64_t value) { return {key, value, 0}; }

// Adds weights, each put together from row or column ranges of checkpoint tensors.
class Weights {
 public:
  Weights(fb::PlanT& plan, const SafetensorsHeader& header) : plan_(plan), header_(header) {}

  uint32_t add(std::string module, DType dtype, uint64_t cols, uint64_t row_origin = 0) {
    auto weight = std::make_unique<fb::WeightT>();
    weight->module_ = std::move(module);
    weight->dtype = static_cast<fb::DType>(dtype);
    weight->cols = cols;
    weight->row_origin = row_origin;
    plan_.weights.push_back(std::move(weight));
    return static_cast<uint32_t>(plan_.weights.size()) - 1;
  }

  // Rows [begin, end) of a tensor below the weight's last row. A vector is one row.
  void addRows(const std::string& tensor, uint64_t begin, uint64_t end) {
    fb::WeightT& w = *plan_.weights.back();
    fb::PieceT& piece = addPiece(tensor);
    piece.source_offset += begin * w.cols * byteSize(static_cast<DType>(piece.source_dtype));
    piece.run = (end - begin) * w.cols;
    piece.count = 1;
    piece.dest_offset = w.rows * w.cols;
    w.rows += end - begin;
  }

  // Columns [begin, begin + cols) of all rows of a tensor.
  void addColumns(const std::string& tensor, uint64_t begin) {
    fb::WeightT& w = *plan_.weights.back();
    fb::PieceT& piece = addPiece(tensor);
    const SafetensorsTensor& source = *header_.find(tensor);
    piece.source_offset += begin * byteSize(static_cast<DType>(piece.source_dtype));
    piece.source_stride = source.shape[1];
    piece.run = w.cols;
    piece.count = source.shape[0];
    piece.dest_stride = w.cols;
    w.rows = source.shape[0];
  }

 private:
  fb::PieceT& addPiece(const std::string& tensor) {
    const SafetensorsTensor& source = *header_.find(tensor);
    auto piece = std::make_unique<fb::PieceT>();
    piece->tensor = tensor;
    piece->source_dtype = static_cast<fb::DType>(*parseDType(source.dtype));
    piece->source_offset = source.offset;
    plan_.weights.back()->pieces.push_back(std::move(piece));
    return *plan_.weights.back()->pieces.back();
  }

  fb::PlanT& plan_;
  const SafetensorsHeader& header_;
};

// Adds buffers and instructions to an entry. Buffers follow each other in the arena.
class Program {
 public:
  Program(fb::EntryT& entry, uint64_t max_rows, fb::Reduction reduction)
      : entry_(entry), max_rows_(max_rows), reduction_(reduction) {}

  uint32_t input(fb::Storage storage) {
    uint32_t index = add(kT, 1);
    last().dtype = fb::DType::i32;
    last().storage = storage;
    return index;
  }

  uint32_t arena(uint32_t rows, uint64_t cols) {
    uint32_t index = add(rows, cols);
    last().offset = entry_.arena_bytes;
    entry_.arena_bytes = alignUp<uint64_t>(entry_.arena_bytes + max_rows_ * cols * 4, 64);
    return index;
  }

  // In the memory of a buffer of the same shape that is dead by then.
  uint32_t arenaOver(uint32_t dead) {
    const fb::BufferT& old = *entry_.buffers[dead];
    const uint64_t offset = old.offset;
    uint32_t index = add(old.rows, old.cols);
    last().offset = offset;
    return index;
  }

  // Columns [begin, begin + cols) of a buffer.
  uint32_t view(uint32_t base, uint64_t begin, uint64_t cols) {
    const fb::BufferT of = *entry_.buffers[base];
    uint32_t index = add(of.rows, cols);
    last().row_stride = of.row_stride;
    last().offset = of.offset + begin * 4;
    last().view_of = static_cast<int32_t>(base);
    return index;
  }

  void gemm(std::string module, uint32_t a, uint32_t weight, uint32_t out, uint32_t chunks = 1) {
    fb::GemmT gemm;
    gemm.chunks = static_cast<uint8_t>(chunks);
    gemm.a = a;
    gemm.weight = weight;
    gemm.out = out;
    instruction(std::move(module)).body.Set(std::move(gemm));
  }

  void kernel(std::string module, KernelKind kind, std::vector<fb::Operand> operands,
              std::vector<fb::Attr> attrs = {}) {
    fb::KernelT kernel;
    kernel.kind = kind;
    kernel.operands = std::move(operands);
    kernel.attrs = std::move(attrs);
    instruction(std::move(module)).body.Set(std::move(kernel));
  }

  void allReduce(std::string module, std::string because, uint32_t in_place) {
    fb::CollectiveT collective;
    collective.kind = fb::CollectiveKind::all_reduce;
    collective.reduction = reduction_;
    collective.input = collective.output = in_place;
    fb::InstructionT& i = instruction(std::move(module));
    i.because = std::move(because);
    i.body.Set(std::move(collective));
  }

  void gatherColumns(std::string module, uint32_t input, uint32_t output,
                     std::vector<uint32_t> counts) {
    fb::CollectiveT collective;
    collective.kind = fb::CollectiveKind::all_gather;
    collective.input = input;
    collective.output = output;
    collective.dimension = 1;
    collective.counts = std::move(counts);
    fb::InstructionT& i = instruction(std::move(module));
    i.because = "entry logits gives whole rows";
    i.body.Set(std::move(collective));
  }

 private:
  uint32_t add(uint32_t rows, uint64_t cols) {
    auto buffer = std::make_unique<fb::BufferT>();
    buffer->rows = rows;
    buffer->cols = cols;
    buffer->row_stride = cols;
    entry_.buffers.push_back(std::move(buffer));
    return static_cast<uint32_t>(entry_.buffers.size()) - 1;
  }
  fb::BufferT& last() { return *entry_.buffers.back(); }
  fb::InstructionT& instruction(std::string module) {
    entry_.instructions.push_back(std::make_unique<fb::InstructionT>());
    entry_.instructions.back()->module_ = std::move(module);
    return *entry_.instructions.back();
  }

  fb::EntryT& entry_;
  uint64_t max_rows_;
  fb::Reduction reduction_;
};

struct WeightIds {
  uint32_t embed, qkv, o, gate_up, down, input_norm, post_norm, norm, head;
};

WeightIds addWeights(fb::PlanT& plan, const SafetensorsHeader& header,
                     const ExampleOptions& options) {
  const uint64_t ranks = options.ranks, rank = plan.rank;
  const std::string layer = "model.layers.0.", attn = layer + "self_attn.", mlp = layer + "mlp.";
  const uint64_t q = kHeads / ranks * kHeadDim, v = kVocab / ranks, f = kFfn / ranks;
  const uint64_t kv_heads = std::max<uint64_t>(kKvHeads / ranks, 1);
  const uint64_t kv_begin = rank * kKvHeads / ranks * kHeadDim;
  const uint64_t kv_end = kv_begin + kv_heads * kHeadDim;

  Weights weights(plan, header);
  WeightIds ids;
  ids.embed = weights.add("model.embed_tokens.weight", options.weights, kHidden, rank * v);
  weights.addRows("model.embed_tokens.weight", rank * v, (rank + 1) * v);
  ids.qkv = weights.add(attn + "q_proj.weight+" + attn + "k_proj.weight+" + attn + "v_proj.weight",
                        options.weights, kHidden);
  weights.addRows(attn + "q_proj.weight", rank * q, (rank + 1) * q);
  weights.addRows(attn + "k_proj.weight", kv_begin, kv_end);
  weights.addRows(attn + "v_proj.weight", kv_begin, kv_end);
  ids.o = weights.add(attn + "o_proj.weight", options.weights, q);
  weights.addColumns(attn + "o_proj.weight", rank * q);
  ids.gate_up =
      weights.add(mlp + "gate_proj.weight+" + mlp + "up_proj.weight", options.weights, kHidden);
  weights.addRows(mlp + "gate_proj.weight", rank * f, (rank + 1) * f);
  weights.addRows(mlp + "up_proj.weight", rank * f, (rank + 1) * f);
  ids.down = weights.add(mlp + "down_proj.weight", options.weights, f);
  weights.addColumns(mlp + "down_proj.weight", rank * f);
  auto norm = [&](const std::string& module) {
    uint32_t id = weights.add(module, DType::kF32, kHidden);
    weights.addRows(module, 0, 1);
    return id;
  };
  ids.input_norm = norm(layer + "input_layernorm.weight");
  ids.post_norm = norm(layer + "post_attention_layernorm.weight");
  ids.norm = norm("model.norm.weight");
  ids.head = weights.add("lm_head.weight", options.weights, kHidden, rank * v);
  weights.addRows("lm_head.weight", rank * v, (rank + 1) * v);
  return ids;
}

void addCache(fb::PlanT& plan, const ExampleOptions& options) {
  auto cache = std::make_unique<fb::CacheT>();
  cache->module_ = "model.layers.0.self_attn";
  cache->heads = std::max(kKvHeads / options.ranks, 1u);
  cache->k_dim = cache->v_dim = kHeadDim;
  const uint64_t k_bytes = uint64_t{cache->heads} * kTokensPerPage * kHeadDim * 4;
  cache->v_offset = k_bytes;
  plan.caches.push_back(std::move(cache));
  auto group = std::make_unique<fb::PageGroupT>();
  group->name = "full";
  group->tokens_per_page = kTokensPerPage;
  group->pages = kPages;
  group->bytes_per_page = 2 * k_bytes;
  plan.page_groups.push_back(std::move(group));
}

void addEntry(fb::PlanT& plan, const WeightIds& w, const ExampleOptions& options,
              const std::string& name, int64_t max_tokens, bool every_position) {
  const uint32_t ranks = options.ranks, kv = plan.caches[0]->heads * kHeadDim;
  const uint32_t q = kHeads / ranks * kHeadDim, f = kFfn / ranks, v = kVocab / ranks;
  const std::string layer = "model.layers.0.", attn = layer + "self_attn", mlp = layer + "mlp";
  const std::vector<fb::Attr> eps = {attr(AttrKey::eps, kEps)};
  const std::vector<fb::Attr> heads = {attr(AttrKey::head_dim, int64_t{kHeadDim}),
                                       attr(AttrKey::scale, 1.0)};
  const fb::Operand cache = {OperandKind::cache, 0}, frequencies = {OperandKind::constant, 0};

  plan.entries.push_back(std::make_unique<fb::EntryT>());
  fb::EntryT& entry = *plan.entries.back();
  entry.name = name;
  entry.bounds = {max_tokens, kMaxSeqs};
  const bool invariant = options.numerics == fb::Numerics::invariant;
  Program p(entry, static_cast<uint64_t>(max_tokens),
            invariant ? fb::Reduction::tree_sum : fb::Reduction::sum);
  // Of the 4 that there are on all ranks together.
  const uint32_t chunks = invariant ? 4 / ranks : 1;

  uint32_t tokens = p.input(fb::Storage::tokens), positions = p.input(fb::Storage::positions);
  uint32_t x = p.arena(kT, kHidden), normed = p.arena(kT, kHidden);
  p.kernel("model.embed_tokens", KernelKind::embedding,
           {buffer(tokens), weight(w.embed), buffer(x)});
  p.allReduce("model.embed_tokens", "model.embed_tokens = embedding_rowwise", x);
  p.kernel(layer + "input_layernorm", KernelKind::rms_norm,
           {buffer(x), weight(w.input_norm), buffer(normed)}, eps);

  uint32_t qkv = p.arena(kT, q + 2 * kv), attended = p.arena(kT, q), o = p.arena(kT, kHidden);
  uint32_t queries = p.view(qkv, 0, q), keys = p.view(qkv, q, kv), values = p.view(qkv, q + kv, kv);
  p.gemm(attn + ".q_proj+k_proj+v_proj", normed, w.qkv, qkv);
  for (uint32_t rotated : {queries, keys}) {
    p.kernel(attn, KernelKind::rope,
             {buffer(rotated), buffer(positions), frequencies, buffer(rotated)}, heads);
  }
  p.kernel(attn, KernelKind::kv_write, {buffer(keys), buffer(values), cache});
  std::vector<fb::Attr> attention = {attr(AttrKey::head_dim, int64_t{kHeadDim}),
                                     attr(AttrKey::scale, 1 / std::sqrt(double{kHeadDim}))};
  p.kernel(attn, KernelKind::attention, {buffer(queries), cache, buffer(attended)}, attention);
  p.gemm(attn + ".o_proj", attended, w.o, o, chunks);
  p.allReduce(attn + ".o_proj", "model.layers.*.self_attn.o_proj = rowwise", o);

  uint32_t normed2 = p.arena(kT, kHidden), gate_up = p.arena(kT, 2 * f), act = p.arena(kT, f);
  uint32_t gate = p.view(gate_up, 0, f), up = p.view(gate_up, f, f), down = p.arenaOver(o);
  p.kernel(layer + "post_attention_layernorm", KernelKind::add_rms_norm,
           {buffer(x), buffer(o), weight(w.post_norm), buffer(x), buffer(normed2)}, eps);
  p.gemm(mlp + ".gate_proj+up_proj", normed2, w.gate_up, gate_up);
  p.kernel(mlp, KernelKind::gated_activation, {buffer(gate), buffer(up), buffer(act)},
           {attr(AttrKey::function, int64_t{0})});
  p.gemm(mlp + ".down_proj", act, w.down, down, chunks);
  p.allReduce(mlp + ".down_proj", "model.layers.*.mlp.down_proj = rowwise", down);

  uint32_t normed3 = p.arena(kT, kHidden);
  p.kernel("model.norm", KernelKind::add_rms_norm,
           {buffer(x), buffer(down), weight(w.norm), buffer(x), buffer(normed3)}, eps);
  auto output = std::make_unique<fb::OutputT>();
  output->name = "logits";
  output->columns = kVocab;
  if (every_position) {
    uint32_t part = p.arena(kT, v), whole = p.arena(kT, kVocab);
    p.gemm("lm_head", normed3, w.head, part);
    p.gatherColumns("lm_head", part, whole, std::vector<uint32_t>(ranks, kVocabPart));
    output->buffer = whole;
  } else {
    uint32_t last = p.arena(kB, kHidden), part = p.arena(kB, v);
    p.kernel("model", KernelKind::last_token, {buffer(normed3), buffer(last)});
    p.gemm("lm_head", last, w.head, part);
    output->buffer = part;
    output->axis = 0;
    for (uint32_t r = 0; r < ranks; ++r) {
      output->begins.push_back(r * v);
      output->ends.push_back((r + 1) * v);
    }
  }
  entry.outputs.push_back(std::move(output));
}

fb::PlanT examplePlan(const ExampleOptions& options, uint32_t rank,
                      const SafetensorsHeader& header) {
  fb::PlanT plan;
  plan.model = "example llama, 1 layer";
  plan.mesh.push_back(std::make_unique<fb::AxisT>());
  plan.mesh[0]->name = "tp";
  plan.mesh[0]->size = options.ranks;
  plan.rank = rank;
  plan.variables = {"T", "B"};
  plan.sizes = {{fb::SizeOp::variable, 0, 0, 0},
                {fb::SizeOp::variable, 1, 0, 0},
                {fb::SizeOp::constant, 0, 0, kVocab / options.ranks}};
  plan.checkpoint = options.checkpoint;
  plan.files.push_back(std::make_unique<fb::FileT>());
  plan.files[0]->path = "model.safetensors";
  plan.files[0]->bytes = header.file_bytes;
  if (options.seed) {
    plan.features = {std::string(kRandomWeights)};
    plan.files[0]->random = std::make_unique<fb::Random>(*options.seed, 1.0f, 0.5f);
  } else {
    plan.files[0]->header_hash = std::make_unique<fb::Hash128>(header.hash.lo, header.hash.hi);
  }
  plan.numerics = options.numerics;
  if (plan.numerics == fb::Numerics::invariant) {
    plan.features.emplace_back(kInvariantNumerics);
  }
  plan.constants.push_back(std::make_unique<fb::ConstantT>());
  plan.constants[0]->name = "rope frequencies";
  for (uint32_t i = 0; i < kHeadDim / 2; ++i) {
    plan.constants[0]->values.push_back(static_cast<float>(std::pow(kTheta, -2.0 * i / kHeadDim)));
  }
  plan.max_tokens = kMaxTokens;
  plan.max_seqs = kMaxSeqs;
  plan.max_seq_len = kPages * kTokensPerPage;
  plan.vocab_size = kVocab;
  WeightIds weights = addWeights(plan, header, options);
  addCache(plan, options);
  addEntry(plan, weights, options, "prefill", kMaxTokens, false);
  addEntry(plan, weights, options, "decode", kMaxSeqs, false);
  addEntry(plan, weights, options, "logits", kMaxTokens, true);
  return plan;
}

}  // namespace

std::vector<fb::PlanT> examplePlans(const ExampleOptions& options) {
  std::string file = exampleCheckpoint();
  SafetensorsHeader header =
      parseSafetensorsHeader({reinterpret_cast<const uint8_t*>(file.data()), file.size()},
                             file.size(), "model.safetensors")
          .value();
  std::vector<fb::PlanT> plans;
  for (uint32_t rank = 0; rank < options.ranks; ++rank) {
    plans.push_back(examplePlan(options, rank, header));
  }
  return plans;
}

}  // namespace dcc::plan::testing
