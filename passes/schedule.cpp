// schedule: layers become kernels on buffers, in order, in place where the input ends there.
//
// One function per layer, by type. Weights, caches and frequencies become rows of the plan's
// tables.
#include "passes/Passes.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "mlir/IR/SymbolTable.h"
#include "runtime/base/checked.h"
#include "runtime/plan/kernels.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_SCHEDULE
#include "passes/Passes.h.inc"

namespace {

// Tokens of a page of the KV cache: what a head has of one is read in a row, some KiB, and a
// sequence wastes less than 64 slots.
constexpr int64_t kTokensPerPage = 64;
constexpr int64_t kCacheAlignment = 64;  // bytes

// The ops' verifiers know the names.
int64_t functionNumber(StringRef name) {
  return static_cast<int64_t>(*plan::functionNamed(std::string_view(name)));
}

// The constant that frequencies beyond the original positions become.
std::string beyondName(StringRef frequencies) { return (frequencies + ".beyond").str(); }

// Lowers one entry.
class Lowering {
 public:
  Lowering(func::FuncOp entry, SymbolTable& symbols, dist::MeshAttr mesh)
      : entry_(entry), symbols_(symbols), mesh_(mesh), builder_(entry.getContext()) {}

  LogicalResult run(OpBuilder& at) {
    auto bounds = entry_->getAttrOfType<DictionaryAttr>("nn.bounds");
    if (!bounds) return entry_->emitError() << "has no nn.bounds = {T = ..., B = ...}";
    auto plan =
        at.create<planir::EntryOp>(entry_.getLoc(), entry_.getSymName(), bounds, IntegerAttr());
    builder_.setInsertionPointToEnd(&plan.getBody().emplaceBlock());
    // Only models that have them take the tokens' types.
    static constexpr StringRef kInputs[] = {"tokens", "positions", "types"};
    if (entry_.getNumArguments() < 2 || entry_.getNumArguments() > std::size(kInputs)) {
      return entry_->emitError() << "takes tokens, positions and perhaps types";
    }
    for (auto [name, argument] : llvm::zip(kInputs, entry_.getArguments())) {
      buffers_[argument] = builder_.create<planir::InputOp>(entry_.getLoc(), bufferType(argument),
                                                            builder_.getStringAttr(name));
    }
    for (Operation& op : entry_.getBody().front()) {
      if (failed(lower(&op))) return failure();
    }
    return success();
  }

 private:
  // ---- buffers ----------------------------------------------------------------------------------

  planir::BufferType bufferType(Value value) {
    auto type = cast<nn::TensorType>(value.getType());
    int64_t cols = type.rank() == 1 ? 1 : type.constant(1);
    return planir::BufferType::get(value.getContext(), type.getDims()[0], cols,
                                   type.getElementType(), cols);
  }

  Value buffer(Value value) { return buffers_.lookup(value); }

  Value alloc(Value value) {
    return buffers_[value] =
               builder_.create<planir::AllocOp>(value.getLoc(), bufferType(value), IntegerAttr());
  }

  // The result takes over its input's buffer where nobody reads the input afterwards.
  Value reuse(Value value, Value input) {
    bool ours =
        !isa<BlockArgument>(input) && cast<nn::TensorType>(value.getType()).getElementType() ==
                                          cast<nn::TensorType>(input.getType()).getElementType();
    if (ours && input.hasOneUse()) return buffers_[value] = buffer(input);
    return alloc(value);
  }

  planir::KernelOp kernel(Operation* op, StringRef kind, ValueRange inputs,
                          ArrayRef<Attribute> symbols, ValueRange outputs,
                          ArrayRef<NamedAttribute> attrs = {}) {
    auto kernel =
        builder_.create<planir::KernelOp>(op->getLoc(), builder_.getStringAttr(kind), inputs,
                                          builder_.getArrayAttr(symbols), outputs, ArrayAttr());
    for (NamedAttribute attr : attrs) kernel->setAttr(attr.getName(), attr.getValue());
    return kernel;
  }

  NamedAttribute attr(StringRef name, int64_t value) {
    return builder_.getNamedAttr(name, builder_.getI64IntegerAttr(value));
  }
  NamedAttribute attr(StringRef name, double value) {
    return builder_.getNamedAttr(name, builder_.getF64FloatAttr(value));
  }

