#include "compiler/emit.h"

#include <algorithm>
#include <map>

#include "compiler/diagnostics.h"
#include "dialects/plan/Plan.h"
#include "runtime/plan/kernels.h"
#include "runtime/plan/plan.h"

using namespace mlir;

namespace dcc {
namespace {

namespace fb = plan::fb;

fb::DType dtypeOf(Type type) {
  if (type.isBF16()) return fb::DType::bf16;
  if (type.isF16()) return fb::DType::f16;
  if (type.isInteger(32)) return fb::DType::i32;
  if (type.isInteger(64)) return fb::DType::i64;
  if (type.isInteger(8)) return fb::DType::u8;
  return fb::DType::f32;
}

// 32 hex digits, as the importer wrote them.
fb::Hash128 parseHash(StringRef hex) {
  uint64_t hi = 0, lo = 0;
  hex.take_front(16).getAsInteger(16, hi);
  hex.drop_front(std::min<size_t>(16, hex.size())).getAsInteger(16, lo);
  return fb::Hash128(lo, hi);
}

// The plan of one rank.
class Emitter {
 public:
  Emitter(ModuleOp module, dist::ProgramOp program, int64_t rank)
      : module_(module), program_(program), mesh_(dist::meshOf(module)), rank_(rank) {}

  fb::PlanT run() {
    header();
    for (Operation& op : program_.getBody().front()) {
      if (auto weight = dyn_cast<planir::WeightOp>(op)) emit(weight);
      if (auto constant = dyn_cast<planir::ConstantOp>(op)) emit(constant);
      if (auto group = dyn_cast<planir::PageGroupOp>(op)) emit(group);
      if (auto cache = dyn_cast<planir::CacheOp>(op)) emit(cache);
      if (auto entry = dyn_cast<planir::EntryOp>(op)) emit(entry);
    }
    return std::move(plan_);
  }

 private:
  void header() {
    plan_.major = plan::kMajor;
    plan_.minor = plan::kMinor;
    plan_.model = string("nn.model");
    plan_.checkpoint = string("nn.checkpoint");
    plan_.rank = rank_;
    if (nn::isInvariant(module_)) {
      plan_.numerics = fb::Numerics::invariant;
      require(plan::kInvariantNumerics);
    }
    plan_.variables = {"T", "B"};
    plan_.vocab_size = module_->getAttrOfType<IntegerAttr>("nn.vocabulary").getInt();
    if (auto types = module_->getAttrOfType<IntegerAttr>("nn.token_types")) {
      plan_.token_types = types.getInt();
    }
    auto limits = module_->getAttrOfType<DictionaryAttr>("nn.limits");
    plan_.max_tokens = limits.getAs<IntegerAttr>("max_tokens").getInt();
    plan_.max_seqs = limits.getAs<IntegerAttr>("max_seqs").getInt();
    plan_.max_seq_len = limits.getAs<IntegerAttr>("max_seq_len").getInt();
    for (auto [name, size] : llvm::zip(mesh_.getNames(), mesh_.getSizes())) {
      auto axis = std::make_unique<fb::AxisT>();
      axis->name = name.str();
      axis->size = size;
      plan_.mesh.push_back(std::move(axis));
    }
    for (Attribute file : module_->getAttrOfType<ArrayAttr>("nn.files")) {
      plan_.files.push_back(emitFile(file));
      if (isa<nn::RandomAttr>(file)) require(plan::kRandomWeights);
    }
  }

  // What a reader must know.
  void require(std::string_view feature) {
    if (!llvm::is_contained(plan_.features, feature)) plan_.features.emplace_back(feature);
  }

  static std::unique_ptr<fb::FileT> emitFile(Attribute attr) {
    auto row = std::make_unique<fb::FileT>();
    if (auto random = dyn_cast<nn::RandomAttr>(attr)) {
      row->path = random.getPath().str();
      row->bytes = random.getBytes();
      row->random =
          std::make_unique<fb::Random>(random.getSeed(), float(random.getMean().getValueAsDouble()),
                                       float(random.getSpread().getValueAsDouble()));
    } else {
      auto file = cast<nn::FileAttr>(attr);
      row->path = file.getPath().str();
      row->bytes = file.getBytes();
      row->header_hash = std::make_unique<fb::Hash128>(parseHash(file.getHash().getValue()));
    }
    return row;
  }

