#include "runtime/weights/loader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <thread>
#include <utility>

#include "runtime/base/checked.h"
#include "runtime/base/printable.h"
#include "runtime/base/safetensors.h"
#include "runtime/plan/access.h"
#include "runtime/weights/block_scaled.h"
#include "runtime/weights/convert.h"
#include "runtime/weights/random.h"

namespace dcc {
namespace {

using plan::rows;
using plan::text;
namespace fb = plan::fb;

// What one thread reads at a time, unless it goes straight to its place.
constexpr uint64_t kBlockBytes = 1 << 20;
// Runs of a piece that are this close are read together with the gaps between them: skipping a gap
// costs a system call, and the disk reads whole pages anyhow.
constexpr uint64_t kGapBytes = 16 << 10;

uint64_t sourceElement(const fb::Piece& piece) {
  return byteSize(static_cast<DType>(piece.source_dtype()));
}

// Elements of the file from the first to the last of a run.
uint64_t spanOf(const fb::Piece& piece, uint64_t elements) {
  return (elements - 1) * piece.source_step() + 1;
}

// Not of what is drawn at random: there a gap costs as much as the runs.
bool readsGaps(const fb::File& file, const fb::Piece& piece) {
  return !file.random() && piece.count() > 1 &&
         piece.source_stride() <= spanOf(piece, piece.run()) + kGapBytes / sourceElement(piece);
}

// Where a piece's bytes come from.
struct Source {
  const fb::File& row;
  const InputFile& file;  // closed where the row says random

  // Bytes from `offset` on, which hold elements of `type`.
  Status read(DType type, uint64_t offset, std::span<uint8_t> out) const {
    if (!row.random()) return readAt(file, offset, out);
    drawElements(*row.random(), type, offset / byteSize(type), out);
    return Status::success();
  }
};

// Elements [first, first + elements) of the runs [run, run + runs) of a piece.
struct Block {
  const fb::Weight* weight;
  const fb::Piece* piece;
  const WeightPart* part;
  uint64_t run, runs, first, elements;

  // Where element i of a run goes.
  uint8_t* place(uint64_t of_run, uint64_t i) const {
    const uint64_t at =
        piece->dest_offset() + of_run * piece->dest_stride() + i * piece->dest_step();
    return part->memory.data() + at * byteSize(static_cast<DType>(weight->dtype())) - part->offset;
  }
};

// Cuts the pieces of all parts into blocks, on demand because there may be very many. Callable from
// all threads.
class Blocks {
 public:
  Blocks(const fb::Plan& plan, std::span<const WeightPart> parts) : plan_(plan), parts_(parts) {}

  bool next(Block& block) {
    std::lock_guard lock(mutex_);
    while (part_ < parts_.size()) {
      const WeightPart& part = parts_[part_];
      const fb::Weight& weight = *plan_.weights()->Get(part.weight);
      if (piece_ == rows(weight.pieces()).size()) {
        ++part_;
        piece_ = 0;
        continue;
      }
      const fb::Piece& piece = *weight.pieces()->Get(piece_);
      const Window window(part, weight, piece);
      if (begins_) {
        run_ = window.firstRun();
        begins_ = false;
      }
      const auto [begin, end] = window.ofRun(run_);
      first_ = std::max(first_, begin);
      if (first_ >= end) {  // the rest of the run, or of all runs, is no part of it
        endRun(piece, 1, begin >= end && window.isBehind(run_));
        continue;
      }
      block = {&weight, &piece, &part, run_, 1, first_, end - first_};
      const uint64_t room = kBlockBytes / sourceElement(piece);
      const uint64_t span = spanOf(piece, piece.run());
      if (span > room) {  // a part of one run
        block.elements =
            std::min(block.elements, std::max<uint64_t>(1, room / piece.source_step()));
      } else if (first_ == 0 && end == piece.run()) {
        const bool gaps = readsGaps(*plan_.files()->Get(piece.file()), piece);
        uint64_t each = gaps ? std::max(span, piece.source_stride()) : span;
        block.runs = std::clamp<uint64_t>(room / each, 1, piece.count() - run_);
        while (block.runs > 1 && !window.hasAll(run_ + block.runs - 1)) --block.runs;
      }
      first_ += block.elements;
      if (first_ == end) endRun(piece, block.runs, false);
      return true;
    }
    return false;
  }

 private:
  // Which elements of a piece's runs are in a part.
  class Window {
   public:
    Window(const WeightPart& part, const fb::Weight& weight, const fb::Piece& piece)
        : piece_(piece) {
      const size_t unit = byteSize(static_cast<DType>(weight.dtype()));
      begin_ = part.offset / unit;
      end_ = (part.offset + part.memory.size()) / unit;
    }