  // ---- layers -----------------------------------------------------------------------------------

  LogicalResult lower(Operation* op) {
    return llvm::TypeSwitch<Operation*, LogicalResult>(op)
        .Case<nn::EmbeddingOp, nn::LinearOp, nn::AddBiasOp, nn::RmsNormOp, nn::AddRmsNormOp,
              nn::HeadNormOp, nn::LayerNormOp, nn::HeadLayerNormOp, nn::RopeOp, nn::AttentionOp,
              nn::SliceHeadsOp, nn::ExtendHeadsOp, nn::TemperatureOp, nn::RouteOp, nn::ExpertsOp,
              nn::AddOp, nn::MulOp, nn::ScaleOp, nn::ScaleRowsOp, nn::SoftCapOp, nn::ActivationOp,
              nn::GatedActivationOp, nn::LastTokenOp, nn::PoolOp, nn::SplitOp, dist::AllReduceOp,
              dist::AllGatherOp, dist::ReduceScatterOp, dist::SliceOp, func::ReturnOp>(
            [&](auto layer) {
              lower(layer);
              return success();
            })
        .Default([](Operation* other) {
          return other->emitOpError() << "has no kernel; schedule lowers nn and dist ops";
        });
  }

  void lower(nn::EmbeddingOp op) {
    kernel(op, "embedding", buffer(op.getTokens()), {op.getWeightAttr()}, alloc(op.getResult()));
  }

  void lower(nn::LinearOp op) {
    Value x = buffer(op.getX());
    builder_.create<planir::GemmOp>(op.getLoc(), x, op.getWeightAttr(), op.getBiasAttr(),
                                    op.getChunksAttr(), alloc(op.getResult()));
  }

  void lower(nn::AddBiasOp op) {
    Value x = buffer(op.getX());
    kernel(op, "add_bias", x, {op.getBiasAttr()}, reuse(op.getResult(), op.getX()));
  }

  void lower(nn::RmsNormOp op) {
    Value x = buffer(op.getX());
    kernel(op, "rms_norm", x, {op.getWeightAttr()}, alloc(op.getResult()),
           attr("eps", op.getEps().convertToDouble()));
  }

  void lower(nn::HeadNormOp op) {
    Value x = buffer(op.getX());
    SmallVector<Attribute> weight;
    if (op.getWeight()) weight.push_back(op.getWeightAttr());
    kernel(
        op, weight.empty() ? "unit_norm" : "rms_norm", x, weight, reuse(op.getResult(), op.getX()),
        {attr("eps", op.getEps().convertToDouble()), attr("head_dim", int64_t(op.getHeadDim()))});
  }

  void lower(nn::LayerNormOp op) {
    Value x = buffer(op.getX());
    SmallVector<Attribute> weights{op.getWeightAttr()};
    if (op.getBias()) weights.push_back(op.getBiasAttr());
    kernel(op, "layer_norm", x, weights, alloc(op.getResult()),
           attr("eps", op.getEps().convertToDouble()));
  }

  void lower(nn::HeadLayerNormOp op) {
    Value x = buffer(op.getX());
    kernel(
        op, "layer_norm", x, {op.getWeightAttr()}, reuse(op.getResult(), op.getX()),
        {attr("eps", op.getEps().convertToDouble()), attr("head_dim", int64_t(op.getHeadDim()))});
  }

  void lower(nn::AddRmsNormOp op) {
    Value x = buffer(op.getX()), y = buffer(op.getY());
    Value sum = reuse(op.getSum(), op.getX());
    kernel(op, "add_rms_norm", {x, y}, {op.getWeightAttr()}, {sum, alloc(op.getResult())},
           attr("eps", op.getEps().convertToDouble()));
  }

