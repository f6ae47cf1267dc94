// What is hashed, field by field. The order here is part of the format: a field added to plan.fbs
// is hashed at the end of its table, and only when it differs from its default, so that the hashes
// of older plans stay what they are.
#include "runtime/base/hash.h"

#include "runtime/plan/access.h"
#include "runtime/plan/describe.h"
#include "runtime/plan/plan.h"

namespace dcc::plan {
namespace {

// Feeds a plan to a Hasher until more than `budget` bytes went in or a vector cannot be read.
class ProgramWalk {
 public:
  explicit ProgramWalk(uint64_t budget) : budget_(budget) {}

  std::optional<Hash> hash(const fb::Plan& plan) {
    add(plan.major(), plan.minor());
    for (const auto* feature : table(plan.features())) hasher_.add(text(feature));
    for (const fb::Axis* axis : table(plan.mesh())) {
      hasher_.add(text(axis->name()));
      add(axis->size());
    }
    add(plan.rank());
    for (const auto* variable : table(plan.variables())) hasher_.add(text(variable));
    for (const fb::SizeNode* node : table(plan.sizes())) {
      add(node->op(), node->a(), node->b(), node->value());
    }
    for (const fb::File* file : table(plan.files())) {
      add(file->bytes());
      if (const fb::Hash128* hash = file->header_hash()) hasher_.add(hashOf(*hash));
      if (const fb::Random* random = file->random()) {
        hasher_.add(std::string_view("random"));
        add(random->seed(), random->mean(), random->spread());
      }
    }
    for (const fb::Weight* weight : table(plan.weights())) weightRow(*weight);
    for (const fb::Constant* constant : table(plan.constants())) {
      for (float value : table(constant->values())) hasher_.add(value);
    }
    for (const fb::PageGroup* group : table(plan.page_groups())) {
      add(group->tokens_per_page(), group->pages(), group->bytes_per_page(), group->window());
    }
    for (const fb::Cache* cache : table(plan.caches())) {
      add(cache->group(), cache->heads(), cache->k_dim(), cache->v_dim(), cache->dtype(),
          cache->k_offset(), cache->v_offset());
    }
    for (const fb::Entry* entry : table(plan.entries())) entryRow(*entry);
    add(plan.max_tokens(), plan.max_seqs(), plan.max_seq_len(), plan.vocab_size());
    if (plan.token_types() != 0) {
      hasher_.add(std::string_view("token types"));
      add(plan.token_types());
    }
    if (plan.numerics() != fb::Numerics::fast) {
      hasher_.add(std::string_view("numerics"));
      add(plan.numerics());
    }
    if (exceeded()) return std::nullopt;
    return hasher_.finish();
  }

 private:
  void weightRow(const fb::Weight& weight) {
    add(weight.dtype(), weight.rows(), weight.cols(), weight.row_origin(), weight.layout());
    for (const fb::Piece* piece : table(weight.pieces())) {
      add(piece->file(), piece->decoding(), piece->source_dtype(), piece->source_offset(),
          piece->source_stride(), piece->run(), piece->count(), piece->dest_offset(),
          piece->dest_stride());
      if (piece->source_step() != 1 || piece->dest_step() != 1) {
        hasher_.add(std::string_view("steps"));
        add(piece->source_step(), piece->dest_step());
      }
      if (const fb::Scales* scales = piece->scales()) {
        hasher_.add(std::string_view("scales"));
        add(scales->file(), scales->offset(), scales->columns(), scales->block_rows(),
            scales->block_columns());
      }
      if (piece->origin() != 0) {
        hasher_.add(std::string_view("origin"));
        add(piece->origin());
      }
    }
    if (weight.plus() != 0) {
      hasher_.add(std::string_view("plus"));
      add(weight.plus());
    }
  }

  void entryRow(const fb::Entry& entry) {
    hasher_.add(text(entry.name()));
    for (int64_t bound : table(entry.bounds())) add(bound);
    add(entry.arena_bytes());
    for (const fb::Buffer* buffer : table(entry.buffers())) {
      add(buffer->dtype(), buffer->rows(), buffer->cols(), buffer->row_stride(), buffer->storage(),
          buffer->offset(), buffer->view_of());
    }
    for (const fb::Instruction* instruction : table(entry.instructions())) {
      add(instruction->body_type());
      if (const fb::Gemm* gemm = instruction->body_as_Gemm()) {
        add(gemm->a(), gemm->weight(), gemm->bias(), gemm->out());
        if (gemm->chunks() != 1) {
          hasher_.add(std::string_view("chunks"));
          add(gemm->chunks());
        }
      } else if (const fb::Kernel* kernel = instruction->body_as_Kernel()) {
        kernelBody(*kernel);
      } else if (const fb::Collective* collective = instruction->body_as_Collective()) {
        collectiveBody(*collective);
      }
    }
    for (const fb::Output* output : table(entry.outputs())) {
      hasher_.add(text(output->name()));
      add(output->buffer(), output->axis(), output->columns());
      for (uint64_t begin : table(output->begins())) add(begin);
      for (uint64_t end : table(output->ends())) add(end);
    }
  }