  std::string string(StringRef attr) {
    auto value = module_->getAttrOfType<StringAttr>(attr);
    return value ? value.str() : "";
  }

  uint32_t axis(StringRef name) {
    auto names = mesh_.getNames();
    return llvm::find_if(names, [&](StringAttr n) { return n.getValue() == name; }) - names.begin();
  }

  // ---- tables -----------------------------------------------------------------------------------

  void emit(planir::WeightOp op) {
    auto type = cast<nn::TensorType>(op.getType());
    auto row = std::make_unique<fb::WeightT>();
    row->module_ = op.getSymName().str();
    row->dtype = dtypeOf(type.getElementType());
    row->cols = type.constant(type.rank() - 1);
    row->rows = 1;
    for (size_t i = 0; i + 1 < type.rank(); ++i) row->rows *= type.constant(i);
    if (op.getPlus()) {
      row->plus = float(op.getPlus()->convertToDouble());
      require(plan::kWeightViews);
    }
    for (auto slice : op.getSlicesAttr().getAsRange<planir::SliceAttr>()) {
      if (slice.getRank() != rank_) continue;
      row->row_origin = type.rank() == 2 ? slice.getOrigin() : 0;
      for (planir::PieceAttr piece : slice.getPieces()) row->pieces.push_back(emit(piece));
    }
    weights_[op.getSymNameAttr()] = plan_.weights.size();
    plan_.weights.push_back(std::move(row));
  }

  std::unique_ptr<fb::PieceT> emit(planir::PieceAttr piece) {
    auto row = std::make_unique<fb::PieceT>();
    row->file = piece.getFile();
    row->tensor = piece.getTensor().str();
    row->source_dtype = dtypeOf(piece.getType());
    row->source_offset = piece.getOffset();
    row->source_stride = piece.getStride();
    row->run = piece.getRun();
    row->count = piece.getCount();
    row->dest_offset = piece.getDest();
    row->dest_stride = piece.getDestStride();
    row->source_step = piece.getStep();
    row->dest_step = piece.getDestStep();
    if (nn::EncodingAttr encoding = piece.getEncoding()) {
      row->decoding = encoding.getKind() == "mxfp4" ? fb::Decoding::mxfp4 : fb::Decoding::f8e4m3;
      row->source_dtype = fb::DType::u8;
      row->origin = encoding.getFirst();
      row->scales = std::make_unique<fb::Scales>(encoding.getFile(), encoding.getOffset(),
                                                 encoding.getColumns(), encoding.getBlockRows(),
                                                 encoding.getBlockColumns());
      require(plan::kBlockScaled);
    }
    if (piece.getStep() != 1 || piece.getDestStep() != 1) require(plan::kWeightViews);
    return row;
  }

  void emit(planir::ConstantOp op) {
    auto row = std::make_unique<fb::ConstantT>();
    row->name = op.getSymName().str();
    row->values = op.getValues().vec();
    constants_[op.getSymNameAttr()] = plan_.constants.size();
    plan_.constants.push_back(std::move(row));
  }

  void emit(planir::PageGroupOp op) {
    auto row = std::make_unique<fb::PageGroupT>();
    row->name = op.getSymName().str();
    row->tokens_per_page = op.getTokensPerPage();
    row->pages = op.getPages();
    row->bytes_per_page = op.getBytesPerPage();
    row->window = op.getWindow();
    groups_[op.getSymNameAttr()] = plan_.page_groups.size();
    plan_.page_groups.push_back(std::move(row));
  }

  void emit(planir::CacheOp op) {
    auto row = std::make_unique<fb::CacheT>();
    row->module_ = op.getSymName().str();
    row->group = groups_.lookup(op.getGroupAttr().getAttr());
    row->heads = op.getHeads();
    row->k_dim = op.getKDim();
    row->v_dim = op.getVDim();
    row->dtype = dtypeOf(op.getDtype());
    row->k_offset = op.getKOffset();
    row->v_offset = op.getVOffset();
    caches_[op.getSymNameAttr()] = plan_.caches.size();
    plan_.caches.push_back(std::move(row));
  }

