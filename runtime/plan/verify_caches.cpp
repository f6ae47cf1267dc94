#include <algorithm>

#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"
#include "runtime/base/printable.h"
#include "runtime/plan/verify_internal.h"

namespace dcc::plan {
namespace {

// Bytes of a page that hold the keys or the values of one layer.
struct Extent {
  uint64_t begin, end;
  const fb::Cache* cache;
};

// Nothing when it overflows or is not a whole number of elements from the page's start.
std::optional<Extent> extent(const fb::Cache& cache, uint32_t dim, uint64_t offset,
                             uint32_t tokens_per_page) {
  uint64_t element = byteSize(static_cast<DType>(cache.dtype()));
  std::optional<uint64_t> bytes =
      checkedMul(uint64_t{cache.heads()} * tokens_per_page, dim * element);
  std::optional<uint64_t> end = bytes ? checkedAdd(offset, *bytes) : std::nullopt;
  if (!end || *bytes == 0 || offset % element != 0) return std::nullopt;
  return Extent{offset, *end, &cache};
}

Status verifyGroup(const fb::PageGroup& group, std::vector<Extent> extents,
                   const std::string& where) {
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  uint64_t end = 0;
  for (const Extent& extent : extents) {
    std::string cache = "cache " + printable(text(extent.cache->module_()));
    if (extent.begin < end) return userError(where + ": " + cache + " overlaps another one");
    end = extent.end;
    if (end > group.bytes_per_page()) {
      return userError(where + ": " + cache + " ends at byte " + std::to_string(end) +
                       " of pages of " + std::to_string(group.bytes_per_page()));
    }
  }
  return Status::success();
}

}  // namespace

Status verifyCaches(const fb::Plan& plan, const std::string& name) {
  Rows groups = rows(plan.page_groups());
  uint64_t total_bytes = 0;
  for (const fb::PageGroup* group : groups) {
    std::string where = name + ": page group " + printable(text(group->name()));
    if (group->tokens_per_page() == 0 || group->pages() == 0 || group->pages() > INT32_MAX) {
      return userError(where + ": must have pages, at most " + std::to_string(INT32_MAX) +
                       ", and tokens in them");
    }
    std::optional<uint64_t> bytes = checkedMul(group->pages(), group->bytes_per_page());
    if (bytes) bytes = checkedAdd(total_bytes, *bytes);
    if (!bytes || group->bytes_per_page() == 0 || *bytes > INT64_MAX) {
      return userError(where + ": " + std::to_string(group->pages()) + " pages of " +
                       std::to_string(group->bytes_per_page()) + " bytes are impossible");
    }
    total_bytes = *bytes;
  }
  std::vector<std::vector<Extent>> extents(groups.size());
  for (const fb::Cache* cache : rows(plan.caches())) {
    std::string where = name + ": cache " + printable(text(cache->module_()));
    if (cache->group() >= groups.size()) {
      return userError(where + ": is in page group " + std::to_string(cache->group()) +
                       ", which the plan doesn't have");
    }
    if (cache->dtype() != fb::DType::f32 && cache->dtype() != fb::DType::bf16 &&
        cache->dtype() != fb::DType::f16) {
      return userError(where + ": must be f32, bf16 or f16");
    }
    uint32_t tokens = groups[cache->group()]->tokens_per_page();
    std::optional<Extent> k = extent(*cache, cache->k_dim(), cache->k_offset(), tokens);
    std::optional<Extent> v = extent(*cache, cache->v_dim(), cache->v_offset(), tokens);
    if (!k || !v) return userError(where + ": its keys or values have an impossible place or size");
    extents[cache->group()].push_back(*k);
    extents[cache->group()].push_back(*v);
  }
  for (uint32_t i = 0; i < groups.size(); ++i) {
    std::string where = name + ": page group " + printable(text(groups[i]->name()));
    DCC_RETURN_IF_ERROR(verifyGroup(*groups[i], std::move(extents[i]), where));
  }
  return Status::success();
}

}  // namespace dcc::plan
