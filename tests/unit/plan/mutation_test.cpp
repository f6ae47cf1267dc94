// What a damaged or hostile plan may look like: cut, with changed bytes, with every number changed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "example_plan.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"
#include "scalars.h"

namespace dcc::plan {
namespace {

using testing::examplePlans;
using testing::fieldsOf;
using testing::Scalar;
using testing::serializeAll;

std::vector<uint8_t> example() {
  auto plans = examplePlans();
  return packAll(plans)[1];
}

TEST(Mutation, EveryCutIsRefused) {
  std::vector<uint8_t> whole = example();
  for (size_t n = 0; n < whole.size(); n += n < 256 ? 1 : 64) {
    std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<long>(n));
    EXPECT_FALSE(Plan::fromBytes(cut, "cut.dplan").ok()) << n;
  }
}

TEST(Mutation, TrailingBytesDoNoHarm) {
  std::vector<uint8_t> bytes = example();
  Hash program = hashOf(*Plan::fromBytes(bytes, "x")->operator->()->program_hash());
  bytes.resize(bytes.size() + 1000, 0xff);
  auto plan = Plan::fromBytes(bytes, "x");
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(hashOf(*(*plan)->program_hash()), program);
}

// A changed byte is noticed unless it changes only what is there for messages.
TEST(Mutation, EveryChangedByteIsRefusedOrLeavesTheProgram) {
  const std::vector<uint8_t> whole = example();
  const Hash program = hashOf(*Plan::fromBytes(whole, "x")->operator->()->program_hash());
  for (size_t i = 0; i < whole.size(); ++i) {
    for (int change : {1 << i % 8, 0xff}) {
      std::vector<uint8_t> bytes = whole;
      bytes[i] ^= static_cast<uint8_t>(change);
      auto plan = Plan::fromBytes(bytes, "x");
      if (!plan.ok()) continue;
      ASSERT_EQ(hashOf(*(*plan)->program_hash()), program) << "byte " << i;
      ASSERT_EQ(programHash(**plan), program) << "byte " << i;
      ASSERT_FALSE(dump(**plan).empty());
    }
  }
}

// The plan with another value in one place and hashes that fit, or nothing when FlatBuffers'
// verifier already refuses it.
std::optional<std::vector<uint8_t>> changed(const std::vector<uint8_t>& bytes, const Scalar& scalar,
                                            uint64_t value) {
  std::vector<uint8_t> copy = bytes;
  std::memcpy(copy.data() + scalar.at, &value, scalar.bytes);
  flatbuffers::Verifier verifier(copy.data(), copy.size());
  if (!fb::VerifyPlanBuffer(verifier)) return std::nullopt;
  fb::PlanT plan;
  fb::GetPlan(copy.data())->UnPackTo(&plan);
  return pack(plan);
}

uint64_t read(const std::vector<uint8_t>& bytes, const Scalar& scalar) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data() + scalar.at, scalar.bytes);
  return value;
}

// Fields where the largest value makes another valid plan.
const std::set<std::string> kAnyValue = {
    "major",
    "minor",        // pack() writes its own
    "files.bytes",  // only bounds what the pieces read
    "files.header_hash.lo",
    "files.header_hash.hi",
    "files.random.seed",    //
    "entries.arena_bytes",  // may be more than the buffers need
    "max_seq_len",          // bounded, but not by the others
    "constants.values",     // any finite number
    "program_hash.lo",
    "program_hash.hi",  // pack() makes new ones
    "collective_hashes.lo",
    "collective_hashes.hi",  //
    "compilation_id.lo",
    "compilation_id.hi",  // known only together with the other ranks
};
// Fields that some uses leave free: strides of a single run, the origin of rows that are not looked
// up by token.
const std::set<std::string> kSometimesAnyValue = {
    "weights.pieces.source_stride", "weights.pieces.dest_stride", "weights.row_origin"};

// A packed plan and the numbers in it to change.
struct Subject {
  std::vector<uint8_t> bytes;
  std::vector<Scalar> scalars;
  Hash program;
};

Subject subject(const testing::ExampleOptions& options, size_t at_least,
                const std::function<bool(const std::string&)>& wanted) {
  auto plans = examplePlans(options);
  packAll(plans);
  std::vector<uint8_t> bytes = serializeAll(plans[1]);
  std::vector<Scalar> scalars = fieldsOf(bytes).scalars;
  std::erase_if(scalars, [&](const Scalar& s) { return !wanted(s.field); });
  EXPECT_GE(scalars.size(), at_least);
  return {std::move(bytes), std::move(scalars), hashOf(*plans[1].program_hash)};
}

