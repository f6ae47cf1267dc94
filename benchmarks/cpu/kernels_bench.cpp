// How close the CPU kernels come to what the machine can do: GEMV against a plain loop that reads
// memory, GEMM and attention against multiply-adds in registers. Best of several runs, all in this
// process, one after the other.
//
//   kernels_bench [--threads N] [--instructions avx2] [--filter TEXT]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "benchmarks/cpu/machine.h"
#include "runtime/backends/cpu/bandwidth.h"
#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/backends/cpu/gemm.h"
#include "runtime/backends/cpu/kernels.h"
#include "runtime/backends/cpu/memory.h"
#include "runtime/plan/workspace.h"

namespace dcc::cpu {
namespace {

// Seconds of the fastest of the calls that fit half a second, at least three.
double best(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  double fastest = 1e30, total = 0;
  call();
  for (int i = 0; i < 3 || total < 0.5; ++i) {
    const auto start = Clock::now();
    call();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    fastest = std::min(fastest, seconds);
    total += seconds;
  }
  return fastest;
}

// A matrix in huge pages, filled with small values.
struct Buffer {
  Buffer(int64_t rows, int64_t cols, DType type)
      : memory(Memory::map(rows * cols * byteSize(type)).value()) {
    view = {memory.data(), type, rows, cols, cols};
    std::vector<float> row(cols);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        row[c] = static_cast<float>((r * 31 + c * 17) % 255 - 127) / 1024;
      }
      fromF32(row.data(), type, view.at(r, 0), cols);
    }
  }
  WeightView weight() const {
    return {memory.data(), view.dtype, view.rows, view.cols, view.cols, 0};
  }
  Memory memory;
  Matrix view;
};

struct Bench {
  ThreadPool& pool;
  std::string filter;
  double bandwidth = 0;  // bytes/s
  double flops = 0;      // f32, all threads
  double bf16_flops = 0;

  bool wants(const std::string& name) const { return name.find(filter) != std::string::npos; }

  void gemm(const char* name, int64_t rows, int64_t n, int64_t k, DType a_type, DType type) const {
    const std::string label = std::string(name) + " " + std::string(dcc::name(a_type)) + " x " +
                              std::string(dcc::name(type)) + " rows " + std::to_string(rows);
    if (!wants(label)) return;
    // Enough copies of the weights that none is still in a cache when its turn comes again.
    const int64_t bytes = n * k * static_cast<int64_t>(byteSize(type));
    const int64_t copies = rows > 64 ? 1 : std::max<int64_t>(1, (192 << 20) / bytes);
    const Buffer weights(n * copies, k, type), a(rows, k, a_type), out(rows, n, a_type);
    const Memory scratch =
        Memory::map(plan::gemmWorkspace(rows, k, 1, a_type, a_type, pool.threads()).bytes())
            .value();
    const double seconds = best([&] {
                             for (int64_t i = 0; i < copies; ++i) {
                               WeightView w = weights.weight();
                               w.data = w.row(i * n);
                               w.rows = n;
                               cpu::gemm(pool, a.view, w, nullptr, 1, out.view, scratch.data());
                             }
                           }) /
                           static_cast<double>(copies);
    const double rate = 2.0 * static_cast<double>(rows * n * k) / seconds;
    std::printf("%-34s %9.1f us  %7.1f GB/s (%3.0f %%)  %8.1f GFLOP/s (%3.0f %%)\n", label.c_str(),
                seconds * 1e6, static_cast<double>(bytes) / seconds / 1e9,
                100 * static_cast<double>(bytes) / seconds / bandwidth, rate / 1e9,
                100 * rate / (a_type == DType::kBF16 ? bf16_flops : flops));
  }