  // Every expression once.
  uint32_t size(fb::SizeOp op, uint32_t a, uint32_t b, int64_t value) {
    auto [known, added] = sizes_.try_emplace({op, a, b, value}, plan_.sizes.size());
    if (added) plan_.sizes.push_back(fb::SizeNode(op, a, b, value));
    return known->second;
  }
  uint32_t size(int64_t value) { return size(fb::SizeOp::constant, 0, 0, value); }
  uint32_t size(Attribute rows) {
    if (auto n = dyn_cast<IntegerAttr>(rows)) return size(n.getInt());
    auto [name, axis] = nn::wholeOf(cast<StringAttr>(rows).getValue());
    uint32_t whole = variable(name);
    return axis.empty() ? whole : part(whole, mesh_.coordinate(rank_, attr(axis)), axis);
  }
  uint32_t variable(StringRef name) {
    auto at = llvm::find(plan_.variables, name.str());
    return size(fb::SizeOp::variable, at - plan_.variables.begin(), 0, 0);
  }
  // dist::tokensOf as an expression: ceil((n - i) / ranks), where that is not negative.
  uint32_t part(uint32_t whole, int64_t i, StringRef axis) {
    uint32_t rest = size(fb::SizeOp::add, whole, size(-i), 0);
    return size(fb::SizeOp::ceil_div, size(fb::SizeOp::max, rest, size(0), 0),
                size(*mesh_.sizeOf(attr(axis))), 0);
  }
  StringAttr attr(StringRef name) { return StringAttr::get(module_.getContext(), name); }

  // ---- entries ----------------------------------------------------------------------------------

  void emit(planir::EntryOp op) {
    auto entry = std::make_unique<fb::EntryT>();
    entry_ = entry.get();
    buffers_.clear();
    entry->name = op.getSymName().str();
    for (const std::string& variable : plan_.variables) {
      entry->bounds.push_back(op.getBounds().getAs<IntegerAttr>(variable).getInt());
    }
    entry->arena_bytes = *op.getArena();
    for (Operation& inner : op.getBody().front()) {
      if (auto input = dyn_cast<planir::InputOp>(inner)) {
        addBuffer(input.getBuffer(), storageOf(input.getName()));
      } else if (auto alloc = dyn_cast<planir::AllocOp>(inner)) {
        addBuffer(alloc.getBuffer(), fb::Storage::arena, alloc.getOffset().value_or(0));
      } else if (auto view = dyn_cast<planir::ViewOp>(inner)) {
        addView(view);
      } else if (auto output = dyn_cast<planir::OutputOp>(inner)) {
        emit(output);
      } else {
        emitInstruction(&inner);
      }
    }
    plan_.entries.push_back(std::move(entry));
  }

  static fb::Storage storageOf(StringRef input) {
    return input == "tokens"      ? fb::Storage::tokens
           : input == "positions" ? fb::Storage::positions
                                  : fb::Storage::types;
  }

  fb::BufferT* addBuffer(Value value, fb::Storage storage, uint64_t offset = 0) {
    auto type = cast<planir::BufferType>(value.getType());
    auto row = std::make_unique<fb::BufferT>();
    row->dtype = dtypeOf(type.getElementType());
    row->rows = size(type.getRows());
    row->cols = type.getCols();
    row->row_stride = type.getStride();
    row->storage = storage;
    row->offset = offset;
    buffers_[value] = entry_->buffers.size();
    entry_->buffers.push_back(std::move(row));
    return entry_->buffers.back().get();
  }

  void addView(planir::ViewOp op) {
    uint32_t base = buffers_.lookup(op.getBase());
    const fb::BufferT& from = *entry_->buffers[base];
    uint64_t bytes = op.getBuffer().getType().getElementType().getIntOrFloatBitWidth() / 8;
    uint64_t offset = from.offset + op.getColumn() * bytes;
    int32_t root = from.view_of >= 0 ? from.view_of : int32_t(base);
    addBuffer(op.getBuffer(), from.storage, offset)->view_of = root;
  }