    // No run before it has any. (Runs that lie side by side have all to be looked at.)
    uint64_t firstRun() const {
      const uint64_t length = (piece_.run() - 1) * piece_.dest_step() + 1;
      const uint64_t first_end = piece_.dest_offset() + length;
      if (begin_ < first_end || piece_.dest_stride() == 0) return 0;
      return std::min((begin_ - first_end) / piece_.dest_stride() + 1, piece_.count() - 1);
    }
    // Elements [begin, end) of a run; none where begin >= end.
    std::pair<uint64_t, uint64_t> ofRun(uint64_t run) const {
      const uint64_t at = start(run), step = piece_.dest_step();
      const uint64_t begin = begin_ > at ? ceilDiv(begin_ - at, step) : 0;
      const uint64_t end = end_ > at ? ceilDiv(end_ - at, step) : 0;
      return {begin, std::min(end, piece_.run())};
    }
    bool hasAll(uint64_t run) const {
      return ofRun(run) == std::pair<uint64_t, uint64_t>(0, piece_.run());
    }
    // It and all runs behind it begin behind the part.
    bool isBehind(uint64_t run) const { return start(run) >= end_; }

   private:
    uint64_t start(uint64_t run) const { return piece_.dest_offset() + run * piece_.dest_stride(); }

    const fb::Piece& piece_;
    uint64_t begin_, end_;
  };

  void endRun(const fb::Piece& piece, uint64_t runs, bool last) {
    first_ = 0;
    run_ += runs;
    if (!last && run_ < piece.count()) return;
    begins_ = true;
    ++piece_;
  }

  const fb::Plan& plan_;
  std::span<const WeightPart> parts_;
  std::mutex mutex_;
  uint32_t part_ = 0, piece_ = 0;
  uint64_t run_ = 0, first_ = 0;
  bool begins_ = true;  // the piece
};

// Elements that lie side by side to their places in the weight.
void placeElements(const Block& block, DType from, const uint8_t* read, uint8_t* out) {
  const fb::Piece& piece = *block.piece;
  const DType to = static_cast<DType>(block.weight->dtype());
  const uint64_t in_size = byteSize(from), out_size = byteSize(to);
  if (piece.dest_step() == 1) return convertElements(from, read, to, out, block.elements);
  constexpr uint64_t kSome = 512;
  alignas(8) uint8_t converted[kSome * sizeof(double)];
  for (uint64_t i = 0; i < block.elements; i += kSome) {
    const uint64_t n = std::min(kSome, block.elements - i);
    convertElements(from, read + i * in_size, to, converted, n);
    for (uint64_t j = 0; j < n; ++j) {
      std::memcpy(out + (i + j) * piece.dest_step() * out_size, converted + j * out_size, out_size);
    }
  }
}

// Elements of a run as they were read to their places in the weight. Those of the file are brought
// together in `read`.
void placeRun(const Block& block, uint8_t* read, uint8_t* out) {
  const fb::Piece& piece = *block.piece;
  const DType from = static_cast<DType>(piece.source_dtype());
  const uint64_t size = byteSize(from);
  if (const uint64_t step = piece.source_step(); step > 1) {
    for (uint64_t i = 1; i < block.elements; ++i) {
      std::memcpy(read + i * size, read + i * step * size, size);
    }
  }
  placeElements(block, from, read, out);
}

// What the weight says is added to all of its elements, which are f32.
void addToRun(const Block& block, uint8_t* out) {
  const float plus = block.weight->plus();
  if (plus == 0) return;
  for (uint64_t i = 0; i < block.elements; ++i) {
    uint8_t* at = out + i * block.piece->dest_step() * sizeof(float);
    float value;
    std::memcpy(&value, at, sizeof value);
    value += plus;
    std::memcpy(at, &value, sizeof value);
  }
}

// Elements and scales of encoded tensors are read for several runs at once, with what lies between.
struct Encoded {
  const fb::Piece& piece;
  const InputFile& file;
  const InputFile& scales;