  void kernelBody(const fb::Kernel& kernel) {
    add(kernel.kind());
    for (const fb::Operand* operand : table(kernel.operands())) {
      add(operand->kind(), operand->index());
    }
    for (const fb::Attr* attr : table(kernel.attrs())) add(attr->key(), attr->i(), attr->f());
    for (uint64_t bound : table(kernel.ranges())) add(bound);
  }

  void collectiveBody(const fb::Collective& collective) {
    add(collective.kind(), collective.axis(), collective.reduction(), collective.input(),
        collective.output(), collective.dimension());
    for (uint32_t count : table(collective.counts())) add(count);
    add(collective.peer());
    if (collective.gates() == -1 && rows(collective.experts()).empty()) return;
    add(collective.gates());
    for (uint64_t bound : table(collective.experts())) add(bound);
  }

  // The vector's length goes in front of its elements. Empty when the budget is spent.
  template <class T>
  Rows<T> table(const flatbuffers::Vector<T>* vector) {
    uint32_t n = rows(vector).size();
    hasher_.add(n);
    if (!aligned(vector)) readable_ = false;
    return exceeded() || n > budget_ ? Rows<T>(nullptr) : Rows<T>(vector);
  }

  template <class... Values>
  void add(Values... values) {
    (addOne(values), ...);
  }
  template <class T>
  void addOne(T value) {
    if constexpr (std::is_enum_v<T>) {
      hasher_.add(static_cast<uint64_t>(value));
    } else if constexpr (std::is_floating_point_v<T>) {
      hasher_.add(value);
    } else {
      hasher_.add(static_cast<uint64_t>(value));  // sign-extended where it is signed
    }
  }

  bool exceeded() const { return !readable_ || hasher_.size() > budget_; }

  Hasher hasher_;
  uint64_t budget_;
  bool readable_ = true;
};

// Hashes of the pool's expressions, each wherever its nodes lie in the pool. A plan is hashed
// before it is verified, so an index may be wrong; it then counts as an expression of no value.
class ExpressionHashes {
 public:
  explicit ExpressionHashes(const fb::Plan& plan) {
    for (const fb::SizeNode* node : rows(plan.sizes())) {
      Hasher hasher;
      hasher.add(static_cast<uint64_t>(node->op()));
      if (node->op() == fb::SizeOp::constant) {
        hasher.add(node->value());
      } else if (node->op() == fb::SizeOp::variable) {
        hasher.add(node->a());
      } else {
        hasher.add((*this)[node->a()]);
        hasher.add((*this)[node->b()]);
      }
      hashes_.push_back(hasher.finish());
    }
  }
  Hash operator[](uint32_t node) const { return node < hashes_.size() ? hashes_[node] : Hash(); }

 private:
  std::vector<Hash> hashes_;
};

}  // namespace

std::optional<Hash> programHash(const fb::Plan& plan, uint64_t budget) {
  return ProgramWalk(budget).hash(plan);
}

Hash programHash(const fb::Plan& plan) { return *programHash(plan, UINT64_MAX); }

Hash collectiveHash(const fb::Plan& plan, uint32_t axis) {
  ExpressionHashes expressions(plan);
  Hasher hasher;
  hasher.add(axis);
  for (const fb::Axis* a : rows(plan.mesh())) {
    hasher.add(text(a->name()));
    hasher.add(a->size());
  }
  for (const fb::Entry* entry : rows(plan.entries())) {
    hasher.add(text(entry->name()));
    for (int64_t bound : rows(entry->bounds())) hasher.add(bound);
    for (const fb::Instruction* instruction : rows(entry->instructions())) {
      const fb::Collective* c = instruction->body_as_Collective();
      // Ranks send and receive each their own.
      if (!c || c->axis() != axis || isPointToPoint(*c)) continue;
      hasher.add(static_cast<uint64_t>(c->kind()));
      hasher.add(static_cast<uint64_t>(c->reduction()));
      hasher.add(static_cast<uint64_t>(c->dimension()));
      if (const fb::Buffer* shared = sharedBuffer(*entry, *c)) {
        hasher.add(static_cast<uint64_t>(shared->dtype()));
        hasher.add(expressions[shared->rows()]);
        hasher.add(shared->cols());
      }
      hasher.add(rows(c->counts()).size());
      for (uint32_t count : rows(c->counts())) hasher.add(expressions[count]);
      if (c->gates() < 0) continue;
      hasher.add(rows(c->experts()).size());
      for (uint64_t bound : rows(c->experts())) hasher.add(bound);
    }
    hasher.add(std::string_view("end"));
  }
  return hasher.finish();
}

Hash compilationId(std::span<const Hash> programs) {
  Hasher hasher;
  hasher.add(uint64_t{programs.size()});
  for (const Hash& program : programs) hasher.add(program);
  return hasher.finish();
}

}  // namespace dcc::plan