  void emit(planir::OutputOp op) {
    auto row = std::make_unique<fb::OutputT>();
    row->name = op.getName().str();
    row->buffer = buffers_.lookup(op.getBuffer());
    row->columns = op.getColumns();
    if (op.getAxis()) {
      row->axis = axis(*op.getAxis());
      ArrayRef<int64_t> flat = *op.getRanges();
      for (size_t i = 0; i < flat.size(); i += 2) {
        row->begins.push_back(flat[i]);
        row->ends.push_back(flat[i + 1]);
      }
    }
    entry_->outputs.push_back(std::move(row));
  }

  void emitInstruction(Operation* op) {
    auto row = std::make_unique<fb::InstructionT>();
    row->module_ = nn::moduleOf(op).str();
    if (auto gemm = dyn_cast<planir::GemmOp>(op)) {
      row->body.Set(emit(gemm));
    } else if (auto kernel = dyn_cast<planir::KernelOp>(op)) {
      row->body.Set(emit(kernel));
    } else if (auto collective = dyn_cast<planir::CollectiveOp>(op)) {
      row->because = collective.getBecause().str();
      row->body.Set(emit(collective));
    }
    entry_->instructions.push_back(std::move(row));
  }

  fb::GemmT emit(planir::GemmOp op) {
    fb::GemmT gemm;
    gemm.a = buffers_.lookup(op.getA());
    gemm.weight = weights_.lookup(op.getWeightAttr().getAttr());
    if (op.getBias()) gemm.bias = weights_.lookup(op.getBiasAttr().getAttr());
    gemm.chunks = static_cast<uint8_t>(op.getChunks().value_or(1));
    gemm.out = buffers_.lookup(op.getOut());
    return gemm;
  }

  fb::KernelT emit(planir::KernelOp op) {
    const plan::KernelInfo* info = plan::kernelInfo(std::string_view(op.getKind()));
    fb::KernelT kernel;
    kernel.kind = info->kind;
    auto inputs = op.getInputs().begin(), outputs = op.getOutputs().begin();
    auto symbols = op.getSymbols().getAsRange<FlatSymbolRefAttr>().begin();
    auto end = op.getSymbols().getAsRange<FlatSymbolRefAttr>().end();
    for (const plan::OperandInfo& operand : info->operands) {
      if (operand.optional && symbols == end) break;
      kernel.operands.push_back([&]() -> fb::Operand {
        switch (operand.role) {
          case plan::Role::kInput:
            return {fb::OperandKind::buffer, buffers_.lookup(*inputs++)};
          case plan::Role::kOutput:
            return {fb::OperandKind::buffer, buffers_.lookup(*outputs++)};
          case plan::Role::kWeight:
            return {fb::OperandKind::weight, weights_.lookup((*symbols++).getAttr())};
          case plan::Role::kCache:
            return {fb::OperandKind::cache, caches_.lookup((*symbols++).getAttr())};
          case plan::Role::kConstant:
            return {fb::OperandKind::constant, constants_.lookup((*symbols++).getAttr())};
        }
        return {};
      }());
    }
    for (const plan::AttrInfo& attr : info->attrs) {
      Attribute value = op->getAttr(plan::attrName(attr.key));
      if (auto f = dyn_cast_or_null<FloatAttr>(value)) {
        kernel.attrs.push_back(fb::Attr(attr.key, 0, f.getValueAsDouble()));
      } else if (auto i = dyn_cast_or_null<IntegerAttr>(value)) {
        kernel.attrs.push_back(fb::Attr(attr.key, i.getInt(), 0));
      }
    }
    std::sort(kernel.attrs.begin(), kernel.attrs.end(),
              [](const fb::Attr& a, const fb::Attr& b) { return a.key() < b.key(); });
    if (ArrayAttr ranges = op.getRangesAttr()) {
      int64_t coordinate = mesh_.coordinate(rank_, op->getAttrOfType<StringAttr>("axis"));
      for (int64_t x : cast<DenseI64ArrayAttr>(ranges[coordinate]).asArrayRef()) {
        kernel.ranges.push_back(x);
      }
    }
    return kernel;
  }