  // The scale of a block, from the start of the scales.
  uint64_t scaleOf(uint64_t element) const {
    const fb::Scales& s = *piece.scales();
    const uint64_t per_row = ceilDiv(s.columns(), s.block_columns());
    return element / s.columns() / s.block_rows() * per_row +
           element % s.columns() / s.block_columns();
  }
};

// `buffer` is at least kBlockBytes: half for what is read, the rest for what it becomes.
Status readEncodedBlock(const Encoded& source, const Block& block, std::span<uint8_t> buffer) {
  const fb::Piece& piece = source.piece;
  const fb::Decoding decoding = piece.decoding();
  // Of one run at a time: a row's elements, their scales, and what they are.
  constexpr uint64_t kSome = 32768;
  std::span<uint8_t> bytes = buffer.first(kSome);
  std::span<uint8_t> scale_bytes = buffer.subspan(kSome, kSome * 4 + 4);
  float* values = reinterpret_cast<float*>(buffer.data() + 6 * kSome);
  uint16_t* rounded = reinterpret_cast<uint16_t*>(buffer.data() + 10 * kSome);
  static_assert(12 * kSome <= kBlockBytes);
  for (uint64_t run = block.run; run < block.run + block.runs; ++run) {
    for (uint64_t i = block.first; i < block.first + block.elements; i += kSome) {
      const uint64_t n = std::min(kSome, block.first + block.elements - i);
      const uint64_t element = piece.origin() + run * piece.source_stride() + i;
      const uint64_t column = element % piece.scales()->columns();
      const uint64_t at = decoding == fb::Decoding::mxfp4 ? element / 2 : element;
      const uint64_t scale = source.scaleOf(element);
      const uint64_t scales = source.scaleOf(element + n - 1) - scale + 1;
      DCC_RETURN_IF_ERROR(readAt(source.file, piece.source_offset() + at,
                                 bytes.first(encodedBytes(decoding, element, n))));
      DCC_RETURN_IF_ERROR(readAt(source.scales,
                                 piece.scales()->offset() + scale * scaleBytes(decoding),
                                 scale_bytes.first(scales * scaleBytes(decoding))));
      decodeRow(decoding, bytes.data(), element, column, piece.scales()->block_columns(),
                scale_bytes.data(), values, n);
      // What publishers decode to; every element of mxfp4 is one.
      convertElements(DType::kF32, reinterpret_cast<uint8_t*>(values), DType::kBF16,
                      reinterpret_cast<uint8_t*>(rounded), n);
      Block some = block;
      some.first = i;
      some.elements = n;
      placeElements(some, DType::kBF16, reinterpret_cast<uint8_t*>(rounded), block.place(run, i));
    }
  }
  return Status::success();
}

// Reads one block into the weight; `buffer` is at least kBlockBytes.
Status readBlock(const Source& source, const Block& block, std::span<uint8_t> buffer) {
  const fb::Piece& piece = *block.piece;
  const DType from = static_cast<DType>(piece.source_dtype());
  const DType to = static_cast<DType>(block.weight->dtype());
  const uint64_t in_size = byteSize(from);
  auto sourceByte = [&](uint64_t run) {
    return piece.source_offset() +
           (run * piece.source_stride() + block.first * piece.source_step()) * in_size;
  };
  const uint64_t run_bytes = spanOf(piece, block.elements) * in_size;
  const uint64_t stride_bytes = piece.source_stride() * in_size;
  const bool together = block.runs > 1 && readsGaps(source.row, piece);
  if (together) {
    uint64_t bytes = (block.runs - 1) * stride_bytes + run_bytes;
    DCC_RETURN_IF_ERROR(source.read(from, sourceByte(block.run), buffer.first(bytes)));
  }
  for (uint64_t i = 0; i < block.runs; ++i) {
    uint8_t* out = block.place(block.run + i, block.first);
    if (together) {
      placeRun(block, buffer.data() + i * stride_bytes, out);
    } else if (from == to && piece.source_step() == 1 && piece.dest_step() == 1) {
      DCC_RETURN_IF_ERROR(source.read(from, sourceByte(block.run + i), {out, run_bytes}));
    } else {
      DCC_RETURN_IF_ERROR(source.read(from, sourceByte(block.run + i), buffer.first(run_bytes)));
      placeRun(block, buffer.data(), out);
    }
    addToRun(block, out);
  }
  return Status::success();
}

// Sums up bytes read, and keeps the first error, which stops all threads.
class Tally {
 public:
  // `done` counts on.
  Tally(uint64_t& done, uint64_t total, const WeightLoader::Progress& progress)
      : total_(total), done_(done), progress_(progress) {}

  void add(uint64_t bytes) {
    std::lock_guard lock(mutex_);
    done_ += bytes;
    if (progress_) progress_(done_, total_);
  }
  void fail(Error error) {
    std::lock_guard lock(mutex_);
    if (status_.ok()) status_ = std::move(error);
    failed_ = true;
  }
  bool failed() const { return failed_; }
  Status status() const { return status_; }

