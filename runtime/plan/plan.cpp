#include "runtime/plan/plan.h"

#include <algorithm>

#include "runtime/base/file.h"
#include "runtime/plan/access.h"

namespace dcc::plan {
namespace {

constexpr uint64_t kMaxFileBytes = 1ull << 30;
// Plan -> entry -> instruction -> body is the deepest nesting there is.
constexpr uint32_t kMaxDepth = 8;
// The smallest table takes 4 bytes and its offset in a vector another 4.
constexpr size_t kMinBytesPerTable = 8;
// The program walk writes at most this many bytes for one of the file, when tables hold nothing but
// defaults and share no vectors.
constexpr uint64_t kWalkPerByte = 32;

Error damaged(const std::string& name) {
  return userError(name + ": is no plan or damaged; compile the model again");
}

}  // namespace

Result<Plan> Plan::load(const std::string& path) {
  DCC_ASSIGN(InputFile file, openInput(path));
  if (file.bytes > kMaxFileBytes) {
    return userError(path + ": has " + std::to_string(file.bytes) + " bytes; a plan has at most " +
                     std::to_string(kMaxFileBytes));
  }
  std::vector<uint8_t> bytes(file.bytes);
  DCC_RETURN_IF_ERROR(readAt(file, 0, bytes));
  return fromBytes(std::move(bytes), path);
}

Result<Plan> Plan::fromBytes(std::vector<uint8_t> bytes, const std::string& name) {
  // Smaller than a root offset and the identifier: GetPlan would read beyond.
  if (bytes.size() < 8 || bytes.size() > kMaxFileBytes ||
      !fb::PlanBufferHasIdentifier(bytes.data())) {
    return damaged(name);
  }
  flatbuffers::Verifier::Options options;
  options.max_depth = kMaxDepth;
  options.max_tables = static_cast<uint32_t>(bytes.size() / kMinBytesPerTable);
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), options);
  if (!fb::VerifyPlanBuffer(verifier)) return damaged(name);

  Plan plan;
  plan.bytes_ = std::make_shared<const std::vector<uint8_t>>(std::move(bytes));
  plan.root_ = fb::GetPlan(plan.bytes_->data());
  if (!programHash(*plan, kWalkPerByte * plan.bytes_->size()) ||
      !aligned(plan->collective_hashes())) {
    return damaged(name);
  }
  DCC_RETURN_IF_ERROR(verify(*plan, name));
  return plan;
}

}  // namespace dcc::plan
