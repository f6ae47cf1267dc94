#include "runtime/executor/digests.h"

#include <cmath>

#include "runtime/base/dtype.h"
#include "runtime/base/float_bits.h"
#include "runtime/plan/access.h"
#include "runtime/plan/dataflow.h"

namespace dcc {
namespace {

namespace fb = plan::fb;

template <class T, class ToF32>
void addRow(const std::byte* row, int64_t cols, ToF32 to_f32, Digest& digest) {
  const T* elements = reinterpret_cast<const T*>(row);
  for (int64_t c = 0; c < cols; ++c) {
    const double x = to_f32(elements[c]);
    digest.sum += x;
    digest.squares += x * x;
    const double magnitude = std::fabs(x);
    if (magnitude > digest.largest || std::isnan(magnitude)) digest.largest = magnitude;
  }
}

}  // namespace

Digest digestOf(const std::byte* data, DType dtype, int64_t rows, int64_t cols, int64_t stride) {
  Digest digest{rows, cols};
  for (int64_t r = 0; r < rows; ++r) {
    const std::byte* row = data + r * stride * static_cast<int64_t>(byteSize(dtype));
    if (dtype == DType::kBF16) {
      addRow<uint16_t>(row, cols, bf16ToF32, digest);
    } else if (dtype == DType::kF16) {
      addRow<uint16_t>(row, cols, f16ToF32, digest);
    } else {
      addRow<float>(
          row, cols, [](float x) { return x; }, digest);
    }
  }
  return digest;
}

Digests::Digests(const fb::Plan& plan) : plan_(plan) {
  for (const fb::Entry* entry : plan::rows(plan.entries())) {
    const std::vector<bool> partial = plan::partialResults(*entry);
    std::vector<Result>& results = results_.emplace_back();
    for (uint32_t i = 0; i < partial.size(); ++i) {
      for (const plan::Write& write : plan::accessesOf(*entry->instructions()->Get(i)).writes) {
        results.push_back({i, write.buffer, partial[i]});
      }
    }
  }
}

Status Digests::ran(const Ran& ran) {
  const std::vector<Result>& results = results_[ran.entry];
  for (size_t i = digests_.size(); i < results.size() && results[i].instruction == ran.instruction;
       ++i) {
    const fb::Buffer& buffer = *plan_.entries()->Get(ran.entry)->buffers()->Get(results[i].buffer);
    digests_.push_back(digestOf(ran.arena + buffer.offset(), static_cast<DType>(buffer.dtype()),
                                ran.sizes[buffer.rows()], static_cast<int64_t>(buffer.cols()),
                                static_cast<int64_t>(buffer.row_stride())));
  }
  return Status::success();
}

}  // namespace dcc
