#include "runtime/executor/executor.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"
#include "runtime/plan/access.h"
#include "runtime/plan/describe.h"

namespace dcc {
namespace {

namespace fb = plan::fb;

constexpr size_t kAlignment = 64;

std::string number(int64_t n) { return std::to_string(n); }

// Whether the plan has a collective over the axis.
bool uses(const fb::Plan& plan, uint32_t axis) {
  for (const fb::Entry* entry : plan::rows(plan.entries())) {
    for (const fb::Instruction* instruction : plan::rows(entry->instructions())) {
      const fb::Collective* collective = instruction->body_as_Collective();
      if (collective != nullptr && collective->axis() == axis) return true;
    }
  }
  return false;
}

Status checkAxes(const fb::Plan& plan, std::span<Communicator* const> axes) {
  const auto mesh = plan::rows(plan.mesh());
  if (axes.size() != mesh.size()) {
    return runtimeError("executor: " + number(axes.size()) + " communicators for a mesh of " +
                        number(mesh.size()) +
                        " axes; one per axis, null where its size is 1 or nothing goes over it");
  }
  for (uint32_t i = 0; i < mesh.size(); ++i) {
    const fb::Axis& axis = *mesh[i];
    const uint32_t size = axes[i] ? axes[i]->size() : 1;
    if (size != axis.size() && (axes[i] || uses(plan, i))) {
      return runtimeError("executor: the communicator of axis '" +
                          std::string(plan::text(axis.name())) + "' has " + number(size) +
                          " ranks; the plan's mesh has " + number(axis.size()));
    }
  }
  return Status::success();
}

// Bytes of a weight; the verifier knows that they fit.
size_t weightBytes(const fb::Weight& weight) {
  return weight.rows() * weight.cols() * byteSize(static_cast<DType>(weight.dtype()));
}

}  // namespace

Executor::Executor(plan::Plan plan, std::unique_ptr<Backend> backend,
                   std::span<Communicator* const> axes)
    : plan_(std::move(plan)), backend_(std::move(backend)), axes_(axes.begin(), axes.end()) {
  variables_.resize(plan::kVariables);
  sizes_.resize(plan::rows(plan_->sizes()).size());
}

Executor::~Executor() = default;

Result<std::unique_ptr<Executor>> Executor::create(plan::Plan plan,
                                                   std::unique_ptr<Backend> backend,
                                                   std::span<Communicator* const> axes,
                                                   const LoadWeights& load) {
  DCC_RETURN_IF_ERROR(checkAxes(*plan, axes));
  DCC_RETURN_IF_ERROR(backend->check(*plan));
  std::unique_ptr<Executor> executor(new Executor(std::move(plan), std::move(backend), axes));
  DCC_RETURN_IF_ERROR(executor->allocate());
  DCC_RETURN_IF_ERROR(
      executor->backend_->upload(*executor->plan_, executor->memory_.weights, load));
  for (uint32_t i = 0; i < plan::rows(executor->plan_->entries()).size(); ++i) {
    DCC_ASSIGN(auto program,
               executor->backend_->prepare(*executor->plan_, i, executor->memory_, axes));
    executor->programs_.push_back(std::move(program));
  }
  return executor;
}

Status Executor::allocate() {
  // One block for all weights: small ones share pages.
  size_t total = 0;
  for (const fb::Weight* weight : plan::rows(plan_->weights())) {
    total += alignUp(weightBytes(*weight), kAlignment);
  }
  DCC_ASSIGN(std::byte * at, backend_->allocate(MemoryUse::kWeights, total));
  for (const fb::Weight* weight : plan::rows(plan_->weights())) {
    const size_t bytes = weightBytes(*weight);
    memory_.weights.emplace_back(reinterpret_cast<uint8_t*>(at), bytes);
    at += alignUp(bytes, kAlignment);
  }

  for (const fb::PageGroup* group : plan::rows(plan_->page_groups())) {
    DCC_ASSIGN(std::byte * pool,
               backend_->allocate(MemoryUse::kCache, group->pages() * group->bytes_per_page()));
    memory_.pools.push_back(pool);
  }

  uint64_t arena = 0;  // entries run one at a time
  for (const fb::Entry* entry : plan::rows(plan_->entries())) {
    arena = std::max(arena, entry->arena_bytes());
  }
  DCC_ASSIGN(memory_.arena, backend_->allocate(MemoryUse::kArena, arena));
  return Status::success();
}

std::span<const std::byte> Executor::weightMemory() const {
  if (memory_.weights.empty()) return {};
  const auto first = memory_.weights.front(), last = memory_.weights.back();
  return std::as_bytes(std::span(first.data(), last.data() + last.size()));
}

Result<double> Executor::deviceBandwidth(Communicator& world) const {
  const Result<double> own = backend_->copyBandwidth();
  DCC_RETURN_IF_ERROR(own.ok() ? Status::success() : Status(own.error()));
  std::vector<double> all(world.size());
  const std::vector<size_t> sizes(all.size(), sizeof(double));
  DCC_RETURN_IF_ERROR(world.allGather(&*own, all.data(), sizes));
  return std::accumulate(all.begin(), all.end(), 0.0);
}

std::string Executor::describe(uint32_t entry, uint32_t instruction) const {
  return plan::placeText(*plan_, entry, instruction);
}

void Executor::publish(Whereabouts& whereabouts) {
  here_ = &whereabouts;
  here_->set(&Whereabouts::step, steps_);
  here_->set(&Whereabouts::place, kBetweenSteps);
}

Status Executor::checkStep(const Step& step) const {
  const auto bad = [](const std::string& what) { return runtimeError("step: " + what); };
  if (step.entry >= programs_.size()) {
    return bad("entry " + number(step.entry) + " of " + number(programs_.size()));
  }
  if (step.T() < 1 || step.B() < 1 || step.T() > plan_->max_tokens() ||
      step.B() > plan_->max_seqs()) {
    return bad(number(step.T()) + " tokens of " + number(step.B()) +
               " sequences; the plan takes 1 to " + number(plan_->max_tokens()) +
               " tokens of 1 to " + number(plan_->max_seqs()) + " sequences");
  }
  const auto* bounds = plan_->entries()->Get(step.entry)->bounds();
  for (uint32_t i = 0; i < variables_.size(); ++i) {
    if (variables_[i] > bounds->Get(i)) {
      return bad(std::string(plan::text(plan_->variables()->Get(i))) + " = " +
                 number(variables_[i]) + "; entry '" +
                 std::string(plan::text(plan_->entries()->Get(step.entry)->name())) +
                 "' takes up to " + number(bounds->Get(i)));
    }
  }
  if (step.positions.size() != step.tokens.size() ||
      static_cast<int64_t>(step.rope_lengths.size()) != step.B() || step.starts[0] != 0 ||
      step.starts[step.B()] != step.T()) {
    return bad("positions, starts and rope lengths do not fit its tokens");
  }
  for (int32_t token : step.tokens) {
    if (token < 0 || static_cast<uint64_t>(token) >= plan_->vocab_size()) {
      return bad("token " + number(token) + "; the vocabulary has " +
                 number(static_cast<int64_t>(plan_->vocab_size())));
    }
  }
  if (!step.types.empty() && step.types.size() != step.tokens.size()) {
    return bad("types do not fit its tokens");
  }
  for (int32_t type : step.types) {
    if (type < 0 || static_cast<uint32_t>(type) >= plan_->token_types()) {
      return bad("token type " + number(type) + "; the model has " + number(plan_->token_types()));
    }
  }
  for (int64_t b = 0; b < step.B(); ++b) {
    const int64_t first = step.starts[b], end = step.starts[b + 1];
    if (first >= end || end > step.T()) return bad("sequence " + number(b) + " has no tokens");
    for (int64_t t = first; t < end; ++t) {
      if (step.positions[t] != step.positions[first] + (t - first) || step.positions[t] < 0 ||
          static_cast<uint64_t>(step.positions[t]) >= plan_->max_seq_len()) {
        return bad("position " + number(step.positions[t]) + " of token " + number(t) +
                   "; positions follow each other, below " + number(plan_->max_seq_len()));
      }
    }
  }
  return checkPages(step);
}

Status Executor::checkPages(const Step& step) const {
  const auto groups = plan::rows(plan_->page_groups());
  if (step.page_tables.size() != groups.size()) {
    return runtimeError("step: " + number(step.page_tables.size()) + " page tables; the plan has " +
                        number(groups.size()) + " page groups");
  }
  for (uint32_t g = 0; g < groups.size(); ++g) {
    const fb::PageGroup& group = *groups[g];
    const Step::PageTable& table = step.page_tables[g];
    const int64_t per_page = group.tokens_per_page();
    for (int64_t b = 0; b < step.B(); ++b) {
      // The pages of all positions that the sequence's tokens of this step see.
      const int64_t first = step.positions[step.starts[b]];
      const int64_t last = step.positions[step.starts[b + 1] - 1];
      const int64_t window = static_cast<int64_t>(group.window());
      const int64_t oldest = window > 0 ? std::max<int64_t>(0, first - window + 1) : 0;
      const size_t row = static_cast<size_t>(b) * table.stride;
      if (last / per_page >= table.stride || row + table.stride > table.pages.size()) {
        return runtimeError("step: sequence " + number(b) + " has no page for position " +
                            number(last));
      }
      for (int64_t i = oldest / per_page; i <= last / per_page; ++i) {
        const int64_t page = table.pages[row + i];
        if (page < 0 || static_cast<uint64_t>(page) >= group.pages()) {
          return runtimeError("step: page " + number(page) + " of sequence " + number(b) +
                              "; the pool has " + number(group.pages()));
        }
      }
    }
  }
  return Status::success();
}

Status Executor::run(const Step& step) {
  variables_[plan::kT] = step.T();
  variables_[plan::kB] = step.B();
  DCC_RETURN_IF_ERROR(checkStep(step));
  entry_ = step.entry;
  here_->set(&Whereabouts::instruction, 0);
  here_->set(&Whereabouts::step, steps_++);
  here_->set(&Whereabouts::place, kInEntry + step.entry);
  plan::evaluateSizes(*plan_, variables_, sizes_);
  const Traffic before = movedSoFar();
  Status status =
      programs_[step.entry]->run({step, sizes_, here_->instruction, observers_.observer()});
  traffic_ += movedSoFar() - before;
  if (!status.ok()) {  // and here it stays
    return Error{describe(step.entry, here_->read().instruction) + ": " + status.error().message,
                 status.error().fault};
  }
  here_->set(&Whereabouts::step, steps_);
  here_->set(&Whereabouts::place, kBetweenSteps);
  return status;
}

Traffic Executor::movedSoFar() const {
  Traffic moved;
  for (const Communicator* axis : axes_) {
    if (axis != nullptr) moved += axis->traffic();
  }
  for (const auto& program : programs_) moved += program->moved();
  return moved;
}

std::chrono::nanoseconds Executor::waited() const {
  std::chrono::nanoseconds sum{0};
  for (const auto& program : programs_) sum += program->waited();
  return sum;
}

void Executor::wantLargestOnly() {
  for (const auto& program : programs_) program->wholeOutputs(false);
}

size_t Executor::outputCount() const {
  return plan::rows(plan_->entries()->Get(entry_)->outputs()).size();
}

OutputView Executor::output(uint32_t index) const {
  const fb::Entry& e = *plan_->entries()->Get(entry_);
  const fb::Output& info = *e.outputs()->Get(index);
  const fb::Buffer& buffer = *e.buffers()->Get(info.buffer());
  OutputView view;
  view.info = &info;
  view.data = programs_[entry_]->output(index);
  view.rows = sizes_[buffer.rows()];
  view.cols = static_cast<int64_t>(buffer.cols());
  view.row_stride = static_cast<int64_t>(buffer.row_stride());
  view.largest = programs_[entry_]->largest(index);
  return view;
}

}  // namespace dcc
