// Kernels that only move rows and parts of them.
#include <algorithm>

#include "runtime/backends/cpu/kernels.h"

namespace dcc::cpu {

void lastToken(const Matrix& x, std::span<const int32_t> starts, const Matrix& out) {
  for (int64_t b = 0; b < out.rows; ++b) copyRow(x, starts[b + 1] - 1, 0, out, b, 0, x.cols);
}

void firstToken(const Matrix& x, std::span<const int32_t> starts, const Matrix& out) {
  for (int64_t b = 0; b < out.rows; ++b) copyRow(x, starts[b], 0, out, b, 0, x.cols);
}

// In order of the tokens, so that a sequence's mean is the same in every step.
void meanTokens(const Matrix& x, std::span<const int32_t> starts, const Matrix& out) {
  Reader reader(x);
  Writer writer(out);
  for (int64_t b = 0; b < out.rows; ++b) {
    forBlocks(x.cols, [&](int64_t col, int64_t n) {
      float* sum = writer.begin(b, col, n);
      std::fill(sum, sum + n, 0.0f);
      for (int64_t t = starts[b]; t < starts[b + 1]; ++t) {
        const float* row = reader.read(t, col, n);
        for (int64_t c = 0; c < n; ++c) sum[c] += row[c];
      }
      const auto count = static_cast<float>(starts[b + 1] - starts[b]);
      for (int64_t c = 0; c < n; ++c) sum[c] /= count;
      writer.end();
    });
  }
}

void sliceColumns(const Matrix& x, std::span<const int64_t> ranges, const Matrix& out) {
  for (int64_t r = 0; r < x.rows; ++r) {
    int64_t to = 0;
    for (size_t i = 0; i + 1 < ranges.size(); i += 2) {
      const int64_t n = ranges[i + 1] - ranges[i];
      copyRow(x, r, ranges[i], out, r, to, n);
      to += n;
    }
  }
}

void sliceRows(const Matrix& x, int64_t part, int64_t parts, const Matrix& out) {
  const int64_t first = part * (x.rows / parts) + std::min(part, x.rows % parts);
  for (int64_t r = 0; r < out.rows; ++r) copyRow(x, first + r, 0, out, r, 0, x.cols);
}

void sliceHeads(ThreadPool& pool, const Matrix& x, int64_t head_dim, int64_t first, int64_t size,
                const Matrix& out) {
  pool.forRanges(x.rows, rowGrain(out.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t h = 0; h < x.cols / head_dim; ++h) {
        copyRow(x, r, h * head_dim + first, out, r, h * size, size);
      }
    }
  });
}

void extendHeads(ThreadPool& pool, const Matrix& x, const Matrix& y, int64_t head_dim,
                 const Matrix& out) {
  const int64_t whole = head_dim + y.cols;
  pool.forRanges(x.rows, rowGrain(out.cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t h = 0; h < x.cols / head_dim; ++h) {
        copyRow(x, r, h * head_dim, out, r, h * whole, head_dim);
        copyRow(y, r, 0, out, r, h * whole + head_dim, y.cols);
      }
    }
  });
}

void kvWrite(ThreadPool& pool, const Matrix& k, const Matrix& v, const CacheView& cache,
             const SequenceView& seqs) {
  const auto write = [&](int64_t b, int64_t t) {
    const int64_t page = seqs.page(b, seqs.positions[t] / cache.tokens_per_page);
    const int64_t slot = seqs.positions[t] % cache.tokens_per_page;
    Matrix to;  // one slot
    to.dtype = cache.dtype;
    for (int64_t h = 0; h < cache.heads; ++h) {
      to.data = cache.k(page, h, slot);
      copyRow(k, t, h * cache.k_dim, to, 0, 0, cache.k_dim);
      to.data = cache.v(page, h, slot);
      copyRow(v, t, h * cache.v_dim, to, 0, 0, cache.v_dim);
    }
  };
  for (int64_t b = 0; b < seqs.count(); ++b) {
    const int64_t first = seqs.starts[b];
    pool.forRanges(seqs.starts[b + 1] - first, rowGrain(k.cols + v.cols),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t t = first + begin; t < first + end; ++t) write(b, t);
                   });
  }
}

}  // namespace dcc::cpu
