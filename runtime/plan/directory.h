// A plan directory: rank_K.dplan for every rank, manifest.json, and files that stand beside them
// (the tokenizer's, the sharded IR). manifest.json is
//
//   {"format": "dcc-plan", "major": 0, "minor": 2, "model": "llama, 6 layers",
//    "compilation_id": "<32 hex digits>", "world_size": 2, "mesh": [{"name": "tp", "size": 2}],
//    "target": "cpu", "checkpoint": "/models/x", "ranks": [{"file": "rank_0.dplan", "program_hash":
//    "<32>"}, ...], "files": ["tokenizer.json", ...]}
//
// and repeats what the plans say, so that people and scripts need not read FlatBuffers. Unknown
// keys are ignored.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/plan/plan.h"

namespace dcc::plan {

struct MeshAxis {
  std::string name;
  uint32_t size;
  bool operator==(const MeshAxis&) const = default;
};

// What a plan was compiled to run on. It runs on the others too.
enum class Target { kCpu, kCuda };
constexpr std::string_view name(Target target) { return target == Target::kCpu ? "cpu" : "cuda"; }

struct Manifest {
  std::string model;
  Target target = Target::kCpu;  // where the manifest says nothing, too
  Hash compilation_id;
  std::vector<MeshAxis> mesh;
  std::string checkpoint;
  struct Rank {
    std::string file;  // relative to the directory
    Hash program_hash;
  };
  std::vector<Rank> ranks;         // one per rank, in order
  std::vector<std::string> files;  // relative, beside the plans
};

// Errors (user): no plan directory, unknown format or major, a compilation id that is not that of
// the ranks' program hashes.
Result<Manifest> readManifest(const std::string& dir);

// Loads the plan of one rank and checks it against the manifest, so that each rank by itself finds
// out when files of two compilations were mixed.
Result<Plan> loadRank(const std::string& dir, const Manifest& manifest, uint32_t rank);

// Proves of the plans of all ranks, each verified, from their programs that they fit together: one
// mesh; the same entries, bounds, page tables and outputs, which rank 0 decides for all; in every
// entry all ranks of each group issue the same collectives in the same order, with equal modules,
// kinds, types, sizes and counts; every send meets its recv, and no ranks wait for each other in a
// circle; then, that all are of one compilation. `dir` is where they lie; errors begin with the
// file of the first rank that differs.
Status verifyRanks(std::span<const Plan> plans, const std::string& dir);

// All of the above for a directory, and that the files it lists are there. Where files of two
// compilations were mixed, the error says what first differs between them.
Status verifyDirectory(const std::string& dir);

// A file to stand beside the plans.
struct ExtraFile {
  std::string name;  // relative, may have folders: "ir/sharded.mlir"
  std::string bytes;
};

// Writes a plan directory from the packed plans of all ranks, in rank order. It appears whole or
// not at all: everything is written beside it first and then renamed. `dir` may not exist (its
// parents are made), be empty, or be a plan directory, which is replaced; files in it that dcc did
// not write stay. Errors name the path: anything else in the way, not writable (user), disk full,
// plans that verify() or verifyRanks() refuse (runtime).
Status writeDirectory(const std::string& dir, std::span<const std::vector<uint8_t>> plans,
                      std::span<const ExtraFile> files, Target target = Target::kCpu);

}  // namespace dcc::plan