// The example with all its numbers, and of others what differs: the files where weights are drawn,
// and how sums are made.
std::vector<Subject> subjects() {
  return {subject({}, 1000, [](const std::string&) { return true; }),
          subject({.seed = 7}, 4, [](const std::string& f) { return f.starts_with("files."); }),
          subject({.numerics = fb::Numerics::invariant}, 10, [](const std::string& f) {
            return f == "numerics" || f.ends_with(".chunks") || f.ends_with(".reduction");
          })};
}

TEST(Mutation, EveryNumberAtItsLargestIsRefused) {
  std::map<std::string, int> refused;
  auto check = [&](const std::vector<uint8_t>& bytes, const Scalar& scalar, uint64_t value) {
    auto plan = changed(bytes, scalar, value);
    bool ok = plan && Plan::fromBytes(*plan, "changed.dplan").ok();
    uint64_t mask = UINT64_MAX >> (64 - 8 * scalar.bytes);
    if (ok && read(bytes, scalar) != (value & mask)) {
      EXPECT_TRUE(kAnyValue.contains(scalar.field) || kSometimesAnyValue.contains(scalar.field))
          << scalar.path << " = " << value << " was accepted";
    } else {
      ++refused[scalar.field];
    }
  };
  for (const Subject& subject : subjects()) {
    for (const Scalar& scalar : subject.scalars) {
      // All ones: the largest unsigned value, a NaN; then the largest signed one.
      check(subject.bytes, scalar, UINT64_MAX);
      check(subject.bytes, scalar, UINT64_MAX >> (65 - 8 * scalar.bytes));
    }
  }
  for (const std::string& field : kSometimesAnyValue) EXPECT_GT(refused[field], 0) << field;
}

// One more than it should be: refused, or another program with another hash.
TEST(Mutation, EveryNumberOffByOneIsRefusedOrHashed) {
  const std::set<std::string> not_hashed = {"major",
                                            "minor",  // pack() writes its own
                                            "program_hash.lo",
                                            "program_hash.hi",
                                            "collective_hashes.lo",
                                            "collective_hashes.hi",
                                            "compilation_id.lo",
                                            "compilation_id.hi"};
  auto check = [&](const Subject& subject, const Scalar& scalar, uint64_t value) {
    auto packed = changed(subject.bytes, scalar, value);
    if (!packed) return;
    auto plan = Plan::fromBytes(*packed, "changed.dplan");
    Hash hash = programHash(*fb::GetPlan(packed->data()));
    EXPECT_EQ(hash == subject.program, not_hashed.contains(scalar.field)) << scalar.path;
    if (plan.ok()) {
      EXPECT_FALSE(dump(**plan).empty());
    } else {
      EXPECT_EQ(plan.error().message.rfind("changed.dplan: ", 0), 0u) << plan.error().message;
      EXPECT_EQ(plan.error().message.find('\n'), std::string::npos);
    }
  };
  for (const Subject& subject : subjects()) {
    for (const Scalar& scalar : subject.scalars) {
      const uint64_t value = read(subject.bytes, scalar);
      check(subject, scalar, value + 1);
      check(subject, scalar, value - 1);
    }
  }
}

// A few tables that all point to the same big vector: tiny as a file, endless when walked.
TEST(Mutation, SharedVectorsDoNotUnfold) {
  flatbuffers::FlatBufferBuilder b;
  std::vector<float> zeros(200'000);
  auto values = b.CreateVector(zeros);
  auto constant = fb::CreateConstant(b, 0, values);
  std::vector<flatbuffers::Offset<fb::Constant>> constants(100'000, constant);
  auto all = b.CreateVector(constants);
  fb::PlanBuilder plan(b);
  plan.add_constants(all);
  fb::FinishPlanBuffer(b, plan.Finish());
  std::vector<uint8_t> bytes(b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize());
  EXPECT_EQ(Plan::fromBytes(std::move(bytes), "bomb.dplan").error().message,
            "bomb.dplan: is no plan or damaged; compile the model again");
}

}  // namespace
}  // namespace dcc::plan
