#include "runtime/backends/cuda/program.h"

#include <algorithm>
#include <utility>

#include "runtime/plan/access.h"
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

Status CudaProgram::capture(Bucket& bucket) {
  const int64_t size = bucket.layout.B();
  bucket.sizes.resize(plan::rows(plan_.sizes()).size());
  std::vector<int64_t> variables(plan::kVariables);
  variables[plan::kT] = variables[plan::kB] = size;
  plan::evaluateSizes(plan_, variables, bucket.sizes);
  const cudaStream_t stream = shared_.stream.get();
  const auto body = [&]() -> Status {
    DCC_RETURN_IF_ERROR(
        check(cudaMemcpyAsync(bucket.device.data(), bucket.host.data(), bucket.layout.bytes(),
                              cudaMemcpyHostToDevice, stream),
              "the step's copy to the device"));
    return enqueue(fused_, stateOf(bucket, size, size, bucket.sizes));
  };
  // Once without a capture, of padding only: what libraries load and take at their first call
  // cannot be captured.
  bucket.layout.fillEmpty(bucket.host.data());
  DCC_RETURN_IF_ERROR(body());
  DCC_RETURN_IF_ERROR(wait());

  DCC_RETURN_IF_ERROR(
      check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing a graph"));
  const Status captured = body();
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

Status CudaProgram::enqueue(const std::vector<Op>& ops, const StepState& state) {
  for (const Op& op : ops) {
    if (op) DCC_RETURN_IF_ERROR(op(state));
  }
  findLargest(state);
  return check(cudaGetLastError(), "launching kernels");
}

Status CudaProgram::run(const StepContext& context) {
  const Step& step = context.step;
  // A graph is of one token of each sequence.
  if (!buckets_.empty() && step.T() == step.B() && context.observer == nullptr) {
    Bucket& bucket = buckets_[bucketFor(bucket_sizes_, step.B())];
    bucket.layout.fill(step, bucket.host.data());
    DCC_RETURN_IF_ERROR(
        check(cudaGraphLaunch(bucket.graph, shared_.stream.get()), "launching a graph"));
  } else {
    whole_.layout.fill(step, whole_.host.data());
    DCC_RETURN_IF_ERROR(
        check(cudaMemcpyAsync(whole_.device.data(), whole_.host.data(), whole_.layout.bytes(),
                              cudaMemcpyHostToDevice, shared_.stream.get()),
              "the step's copy to the device"));
    const StepState state = stateOf(whole_, step.T(), step.B(), context.sizes);
    if (context.observer != nullptr) {
      DCC_RETURN_IF_ERROR(runObserved(context, state));
    } else {
      DCC_RETURN_IF_ERROR(enqueue(fused_, state));
    }
  }
  DCC_RETURN_IF_ERROR(copyOutputs(context.sizes));
  return wait();
}

// One instruction at a time, the arena brought to the host after each.
Status CudaProgram::runObserved(const StepContext& context, const StepState& state) {
  const size_t bytes = plan_.entries()->Get(entry_)->arena_bytes();
  arena_.resize(bytes);
  DCC_RETURN_IF_ERROR(wait());
  context.observer->begins();
  for (uint32_t i = 0; i < single_.size(); ++i) {
    context.position.store(i, std::memory_order_relaxed);
    DCC_RETURN_IF_ERROR(single_[i](state));
    DCC_RETURN_IF_ERROR(check(cudaGetLastError(), "launching a kernel"));
    DCC_RETURN_IF_ERROR(wait());
    DCC_RETURN_IF_ERROR(
        check(cudaMemcpy(arena_.data(), memory_.arena, bytes, cudaMemcpyDeviceToHost),
              "bringing results to the host"));
    DCC_RETURN_IF_ERROR(context.observer->ran(context.step.entry, i, context.sizes, arena_.data()));
  }
  findLargest(state);
  return Status::success();
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
// communicators.
Status CudaProgram::wait() {
  DCC_RETURN_IF_ERROR(
      check(cudaEventRecord(shared_.done.get(), shared_.stream.get()), "ending a step"));
  return waitFor(shared_.done.get(), shared_.axes, shared_.group.deadline);
}

}  // namespace dcc::cuda