  void lower(nn::RopeOp op) {
    auto frequencies = symbols_.lookup<nn::FrequenciesOp>(op.getFrequencies());
    SmallVector<NamedAttribute> attrs{attr("head_dim", int64_t(op.getHeadDim())),
                                      attr("scale", frequencies.getScale().convertToDouble())};
    if (auto dynamic = frequencies.getDynamic()) {
      attrs.push_back(attr("theta", (*dynamic)[0]));
      attrs.push_back(attr("factor", (*dynamic)[1]));
      attrs.push_back(attr("original_positions", int64_t((*dynamic)[2])));
    }
    SmallVector<Attribute> tables{op.getFrequenciesAttr()};
    if (frequencies.getBeyond()) {
      tables.push_back(FlatSymbolRefAttr::get(op.getContext(), beyondName(op.getFrequencies())));
      attrs.push_back(attr("original_positions", int64_t(*frequencies.getOriginal())));
    }
    if (op.getInterleaved()) attrs.push_back(attr("interleaved", int64_t(1)));
    if (op.getFirst()) attrs.push_back(attr("first", int64_t(*op.getFirst())));
    Value x = buffer(op.getX()), positions = buffer(op.getPositions());
    kernel(op, "rope", {x, positions}, tables, reuse(op.getResult(), op.getX()), attrs);
  }

  void lower(nn::AttentionOp op) {
    Value q = buffer(op.getQ()), k = buffer(op.getK()), v = buffer(op.getV());
    SmallVector<NamedAttribute> attrs{attr("head_dim", int64_t(op.getKDim())),
                                      attr("scale", op.getScale().convertToDouble())};
    if (op.getWindow()) attrs.push_back(attr("window", int64_t(*op.getWindow())));
    if (op.getChunk()) attrs.push_back(attr("chunk", int64_t(*op.getChunk())));
    if (op.getSoftcap()) attrs.push_back(attr("softcap", op.getSoftcap()->convertToDouble()));
    planir::KernelOp made;
    if (op.getCache()) {
      kernel(op, "kv_write", {k, v}, {op.getCacheAttr()}, {});
      SmallVector<Attribute> symbols{op.getCacheAttr()};
      if (op.getSinks()) symbols.push_back(op.getSinksAttr());
      made = kernel(op, "attention", q, symbols, alloc(op.getResult()), attrs);
    } else {
      made = kernel(op, "self_attention", {q, k, v}, {}, alloc(op.getResult()), attrs);
    }
    if (!op.getPairing()) return;
    made.setRangesAttr(op.getPairingAttr());
    made->setAttr("axis", op->getAttr("axis"));
  }

  void lower(nn::SliceHeadsOp op) {
    Value x = buffer(op.getX());
    kernel(op, "slice_heads", x, {}, alloc(op.getResult()),
           {attr("head_dim", int64_t(op.getHeadDim())), attr("first", int64_t(op.getFirst())),
            attr("size", int64_t(op.getSize()))});
  }

  void lower(nn::ExtendHeadsOp op) {
    Value x = buffer(op.getX()), y = buffer(op.getY());
    kernel(op, "extend_heads", {x, y}, {}, alloc(op.getResult()),
           attr("head_dim", int64_t(op.getHeadDim())));
  }

  void lower(nn::TemperatureOp op) {
    Value x = buffer(op.getX()), positions = buffer(op.getPositions());
    kernel(op, "temperature", {x, positions}, {}, reuse(op.getResult(), op.getX()),
           {attr("scale", op.getScale().convertToDouble()), attr("floor", int64_t(op.getFloor()))});
  }

  void lower(nn::RouteOp op) {
    Value logits = buffer(op.getLogits());
    SmallVector<Attribute> bias;
    if (op.getBias()) bias.push_back(op.getBiasAttr());
    auto scores = plan::scoresNamed(std::string_view(op.getScores()));
    double scale = op.getScale() ? op.getScale()->convertToDouble() : 1.0;
    SmallVector<NamedAttribute> attrs{
        attr("k", int64_t(op.getK())), attr("scores", static_cast<int64_t>(*scores)),
        attr("normalize", int64_t(op.getNormalize())), attr("scale", scale)};
    if (op.getGroups()) {
      attrs.append({attr("groups", int64_t(*op.getGroups())), attr("live", int64_t(*op.getLive())),
                    attr("best", int64_t(*op.getBest()))});
    }
    kernel(op, "route", logits, bias, alloc(op.getResult()), attrs);
  }

