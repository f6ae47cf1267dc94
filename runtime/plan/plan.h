// Plans in memory: load, check, hash, print. Used by dcc (emission, `dcc verify`), drun and the
// fuzzer alike.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plan_generated.h"
#include "runtime/base/hash.h"
#include "runtime/base/status.h"

namespace dcc::plan {

inline constexpr uint16_t kMajor = 0;
inline constexpr uint16_t kMinor = 3;

// Indices into Plan.variables and the values of a step: T tokens, B sequences, both at least 1.
inline constexpr uint32_t kT = 0, kB = 1, kVariables = 2;
// Where buffers that are no views begin in the arena: multiples of this many bytes.
inline constexpr uint64_t kBufferAlignment = 64;
// What Plan.features may hold: files that are drawn at random; weights whose elements lie apart in
// the file or have something added to them, or are stored in few bits with scales; sums in the
// order of invariant numerics; collectives that move only the rows which experts are asked for.
inline constexpr std::string_view kRandomWeights = "random_weights";
inline constexpr std::string_view kWeightViews = "weight_views";
inline constexpr std::string_view kBlockScaled = "block_scaled";
inline constexpr std::string_view kInvariantNumerics = "invariant_numerics";
inline constexpr std::string_view kExpertExchange = "expert_exchange";
// Most parts of k whose sums are added as a tree (Gemm.chunks).
inline constexpr uint32_t kMaxChunks = 8;
// No real plan comes near these; they bound the verifier's work.
inline constexpr uint32_t kMaxEntries = 64, kMaxAxes = 8, kMaxSizes = 65536;

// A verified plan and the bytes it lies in.
class Plan {
 public:
  // Errors (user): not readable, no plan, damaged, unknown major or feature or kernel (all that is
  // missing in one message), inconsistent (see verify). `path` is named in them.
  static Result<Plan> load(const std::string& path);
  static Result<Plan> fromBytes(std::vector<uint8_t> bytes, const std::string& name);

  const fb::Plan& operator*() const { return *root_; }
  const fb::Plan* operator->() const { return root_; }
  std::span<const uint8_t> bytes() const { return *bytes_; }

 private:
  std::shared_ptr<const std::vector<uint8_t>> bytes_;
  const fb::Plan* root_ = nullptr;
};

// Our own verification after FlatBuffers': every index in range; size expressions topological and
// within bounds without overflow; buffers inside the arena, views inside their base; buffers alive
// at the same time don't overlap (a buffer lives from the first instruction that writes it to the
// last that reads it, views counted with their base, outputs to the end); weights filled by their
// pieces exactly once, pieces inside their file; kernels with the operands and attributes of
// kernels.h and shapes that agree; caches inside their page; collectives with one count per rank
// of their axis; nothing read before it is written; hashes equal to those recomputed.
Status verify(const fb::Plan& plan, const std::string& name);

// Hash of this rank's program: all but what is there for messages (model, modules, reasons, paths
// and tensor names, names of constants and page groups) and the hashes themselves.
Hash programHash(const fb::Plan& plan);
// The same, but gives up after hashing `budget` bytes (tables of a hostile file may share vectors,
// so that a small file unfolds into an endless plan) and at a vector whose elements are not
// aligned.
std::optional<Hash> programHash(const fb::Plan& plan, uint64_t budget);
// Hash of what must agree among the ranks of a group along `axis`: per entry the sequence of
// collectives on that axis (kind, reduction, dtype, sizes, counts).
Hash collectiveHash(const fb::Plan& plan, uint32_t axis);
// Over the ranks' program hashes, in rank order.
Hash compilationId(std::span<const Hash> programs);

// A verified plan as text, one line per table row; stable, for tests and people.
std::string dump(const fb::Plan& plan);

// Values of all size expressions for the given values of Plan.variables; `out` has one element per
// node. The plan is verified, the values are within the entry's bounds.
void evaluateSizes(const fb::Plan& plan, std::span<const int64_t> variables,
                   std::span<int64_t> out);

// Bytes of a plan, hashes filled in. The compiler's last step and the tests' first.
std::vector<uint8_t> pack(fb::PlanT& plan);
// Fills compilation_id of all ranks' plans and packs them.
std::vector<std::vector<uint8_t>> packAll(std::span<fb::PlanT> ranks);

}  // namespace dcc::plan