  // One layer's attention: `tokens` new tokens at the end of `length`, 32 heads sharing 4.
  void attention(int64_t tokens, int64_t length, int64_t dim, DType type) const {
    const std::string label = "attention " + std::string(dcc::name(type)) + " tokens " +
                              std::to_string(tokens) + " of " + std::to_string(length) + ", dim " +
                              std::to_string(dim);
    if (!wants(label)) return;
    const int64_t heads = 32, kv_heads = 4, per_page = 64;
    CacheView cache;
    cache.tokens_per_page = per_page;
    cache.heads = kv_heads;
    cache.dtype = type;
    cache.k_dim = cache.v_dim = dim;
    cache.v_offset = kv_heads * per_page * dim * static_cast<int64_t>(byteSize(type));
    cache.bytes_per_page = 2 * cache.v_offset;
    const int64_t pages = (length + per_page - 1) / per_page;
    const Buffer bytes(pages, cache.bytes_per_page / static_cast<int64_t>(byteSize(type)), type);
    cache.pool = bytes.memory.data();
    std::vector<int32_t> table(pages), positions(tokens);
    std::iota(table.begin(), table.end(), 0);
    std::iota(positions.begin(), positions.end(), static_cast<int32_t>(length - tokens));
    const std::vector<int32_t> starts = {0, static_cast<int32_t>(tokens)};
    const Buffer q(tokens, heads * dim, type), out(tokens, heads * dim, type);
    const Memory scratch =
        Memory::map(plan::attentionWorkspaceBytes({dim, dim, heads / kv_heads, 0}, pool.threads()))
            .value();
    const double seconds = best([&] {
      cpu::attention(pool, q.view, cache, {starts, positions, table.data(), pages},
                     {dim, 0.125f, 0}, out.view, scratch.data());
    });
    const double pairs = static_cast<double>(tokens) * static_cast<double>(length) -
                         static_cast<double>(tokens) * static_cast<double>(tokens - 1) / 2;
    const double rate = 4 * pairs * static_cast<double>(heads * dim) / seconds;
    const double read = 2.0 * static_cast<double>(byteSize(type)) *
                        static_cast<double>(length * kv_heads * dim) / seconds;
    std::printf("%-34s %9.1f us  %7.1f GB/s (%3.0f %%)  %8.1f GFLOP/s (%3.0f %%)\n", label.c_str(),
                seconds * 1e6, read / 1e9, 100 * read / bandwidth, rate / 1e9,
                100 * rate / (type == DType::kBF16 ? bf16_flops : flops));
  }

  void elementwise(int64_t rows, int64_t cols) const {
    const std::string label =
        "silu(gate) * up " + std::to_string(rows) + " x " + std::to_string(cols);
    if (!wants(label)) return;
    const Buffer gate(rows, cols, DType::kF32), up(rows, cols, DType::kF32);
    const double seconds =
        best([&] { gatedActivation(pool, plan::Function::kSilu, gate.view, up.view, gate.view); });
    std::printf("%-34s %9.1f us  %7.2f ns per element\n", label.c_str(), seconds * 1e6,
                seconds * 1e9 / static_cast<double>(rows * cols));
  }

  void dispatch() const {
    if (!wants("dispatch")) return;
    const double seconds = best([&] {
      for (int i = 0; i < 1000; ++i) pool.run(pool.threads(), [](int64_t, uint32_t) {});
    });
    std::printf("%-34s %9.2f us\n", "dispatch of an empty job", seconds * 1e3);
  }
};

int run(int argc, char** argv) {
  uint32_t threads = 1;
  std::string instructions, filter;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--threads") {
      threads = static_cast<uint32_t>(std::max(1L, std::strtol(argv[i + 1], nullptr, 10)));
    }
    if (option == "--instructions") instructions = argv[i + 1];
    if (option == "--filter") filter = argv[i + 1];
  }
  if (const Status status = forceCpuInstructionSet(instructions); !status.ok()) {
    std::fprintf(stderr, "error: %s\n", status.error().message.c_str());
    return 2;
  }
  ThreadPool pool(threads);
  Bench bench{pool, filter};
  bench.bandwidth = measureReadBandwidth(pool, size_t{384} << 20).value();
  bench.flops = measureMultiplyAdd(pool);
  bench.bf16_flops = measureBf16(pool);
  std::printf("%s, %u threads: reads %.1f GB/s, multiplies and adds f32 %.0f, bf16 %.0f GFLOP/s\n",
              cpuInstructionSet().c_str(), threads, bench.bandwidth / 1e9, bench.flops / 1e9,
              bench.bf16_flops / 1e9);
  bench.dispatch();
  using enum DType;
  for (const auto& [a, weight] : {std::pair(kF32, kF32), std::pair(kF32, kBF16),
                                  std::pair(kF32, kF16), std::pair(kBF16, kBF16)}) {
    for (int64_t rows : {1, 2, 4, 8, 16, 512}) {
      bench.gemm("2048 -> 5632", rows, 5632, 2048, a, weight);
    }
    if (weight != kBF16) continue;
    for (int64_t rows : {1, 8, 512}) {
      bench.gemm("5632 -> 2048", rows, 2048, 5632, a, weight);
      bench.gemm("2048 -> 2048", rows, 2048, 2048, a, weight);
      bench.gemm("896 -> 256", rows, 256, 896, a, weight);
      bench.gemm("2048 -> 32000", rows, 32000, 2048, a, weight);
    }
  }
  for (DType type : {DType::kF32, DType::kBF16}) {
    for (int64_t dim : {64, 128}) {
      bench.attention(1, 16384, dim, type);
      bench.attention(512, 512, dim, type);
      bench.attention(512, 4096, dim, type);
    }
  }
  bench.elementwise(1, 5632);
  bench.elementwise(512, 5632);
  return 0;
}

}  // namespace
}  // namespace dcc::cpu

int main(int argc, char** argv) { return dcc::cpu::run(argc, argv); }