  void lower(nn::ExpertsOp op) {
    Value x = buffer(op.getX()), gates = buffer(op.getGates());
    SmallVector<Attribute> weights{op.getGateAttr(), op.getUpAttr(), op.getDownAttr()};
    if (op.getGateBias()) weights.append({op.getGateBiasAttr(), op.getUpBiasAttr()});
    SmallVector<NamedAttribute> attrs{attr("function", functionNumber(op.getFunction()))};
    if (op.getLimit()) {
      attrs.append({attr("limit", op.getLimit()->convertToDouble()),
                    attr("alpha", op.getAlpha()->convertToDouble())});
    }
    if (op.getScaledInputs()) attrs.push_back(attr("scaled_inputs", int64_t(1)));
    if (op.getChunks()) attrs.push_back(attr("chunks", int64_t(*op.getChunks())));
    if (op.getGroups()) attrs.push_back(attr("groups", int64_t(*op.getGroups())));
    kernel(op, "experts", {x, gates}, weights, alloc(op.getResult()), attrs);
  }

  template <class Op>
  void lowerBinary(Op op, StringRef kind) {
    Value x = buffer(op.getX()), y = buffer(op.getY());
    kernel(op, kind, {x, y}, {}, reuse(op.getResult(), op.getX()));
  }
  void lower(nn::AddOp op) { lowerBinary(op, "add"); }
  void lower(nn::MulOp op) { lowerBinary(op, "mul"); }

  void lower(nn::ScaleOp op) {
    Value x = buffer(op.getX());
    kernel(op, "scale", x, {}, reuse(op.getResult(), op.getX()),
           attr("scale", op.getFactor().convertToDouble()));
  }

  void lower(nn::ScaleRowsOp op) {
    Value x = buffer(op.getX()), factors = buffer(op.getFactors());
    kernel(op, "scale_rows", {x, factors}, {}, reuse(op.getResult(), op.getX()));
  }

  void lower(nn::SoftCapOp op) {
    Value x = buffer(op.getX());
    kernel(op, "soft_cap", x, {}, reuse(op.getResult(), op.getX()),
           attr("softcap", op.getCap().convertToDouble()));
  }

  void lower(nn::ActivationOp op) {
    Value x = buffer(op.getX());
    kernel(op, "activation", x, {}, reuse(op.getResult(), op.getX()),
           attr("function", functionNumber(op.getFunction())));
  }

  // Not over the gate: where gate and up are views of one GEMM's result, the output is better
  // packed.
  void lower(nn::GatedActivationOp op) {
    Value gate = buffer(op.getGate()), up = buffer(op.getUp());
    kernel(op, "gated_activation", {gate, up}, {}, alloc(op.getResult()),
           attr("function", functionNumber(op.getFunction())));
  }

  void lower(nn::LastTokenOp op) {
    Value x = buffer(op.getX());
    kernel(op, "last_token", x, {}, alloc(op.getResult()));
  }

  void lower(nn::PoolOp op) {
    Value x = buffer(op.getX());
    kernel(op, op.getHow() == "first" ? "first_token" : "mean_tokens", x, {},
           alloc(op.getResult()));
  }

  void lower(nn::SplitOp op) {
    Value whole = buffer(op.getX());
    auto base = cast<planir::BufferType>(whole.getType());
    int64_t column = 0;
    for (Value part : op.getParts()) {
      planir::BufferType own = bufferType(part);
      auto view = planir::BufferType::get(op.getContext(), own.getRows(), own.getCols(),
                                          own.getElementType(), base.getStride());
      buffers_[part] = builder_.create<planir::ViewOp>(op.getLoc(), view, whole, column);
      column += own.getCols();
    }
  }

  // ---- collectives ------------------------------------------------------------------------------

  // all_gather and reduce_scatter.
  template <class Op>
  void collective(Op op, StringRef kind) {
    Value x = buffer(op.getX()), gates = op.getGates() ? buffer(op.getGates()) : Value();
    bool tree = kind != "all_gather" && nn::isInvariant(op);
    builder_.create<planir::CollectiveOp>(
        op.getLoc(), builder_.getStringAttr(kind), op.getAxisAttr(), x, alloc(op.getResult()),
        gates, op.getDimensionAttr(), op.getExpertsAttr(), op.getCountsAttr(),
        tree ? builder_.getUnitAttr() : UnitAttr(), op.getBecauseAttr());
  }