 private:
  uint64_t total_;
  uint64_t& done_;
  const WeightLoader::Progress& progress_;
  std::mutex mutex_;
  std::atomic<bool> failed_ = false;
  Status status_;
};

// Whether the file is the one that the plan was compiled from.
Status checkFile(const fb::File& expected, const InputFile& file) {
  const std::string advice =
      "; it is not the file that the plan was compiled from, so give the right directory with "
      "--checkpoint or compile the model again";
  if (file.bytes != expected.bytes()) {
    return userError(file.name + ": has " + std::to_string(file.bytes) + " bytes, not " +
                     std::to_string(expected.bytes()) + advice);
  }
  DCC_ASSIGN(Hash hash, safetensorsHeaderHash(file));
  if (hash != plan::hashOf(*expected.header_hash())) {
    return userError(file.name + ": has another safetensors header" + advice);
  }
  return Status::success();
}

bool drawsEverything(const fb::Plan& plan) {
  const auto files = rows(plan.files());
  return !files.empty() && std::all_of(files.begin(), files.end(),
                                       [](const fb::File* file) { return file->random(); });
}

}  // namespace

uint64_t weightBytes(const fb::Weight& weight) {
  return weight.rows() * weight.cols() * byteSize(static_cast<DType>(weight.dtype()));
}

Result<WeightLoader> WeightLoader::open(const plan::Plan& plan, const std::string& checkpoint) {
  WeightLoader loader(plan);
  loader.files_.resize(rows(plan->files()).size());
  if (!checkpoint.empty() && drawsEverything(*plan)) {
    return userError("--checkpoint " + checkpoint +
                     ": the plan's weights are random, by a seed; leave it out, or compile the "
                     "model without --weights dummy");
  }
  const std::string dir = checkpoint.empty() ? std::string(text(plan->checkpoint())) : checkpoint;
  for (const fb::Weight* weight : rows(plan->weights())) {
    for (const fb::Piece* piece : rows(weight->pieces())) {
      loader.total_bytes_ += piece->run() * piece->count() * sourceElement(*piece);
      DCC_RETURN_IF_ERROR(loader.openFile(dir, piece->file()));
      if (piece->scales()) DCC_RETURN_IF_ERROR(loader.openFile(dir, piece->scales()->file()));
    }
  }
  return loader;
}

Status WeightLoader::openFile(const std::string& dir, uint32_t index) {
  InputFile& file = files_[index];
  const fb::File& expected = *plan_->files()->Get(index);
  if (file.fd || expected.random()) return Status::success();
  Result<InputFile> opened = openInput(dir + "/" + std::string(text(expected.path())));
  if (!opened.ok()) {
    if (opened.error().fault == Fault::kRuntime) return opened.error();
    return userError(opened.error().message +
                     "; the checkpoint's directory can be given with --checkpoint");
  }
  file = std::move(opened).value();
  return checkFile(expected, file);
}

Status WeightLoader::load(std::span<const WeightPart> parts, uint32_t threads,
                          const Progress& progress) {
  const auto weights = rows(plan_->weights());
  for (const WeightPart& part : parts) {
    const uint64_t bytes = part.weight < weights.size() ? weightBytes(*weights[part.weight]) : 0;
    const uint64_t unit =
        bytes > 0 ? byteSize(static_cast<DType>(weights[part.weight]->dtype())) : 1;
    if (part.memory.size() % unit != 0 || part.offset % unit != 0 || part.memory.size() > bytes ||
        part.offset > bytes - part.memory.size()) {
      return runtimeError("weight " + std::to_string(part.weight) + ": has no such part");
    }
  }
  Blocks blocks(*plan_, parts);
  Tally tally(done_bytes_, total_bytes_, progress);
  auto work = [&] {
    const std::unique_ptr<uint8_t[]> bytes(new (std::nothrow) uint8_t[kBlockBytes]);
    if (!bytes) return tally.fail(runtimeError("memory: there is none left to read weights with"));
    const std::span<uint8_t> buffer(bytes.get(), kBlockBytes);
    Block block;
    while (!tally.failed() && blocks.next(block)) {
      const uint32_t file = block.piece->file();
      const fb::Scales* scales = block.piece->scales();
      Status status = scales
                          ? readEncodedBlock({*block.piece, files_[file], files_[scales->file()]},
                                             block, buffer)
                          : readBlock({*plan_->files()->Get(file), files_[file]}, block, buffer);
      if (!status.ok()) {
        return tally.fail(runtimeError(status.error().message + " (tensor " +
                                       printable(text(block.piece->tensor())) + ")"));
      }
      tally.add(block.runs * block.elements * sourceElement(*block.piece));
    }
  };
  std::vector<std::thread> helpers;
  try {
    for (uint32_t i = 1; i < threads; ++i) helpers.emplace_back(work);
  } catch (const std::exception&) {
    // No more threads or memory to be had: those that run do it all.
  }
  work();
  for (std::thread& helper : helpers) helper.join();
  return tally.status();
}

}  // namespace dcc
