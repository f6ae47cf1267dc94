// Each rank has the gates of all rows, so all know who sends how much to whom, and nothing but rows
// travels.
#include "runtime/backends/cpu/exchange.h"

#include <algorithm>
#include <cstring>

#include "runtime/plan/access.h"
#include "runtime/plan/workspace.h"

namespace dcc::cpu {
namespace {

// Who is asked for which rows in a step.
class Asked {
 public:
  // `counts`: sizes that say how many rows each of the ranks has.
  Asked(const fb::Collective& collective, int64_t most_rows, uint32_t ranks)
      : ranks_(ranks), asked_(most_rows * ranks), begins_(ranks + 1) {
    for (uint32_t count : plan::rows(collective.counts())) counts_.push_back(count);
    for (uint64_t bound : plan::rows(collective.experts())) {
      experts_.push_back(static_cast<int64_t>(bound));
    }
  }

  void read(const StepState& s, const Matrix& gates) {
    for (uint32_t r = 0; r < ranks_; ++r) begins_[r + 1] = begins_[r] + s.sizes[counts_[r]];
    for (int64_t t = 0; t < gates.rows; ++t) {
      const float* row = gates.f32(t);
      for (uint32_t r = 0; r < ranks_; ++r) {
        asked_[t * ranks_ + r] = std::any_of(row + experts_[2 * r], row + experts_[2 * r + 1],
                                             [](float gate) { return gate != 0; });
      }
    }
  }

  uint32_t ranks() const { return ranks_; }
  bool operator()(int64_t row, uint32_t rank) const { return asked_[row * ranks_ + rank] != 0; }
  // The rows that are a rank's own, whoever is asked for them.
  int64_t begin(uint32_t rank) const { return begins_[rank]; }
  int64_t end(uint32_t rank) const { return begins_[rank + 1]; }
  // Of the rows of `owner` those that `rank` is asked for.
  size_t count(uint32_t owner, uint32_t rank) const {
    size_t n = 0;
    for (int64_t t = begin(owner); t < end(owner); ++t) n += (*this)(t, rank);
    return n;
  }

 private:
  uint32_t ranks_;
  std::vector<uint32_t> counts_;
  std::vector<int64_t> experts_;
  std::vector<uint8_t> asked_;  // [rows, ranks]
  std::vector<int64_t> begins_;
};

// One exchange, with the memory it needs.
struct Exchange {
  Exchange(PrepareContext& context, const fb::Collective& c, Communicator& communicator)
      : in(context.buffer(c.input())),
        out(context.buffer(c.output())),
        gates(context.buffer(static_cast<uint32_t>(c.gates()))),
        scratch(plan::collectiveWorkspace(context.entry(), c, context.maxSizes())),
        group(&communicator),
        asked(c, context.maxSizes()[context.entry().buffers()->Get(c.gates())->rows()],
              communicator.size()),
        bytes(size_t{communicator.size()} * communicator.size()),
        parts(communicator.size()) {}

  BufferRef in, out, gates;
  plan::CollectiveWorkspace scratch;  // what is sent, and what is received
  Communicator* group;
  Asked asked;
  std::vector<size_t> bytes;        // from rank to rank
  std::vector<const float*> parts;  // of one row's sum
};

void copyBytes(std::byte*& to, const std::byte* from, size_t bytes) {
  std::memcpy(to, from, bytes);
  to += bytes;
}

// Rows go from those who have them to those who are asked for them.
Status dispatch(StepState& s, Exchange& e) {
  const Matrix in = e.in.at(s), out = e.out.at(s);
  const size_t row_bytes = in.cols * byteSize(in.dtype);
  const uint32_t self = e.group->rank(), ranks = e.asked.ranks();
  e.asked.read(s, e.gates.at(s));
  const int64_t first = e.asked.begin(self);
  std::byte* packed = s.scratch;
  for (uint32_t r = 0; r < ranks; ++r) {
    for (uint32_t to = 0; to < ranks; ++to) {
      e.bytes[r * ranks + to] = r == to ? 0 : e.asked.count(r, to) * row_bytes;
    }
    if (r == self) continue;
    for (int64_t t = first; t < e.asked.end(self); ++t) {
      if (e.asked(t, r)) copyBytes(packed, in.at(t - first, 0), row_bytes);
    }
  }
  const std::byte* received = s.scratch + e.scratch.in;
  DCC_RETURN_IF_ERROR(e.group->allToAll(s.scratch, s.scratch + e.scratch.in, e.bytes));
  for (uint32_t r = 0; r < ranks; ++r) {
    for (int64_t t = e.asked.begin(r); t < e.asked.end(r); ++t) {
      if (!e.asked(t, self)) {
        std::memset(out.at(t, 0), 0, row_bytes);
      } else if (r == self) {
        std::memcpy(out.at(t, 0), in.at(t - first, 0), row_bytes);
      } else {
        std::memcpy(out.at(t, 0), received, row_bytes);
        received += row_bytes;
      }
    }
  }
  return Status::success();
}

// Results go back to those whose rows they are, who add them up in the order of ranks.
Status combine(StepState& s, Exchange& e) {
  const Matrix in = e.in.at(s), out = e.out.at(s);
  const size_t row_bytes = in.cols * sizeof(float);
  const uint32_t self = e.group->rank(), ranks = e.asked.ranks();
  e.asked.read(s, e.gates.at(s));
  std::byte* packed = s.scratch;
  for (uint32_t r = 0; r < ranks; ++r) {
    for (uint32_t to = 0; to < ranks; ++to) {
      e.bytes[r * ranks + to] = r == to ? 0 : e.asked.count(to, r) * row_bytes;
    }
    if (r == self) continue;
    for (int64_t t = e.asked.begin(r); t < e.asked.end(r); ++t) {
      if (e.asked(t, self)) copyBytes(packed, in.at(t, 0), row_bytes);
    }
  }
  std::byte* const received = s.scratch + e.scratch.in;
  DCC_RETURN_IF_ERROR(e.group->allToAll(s.scratch, received, e.bytes));
  // Where each rank's next row is.
  std::byte* next = received;
  for (uint32_t r = 0; r < ranks; ++r) {
    e.parts[r] = reinterpret_cast<const float*>(next);
    next += e.bytes[r * ranks + self];
  }
  for (int64_t t = e.asked.begin(self); t < e.asked.end(self); ++t) {
    float* sum = out.f32(t - e.asked.begin(self));
    std::fill_n(sum, out.cols, 0.0f);
    for (uint32_t r = 0; r < ranks; ++r) {
      if (!e.asked(t, r)) continue;
      const float* part = r == self ? in.f32(t) : e.parts[r];
      for (int64_t c = 0; c < out.cols; ++c) sum[c] += part[c];
      if (r != self) e.parts[r] += out.cols;
    }
  }
  return Status::success();
}

}  // namespace

Op prepareExchange(PrepareContext& context, const fb::Collective& collective, Communicator& group) {
  const bool gathers = collective.kind() == fb::CollectiveKind::all_gather;
  return [gathers, exchange = Exchange(context, collective, group)](StepState& s) mutable {
    return gathers ? dispatch(s, exchange) : combine(s, exchange);
  };
}

}  // namespace dcc::cpu