  void lower(dist::AllReduceOp op) {
    Value x = buffer(op.getX());
    builder_.create<planir::CollectiveOp>(
        op.getLoc(), builder_.getStringAttr("all_reduce"), op.getAxisAttr(), x,
        reuse(op.getResult(), op.getX()), Value(), builder_.getI64IntegerAttr(0),
        DenseI64ArrayAttr(), DenseI64ArrayAttr(),
        nn::isInvariant(op) ? builder_.getUnitAttr() : UnitAttr(), op.getBecauseAttr());
  }
  void lower(dist::AllGatherOp op) { collective(op, "all_gather"); }
  void lower(dist::ReduceScatterOp op) { collective(op, "reduce_scatter"); }

  // "i of n" for every coordinate.
  ArrayAttr partNumbers(StringAttr axis) {
    int64_t ranks = *mesh_.sizeOf(axis);
    SmallVector<Attribute> parts;
    for (int64_t i = 0; i < ranks; ++i) parts.push_back(builder_.getDenseI64ArrayAttr({i, ranks}));
    return builder_.getArrayAttr(parts);
  }

  void lower(dist::SliceOp op) {
    Value x = buffer(op.getX());
    bool columns = op.getDimension() == 1;
    ArrayAttr ranges = columns ? op.getRangesAttr() : partNumbers(op.getAxisAttr());
    auto slice = builder_.create<planir::KernelOp>(
        op.getLoc(), builder_.getStringAttr(columns ? "slice_columns" : "slice_rows"), x,
        builder_.getArrayAttr({}), alloc(op.getResult()), ranges);
    // Which coordinate's ranges are a rank's: those on this axis.
    slice->setAttr("axis", op.getAxisAttr());
  }

  void lower(func::ReturnOp op) {
    auto results = entry_->getAttrOfType<ArrayAttr>("nn.results");
    auto names = entry_->getAttrOfType<ArrayAttr>("nn.outputs");
    for (auto [i, value] : llvm::enumerate(op.getOperands())) {
      auto whole = cast<nn::TensorType>(cast<TypeAttr>(results[i]).getValue());
      dist::CutAttr cut = whole.cut(1);
      DenseI64ArrayAttr ranges;
      if (cut.isCut()) {
        SmallVector<int64_t> flat;
        for (const dist::Ranges& r :
             dist::rangesOf(cut, whole.constant(1), *mesh_.sizeOf(cut.getAxis()))) {
          flat.append({r.front().begin, r.front().end});
        }
        ranges = builder_.getDenseI64ArrayAttr(flat);
      }
      auto name = names ? cast<StringAttr>(names[i]) : builder_.getStringAttr("logits");
      builder_.create<planir::OutputOp>(op.getLoc(), name, buffer(value),
                                        builder_.getI64IntegerAttr(whole.constant(1)),
                                        cut.isCut() ? cut.getAxis() : StringAttr(), ranges);
    }
  }

  func::FuncOp entry_;
  SymbolTable& symbols_;
  dist::MeshAttr mesh_;
  OpBuilder builder_;
  llvm::DenseMap<Value, Value> buffers_;
};

// Lowers the symbols and entries of one program.
class ProgramLowering {
 public:
  ProgramLowering(dist::ProgramOp program, DictionaryAttr limits)
      : program_(program), symbols_(program), limits_(limits) {}

  LogicalResult run() {
    SmallVector<Operation*> old;
    for (Operation& op : program_.getBody().front()) old.push_back(&op);
    OpBuilder builder = OpBuilder::atBlockEnd(&program_.getBody().front());
    if (failed(lowerCaches(builder))) return failure();
    for (Operation* op : old) {
      if (auto weight = dyn_cast<nn::WeightOp>(op)) {
        builder.create<planir::WeightOp>(
            op->getLoc(), weight.getSymNameAttr(), weight.getTypeAttr(), weight.getWholeAttr(),
            weight.getPlusAttr(), weight.getSourcesAttr(), ArrayAttr());
      } else if (auto frequencies = dyn_cast<nn::FrequenciesOp>(op)) {
        builder.create<planir::ConstantOp>(op->getLoc(), frequencies.getSymNameAttr(),
                                           frequencies.getValuesAttr());
        if (DenseF32ArrayAttr beyond = frequencies.getBeyondAttr()) {
          std::string name = beyondName(frequencies.getSymName());
          builder.create<planir::ConstantOp>(op->getLoc(), builder.getStringAttr(name), beyond);
        }
      } else if (auto entry = dyn_cast<func::FuncOp>(op)) {
        if (failed(Lowering(entry, symbols_, dist::meshOf(program_)).run(builder)))
          return failure();
      } else if (!isa<nn::CacheOp>(op)) {
        return op->emitOpError() << "does not belong into a program";
      }
    }
    for (Operation* op : llvm::reverse(old)) op->erase();
    return success();
  }

