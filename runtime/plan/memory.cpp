#include <algorithm>

#include "runtime/base/dtype.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"

namespace dcc::plan {

Memory memoryOf(const fb::Plan& plan) {
  Memory memory;
  for (const fb::Weight* weight : rows(plan.weights())) {
    memory.weights +=
        weight->rows() * weight->cols() * byteSize(static_cast<DType>(weight->dtype()));
  }
  for (const fb::PageGroup* group : rows(plan.page_groups())) {
    memory.cache += group->pages() * group->bytes_per_page();
  }
  for (const fb::Entry* entry : rows(plan.entries())) {
    memory.arena = std::max(memory.arena, entry->arena_bytes());
  }
  return memory;
}

}  // namespace dcc::plan