  fb::CollectiveT emit(planir::CollectiveOp op) {
    fb::CollectiveT collective;
    StringRef kind = op.getKind();
    collective.kind = kind == "all_reduce"   ? fb::CollectiveKind::all_reduce
                      : kind == "all_gather" ? fb::CollectiveKind::all_gather
                                             : fb::CollectiveKind::reduce_scatter;
    collective.reduction = kind == "all_gather" ? fb::Reduction::none
                           : op.getTree()       ? fb::Reduction::tree_sum
                                                : fb::Reduction::sum;
    collective.axis = axis(op.getAxis());
    collective.input = buffers_.lookup(op.getInput());
    collective.output = buffers_.lookup(op.getOutput());
    collective.dimension = op.getDimension();
    if (op.getGates()) {
      require(plan::kExpertExchange);
      collective.gates = static_cast<int32_t>(buffers_.lookup(op.getGates()));
      ArrayRef<int64_t> experts = *op.getExperts();
      collective.experts.assign(experts.begin(), experts.end());
    }
    if (auto counts = op.getCounts()) {
      for (int64_t count : *counts) collective.counts.push_back(size(count));
    } else if (kind != "all_reduce") {  // tokens
      Value whole = kind == "all_gather" ? op.getOutput() : op.getInput();
      uint32_t rows = size(cast<planir::BufferType>(whole.getType()).getRows());
      for (int64_t i = 0; i < *mesh_.sizeOf(op.getAxisAttr()); ++i) {
        collective.counts.push_back(part(rows, i, op.getAxis()));
      }
    }
    return collective;
  }

  ModuleOp module_;
  dist::ProgramOp program_;
  dist::MeshAttr mesh_;
  int64_t rank_;
  fb::PlanT plan_;
  fb::EntryT* entry_ = nullptr;
  std::map<std::tuple<fb::SizeOp, uint32_t, uint32_t, int64_t>, uint32_t> sizes_;
  llvm::DenseMap<StringAttr, uint32_t> weights_, constants_, groups_, caches_;
  llvm::DenseMap<Value, uint32_t> buffers_;
};

// What the walk relies on and the dialect's verifiers don't say.
Status checkComplete(ModuleOp module) {
  DiagnosticCollector diagnostics(module.getContext());
  for (StringRef name : {"nn.vocabulary", "nn.limits", "nn.files"}) {
    if (module->hasAttr(name)) continue;
    module.emitError() << "has no attribute " << name;
    return diagnostics.error();
  }
  auto numerics = module->getAttrOfType<StringAttr>("nn.numerics");
  if (module->hasAttr("nn.numerics") &&
      !(numerics && llvm::is_contained({"fast", "invariant"}, numerics.getValue()))) {
    module.emitError() << "has other nn.numerics than \"fast\" and \"invariant\"";
    return diagnostics.error();
  }
  auto files = module->getAttrOfType<ArrayAttr>("nn.files");
  if (!files || !llvm::all_of(files, llvm::IsaPred<nn::FileAttr, nn::RandomAttr>)) {
    module.emitError() << "has an nn.files that is no list of #nn.file and #nn.random";
    return diagnostics.error();
  }
  WalkResult walked = module.walk([](Operation* op) {
    if (auto weight = dyn_cast<planir::WeightOp>(op); weight && !weight.getSlices()) {
      weight.emitError() << "has no slices";
      return WalkResult::interrupt();
    }
    if (auto alloc = dyn_cast<planir::AllocOp>(op); alloc && !alloc.getOffset()) {
      alloc.emitError() << "has no place in the arena";
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  if (walked.wasInterrupted()) return diagnostics.error();
  return Status::success();
}

}  // namespace

Result<std::vector<fb::PlanT>> emitPlans(ModuleOp module) {
  DCC_RETURN_IF_ERROR(checkComplete(module));
  int64_t world = dist::meshOf(module).worldSize();
  std::vector<fb::PlanT> plans(world);
  std::vector<bool> done(world);
  for (auto program : module.getOps<dist::ProgramOp>()) {
    for (int64_t rank : program.getRanks()) {
      if (rank < 0 || rank >= world || done[rank]) {
        return userError("rank " + std::to_string(rank) + " is in no program, or in two");
      }
      plans[rank] = Emitter(module, program, rank).run();
      done[rank] = true;
    }
  }
  if (auto missing = std::find(done.begin(), done.end(), false); missing != done.end()) {
    return userError("rank " + std::to_string(missing - done.begin()) + " has no program");
  }
  return plans;
}

}  // namespace dcc