 private:
  // With a window a sequence needs what its step and the window before it span, wherever they begin
  // within a page, and uses those pages in turn (runtime/generate/page_pool.h).
  int64_t pagesOfSequence(int64_t window) {
    int64_t all = ceilDiv(limit("max_seq_len"), kTokensPerPage);
    if (!window) return all;
    int64_t live = window - 1 + limit("max_tokens");
    return std::min(all, ceilDiv(live - 1, kTokensPerPage) + 1);
  }

  int64_t limit(StringRef name) { return limits_.getAs<IntegerAttr>(name).getInt(); }

  // Every group's page holds a block of tokens of all its layers, layer after layer, K before V.
  LogicalResult lowerCaches(OpBuilder& builder) {
    llvm::MapVector<StringRef, SmallVector<nn::CacheOp>> groups;
    for (auto cache : program_.getBody().front().getOps<nn::CacheOp>()) {
      SmallVector<nn::CacheOp>& group = groups[cache.getGroup()];
      if (!group.empty() && group.front().getWindow() != cache.getWindow()) {
        return cache.emitError() << "keeps another window than the layers of its group '"
                                 << cache.getGroup() << "'";
      }
      group.push_back(cache);
    }
    for (auto& [name, caches] : groups) {
      int64_t bytes = 0;
      auto place = [&](nn::CacheOp cache, int64_t dim) {
        int64_t offset = alignUp(bytes, kCacheAlignment);
        bytes = offset + int64_t(cache.getHeads()) * kTokensPerPage * dim *
                             cache.getDtype().getIntOrFloatBitWidth() / 8;
        return offset;
      };
      std::string group = "group." + name.str();
      auto at = builder.saveInsertionPoint();
      SmallVector<std::pair<int64_t, int64_t>> offsets;
      for (nn::CacheOp cache : caches) {
        int64_t k = place(cache, cache.getKDim());
        offsets.emplace_back(k, place(cache, cache.getVDim()));
      }
      int64_t window = caches.front().getWindow().value_or(0);
      int64_t pages = limit("max_seqs") * pagesOfSequence(window);
      builder.restoreInsertionPoint(at);
      builder.create<planir::PageGroupOp>(program_.getLoc(), group, kTokensPerPage, pages,
                                          alignUp(bytes, kCacheAlignment), window);
      for (auto [cache, offset] : llvm::zip(caches, offsets)) {
        builder.create<planir::CacheOp>(cache.getLoc(), cache.getSymName(), group, cache.getHeads(),
                                        cache.getKDim(), cache.getVDim(), cache.getDtype(),
                                        offset.first, offset.second);
      }
    }
    return success();
  }

  dist::ProgramOp program_;
  SymbolTable symbols_;
  DictionaryAttr limits_;
};

struct Schedule : impl::ScheduleBase<Schedule> {
  void runOnOperation() override {
    auto limits = getOperation()->getAttrOfType<DictionaryAttr>("nn.limits");
    for (StringRef name : {"max_tokens", "max_seqs", "max_seq_len"}) {
      if (limits && limits.getAs<IntegerAttr>(name)) continue;
      getOperation().emitError() << "has no nn.limits = {max_tokens = ..., max_seqs = ..., "
                                    "max_seq_len = ...}";
      return signalPassFailure();
    }
    for (auto program : getOperation().getOps<dist::ProgramOp>()) {
      if (failed(ProgramLowering(program, limits).run())) return signalPassFailure();
    }
  }
};

}  // namespace
}  // namespace dcc
