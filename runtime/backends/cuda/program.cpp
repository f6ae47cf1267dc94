#include "runtime/backends/cuda/program.h"

#include <algorithm>
#include <utility>

#include "runtime/backends/cuda/range.h"
#include "runtime/plan/access.h"
#include "runtime/plan/dataflow.h"
#include "runtime/plan/plan.h"

namespace dcc::cuda {

std::vector<int64_t> graphBuckets(int64_t bound) {
  std::vector<int64_t> buckets;
  for (int64_t size = 1; size < bound; size *= 2) buckets.push_back(size);
  buckets.push_back(bound);
  return buckets;
}

size_t bucketFor(std::span<const int64_t> buckets, int64_t count) {
  return std::lower_bound(buckets.begin(), buckets.end(), count) - buckets.begin();
}

Traffic Shared::traffic() const {
  Traffic sum;
  for (const DeviceCommunicator* axis : axes) {
    if (axis != nullptr) sum += axis->traffic();
  }
  return sum;
}

CudaProgram::CudaProgram(Shared& shared, const fb::Plan& plan, uint32_t entry,
                         const PlanMemory& memory)
    : shared_(shared),
      plan_(plan),
      entry_(entry),
      memory_(memory),
      whole_{StepBlock(plan, plan.entries()->Get(entry)->bounds()->Get(plan::kT),
                       plan.entries()->Get(entry)->bounds()->Get(plan::kB)),
             {},
             {},
             {},
             {}} {}

CudaProgram::~CudaProgram() {
  for (const Bucket& bucket : buckets_) {
    if (bucket.graph != nullptr) cudaGraphExecDestroy(bucket.graph);
  }
}

Result<std::unique_ptr<CudaProgram>> CudaProgram::create(Shared& shared, const fb::Plan& plan,
                                                         uint32_t entry, const PlanMemory& memory) {
  std::unique_ptr<CudaProgram> program(new CudaProgram(shared, plan, entry, memory));
  DCC_RETURN_IF_ERROR(program->prepareOps());
  DCC_RETURN_IF_ERROR(program->prepareGraphs());
  return program;
}

Status CudaProgram::prepareOps() {
  PrepareContext context(plan_, entry_, memory_, shared_.axes, shared_.constants, *shared_.products,
                         shared_.product_workspace.data());
  DCC_ASSIGN(single_, prepareInstructions(context, false));
  DCC_ASSIGN(fused_, prepareInstructions(context, true));
  for (const fb::Output* output : plan::rows(context.entry().outputs())) {
    OutputCopy copy;
    copy.buffer = context.buffer(output->buffer());
    const Matrix& m = copy.buffer.matrix;
    DCC_ASSIGN(copy.memory,
               PinnedMemory::allocate(context.maxRows(copy.buffer) * m.stride * sizeof(float)));
    const int64_t rows = context.maxRows(copy.buffer);
    if (rows == context.maxSequences()) {
      DCC_ASSIGN(copy.largest, DeviceMemory::allocate(rows * sizeof(Largest)));
      DCC_ASSIGN(copy.largest_host, PinnedMemory::allocate(rows * sizeof(Largest)));
      DCC_ASSIGN(copy.scratch, DeviceMemory::allocate(argmaxScratchBytes(rows, m.cols)));
    }
    outputs_.push_back(std::move(copy));
  }
  return Status::success();
}

Status CudaProgram::prepareGraphs() {
  const auto prepare = [&](Bucket& bucket) -> Status {
    DCC_ASSIGN(bucket.host, PinnedMemory::allocate(bucket.layout.bytes()));
    DCC_ASSIGN(bucket.device, DeviceMemory::allocate(bucket.layout.bytes()));
    for (uint32_t g = 0; g < plan::rows(plan_.page_groups()).size(); ++g) {
      bucket.pages.push_back(bucket.layout.pages(bucket.device.data(), g));
    }
    return Status::success();
  };
  DCC_RETURN_IF_ERROR(prepare(whole_));
  const auto* bounds = plan_.entries()->Get(entry_)->bounds();
  const bool short_steps = bounds->Get(plan::kT) == bounds->Get(plan::kB);
  const bool capturable =
      std::all_of(shared_.axes.begin(), shared_.axes.end(),
                  [](DeviceCommunicator* axis) { return axis == nullptr || axis->capturable(); });
  if (!short_steps || !capturable) return Status::success();
  bucket_sizes_ = graphBuckets(bounds->Get(plan::kB));
  for (const int64_t size : bucket_sizes_) {
    Bucket& bucket = buckets_.emplace_back(Bucket{StepBlock(plan_, size, size), {}, {}, {}, {}});
    DCC_RETURN_IF_ERROR(prepare(bucket));
    DCC_RETURN_IF_ERROR(capture(bucket));
  }
  return Status::success();
}

Status CudaProgram::copyStep(const Bucket& bucket) {
  return check(cudaMemcpyAsync(bucket.device.data(), bucket.host.data(), bucket.layout.bytes(),
                               cudaMemcpyHostToDevice, shared_.stream.get()),
               "the step's copy to the device");
}

Status CudaProgram::capture(Bucket& bucket) {
  const int64_t size = bucket.layout.B();
  bucket.sizes.resize(plan::rows(plan_.sizes()).size());
  std::vector<int64_t> variables(plan::kVariables);
  variables[plan::kT] = variables[plan::kB] = size;
  plan::evaluateSizes(plan_, variables, bucket.sizes);
  const cudaStream_t stream = shared_.stream.get();
  const auto body = [&]() -> Status {
    DCC_RETURN_IF_ERROR(copyStep(bucket));
    std::atomic<uint32_t> unread;
    return enqueueAll(stateOf(bucket, size, size, bucket.sizes), unread);
  };
  // Once without a capture, of padding only: what libraries load and take at their first call
  // cannot be captured.
  bucket.layout.fillEmpty(bucket.host.data());
  DCC_RETURN_IF_ERROR(body());
  DCC_RETURN_IF_ERROR(wait());

  DCC_RETURN_IF_ERROR(
      check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing a graph"));
  const Traffic before = shared_.traffic();
  const Status captured = body();
  bucket.moved = shared_.traffic() - before;
  cudaGraph_t graph = nullptr;
  const Status ended = check(cudaStreamEndCapture(stream, &graph), "capturing a graph");
  DCC_RETURN_IF_ERROR(captured);
  DCC_RETURN_IF_ERROR(ended);
  const Status made = check(cudaGraphInstantiate(&bucket.graph, graph, 0), "making a graph");
  cudaGraphDestroy(graph);
  return made;
}

StepState CudaProgram::stateOf(const Bucket& bucket, int64_t T, int64_t B,
                               std::span<const int64_t> sizes) const {
  StepState state;
  state.on.stream = shared_.stream.get();
  state.on.overlap = shared_.compute_capability >= 90;
  state.on.counters = reinterpret_cast<uint32_t*>(shared_.counters.data());
  state.step = bucket.layout.view(bucket.device.data(), T, B);
  state.pages = bucket.pages;
  state.live_tokens = bucket.layout.liveTokens(bucket.device.data());
  state.sizes = sizes;
  state.scratch = shared_.scratch.data();
  return state;
}

void CudaProgram::findLargest(const StepState& state) {
  for (const OutputCopy& output : outputs_) {
    if (output.largest.size() == 0) continue;
    argmax(state.on, output.buffer.at(state), reinterpret_cast<Largest*>(output.largest.data()),
           output.scratch.data());
  }
}

Status CudaProgram::enqueue(uint32_t instruction, const Op& op, const StepState& state) {
  if (!op) return Status::success();
  const auto* module = plan_.entries()->Get(entry_)->instructions()->Get(instruction)->module_();
  const Range range(module != nullptr ? module->c_str() : "");
  return op(state);
}

Status CudaProgram::enqueueAll(const StepState& state, std::atomic<uint32_t>& position) {
  for (uint32_t i = 0; i < fused_.size(); ++i) {
    position.store(i, std::memory_order_relaxed);
    DCC_RETURN_IF_ERROR(enqueue(i, fused_[i], state));
  }
  findLargest(state);
  return check(cudaGetLastError(), "launching kernels");
}

Status CudaProgram::run(const StepContext& context) {
  const Step& step = context.step;
  const Range range(plan_.entries()->Get(entry_)->name()->c_str());
  for (DeviceCommunicator* axis : shared_.axes) {
    if (axis != nullptr) axis->beginStep();
  }
  // A graph is of one token of each sequence.
  const bool decodes = !buckets_.empty() && step.T() == step.B();
  Bucket& bucket = decodes ? buckets_[bucketFor(bucket_sizes_, step.B())] : whole_;
  bucket.layout.fill(step, bucket.host.data());
  if (decodes && context.observer == nullptr) {
    context.position.store(kSomeInstruction, std::memory_order_relaxed);
    DCC_RETURN_IF_ERROR(
        check(cudaGraphLaunch(bucket.graph, shared_.stream.get()), "launching a graph"));
    moved_ += bucket.moved;
  } else {
    const Traffic before = shared_.traffic();
    DCC_RETURN_IF_ERROR(copyStep(bucket));
    // Observed or not, ranks' collectives have the same sizes.
    const StepState state =
        decodes ? stateOf(bucket, bucket.layout.T(), bucket.layout.B(), bucket.sizes)
                : stateOf(bucket, step.T(), step.B(), context.sizes);
    DCC_RETURN_IF_ERROR(context.observer != nullptr ? runObserved(context, state)
                                                    : enqueueAll(state, context.position));
    moved_ += shared_.traffic() - before;
  }
  DCC_RETURN_IF_ERROR(copyOutputs(context.sizes));
  return wait(&context.position);
}

Status CudaProgram::runObserved(const StepContext& context, const StepState& state) {
  const auto asks = [&](uint32_t i) { return context.observer->asks(entry_, i); };
  std::vector<Observer::Asks> asked(single_.size());
  for (uint32_t i = 0; i < asked.size(); ++i) asked[i] = asks(i);
  const auto most = std::ranges::max_element(asked);
  if (most == asked.end() || *most == Observer::Asks::kTimes) return runTimed(context, state);

  // One instruction at a time, results brought to the host where they are asked for.
  arena_.resize(plan_.entries()->Get(entry_)->arena_bytes());
  DCC_RETURN_IF_ERROR(wait());
  context.observer->begins(steadyNanoseconds());
  for (uint32_t i = 0; i < single_.size(); ++i) {
    context.position.store(i, std::memory_order_relaxed);
    DCC_RETURN_IF_ERROR(enqueue(i, single_[i], state));
    DCC_RETURN_IF_ERROR(check(cudaGetLastError(), "launching a kernel"));
    DCC_RETURN_IF_ERROR(wait());
    const int64_t end = steadyNanoseconds();
    if (asked[i] != Observer::Asks::kTimes) {
      DCC_RETURN_IF_ERROR(moveResults(i, context.sizes, cudaMemcpyDeviceToHost));
    }
    DCC_RETURN_IF_ERROR(context.observer->ran({entry_, i, end, context.sizes, arena_.data()}));
    if (asked[i] == Observer::Asks::kFaults) {
      DCC_RETURN_IF_ERROR(moveResults(i, context.sizes, cudaMemcpyHostToDevice));
    }
  }
  findLargest(state);
  return Status::success();
}

// As an unobserved step without a graph, with an event after each launch.
Status CudaProgram::runTimed(const StepContext& context, const StepState& state) {
  const auto all = static_cast<uint32_t>(fused_.size());
  while (ends_.size() < all + 2) {
    DCC_ASSIGN(Event event, Event::create(cudaEventDefault));
    ends_.push_back(std::move(event));
  }
  const auto record = [&](uint32_t i) {
    return check(cudaEventRecord(ends_[i].get(), shared_.stream.get()), "timing");
  };
  const auto since = [&](uint32_t i) -> Result<int64_t> {
    float milliseconds = 0;
    DCC_RETURN_IF_ERROR(
        check(cudaEventElapsedTime(&milliseconds, ends_[all].get(), ends_[i].get()), "timing"));
    return static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
  };
  DCC_RETURN_IF_ERROR(record(all));
  for (uint32_t i = 0; i < all; ++i) {
    context.position.store(i, std::memory_order_relaxed);
    DCC_RETURN_IF_ERROR(enqueue(i, fused_[i], state));
    if (fused_[i]) DCC_RETURN_IF_ERROR(record(i));
  }
  findLargest(state);
  DCC_RETURN_IF_ERROR(record(all + 1));
  DCC_RETURN_IF_ERROR(check(cudaGetLastError(), "launching kernels"));
  DCC_RETURN_IF_ERROR(wait(&context.position));
  // The device's times on the host's clock, by the end, which has just been seen.
  DCC_ASSIGN(const int64_t whole, since(all + 1));
  const int64_t begin = steadyNanoseconds() - whole;
  context.observer->begins(begin);
  int64_t end = begin;
  for (uint32_t i = 0; i < all; ++i) {
    if (fused_[i]) {
      DCC_ASSIGN(const int64_t after, since(i));
      end = begin + after;
    }
    DCC_RETURN_IF_ERROR(context.observer->ran({entry_, i, end, context.sizes, nullptr}));
  }
  return Status::success();
}

// Between the arena and the observer's copy of it.
Status CudaProgram::moveResults(uint32_t instruction, std::span<const int64_t> sizes,
                                cudaMemcpyKind kind) {
  const fb::Entry& entry = *plan_.entries()->Get(entry_);
  for (const plan::Write& write :
       plan::accessesOf(*entry.instructions()->Get(instruction)).writes) {
    const fb::Buffer& buffer = *entry.buffers()->Get(write.buffer);
    const size_t element = byteSize(static_cast<DType>(buffer.dtype()));
    const size_t pitch = buffer.row_stride() * element, rows = sizes[buffer.rows()];
    std::byte* device = memory_.arena + buffer.offset();
    std::byte* host = arena_.data() + buffer.offset();
    const bool fetch = kind == cudaMemcpyDeviceToHost;
    DCC_RETURN_IF_ERROR(
        check(cudaMemcpy2DAsync(fetch ? host : device, pitch, fetch ? device : host, pitch,
                                buffer.cols() * element, rows, kind, shared_.stream.get()),
              "looking at results"));
  }
  return wait();
}

Status CudaProgram::copyOutputs(std::span<const int64_t> sizes) {
  for (OutputCopy& output : outputs_) {
    const Matrix& m = output.buffer.matrix;
    if (output.largest.size() > 0) {
      output.rows = sizes[output.buffer.rows];
      DCC_RETURN_IF_ERROR(check(cudaMemcpyAsync(output.largest_host.data(), output.largest.data(),
                                                output.rows * sizeof(Largest),
                                                cudaMemcpyDeviceToHost, shared_.stream.get()),
                                "bringing the largest logits to the host"));
      if (!whole_outputs_) continue;
    }
    const size_t pitch = m.stride * sizeof(float);
    DCC_RETURN_IF_ERROR(check(
        cudaMemcpy2DAsync(output.memory.data(), pitch, m.data, pitch, m.cols * sizeof(float),
                          sizes[output.buffer.rows], cudaMemcpyDeviceToHost, shared_.stream.get()),
        "bringing an output to the host"));
  }
  return Status::success();
}

// Until all of the stream has run. Whoever waits for a rank that is gone is told by the
// communicators. `position`: of many instructions, of which it becomes the one that failed.
Status CudaProgram::wait(std::atomic<uint32_t>* position) {
  DCC_RETURN_IF_ERROR(
      check(cudaEventRecord(shared_.done.get(), shared_.stream.get()), "ending a step"));
  if (position != nullptr) position->store(kSomeInstruction, std::memory_order_relaxed);
  const auto begin = std::chrono::steady_clock::now();
  std::optional<uint32_t> failed_at;
  Status status = waitFor(shared_.done.get(), shared_.axes, shared_.group.deadline, &failed_at);
  waited_ += std::chrono::steady_clock::now() - begin;
  if (position != nullptr && failed_at) position->store(*failed_at, std::memory_order_relaxed);
  return status;
}

}  // namespace dcc::cuda
