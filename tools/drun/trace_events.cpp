#include "tools/drun/trace_events.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/footprint/traffic.h"
#include "runtime/footprint/work.h"
#include "runtime/plan/access.h"
#include "runtime/plan/describe.h"

namespace dcc::drun {
namespace {

namespace fb = plan::fb;
using Json = nlohmann::ordered_json;

// Rows of a rank.
constexpr int kSteps = 0, kInstructions = 1;

std::string line(const Json& event) {
  return ",\n" + event.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string named(const char* what, uint32_t rank, int row, const std::string& name) {
  return line(
      {{"name", what}, {"ph", "M"}, {"pid", rank}, {"tid", row}, {"args", {{"name", name}}}});
}

double microseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1000; }

struct Span {
  int64_t begin, end;
};

Json complete(std::string_view name, const char* category, uint32_t rank, int row,
              const Span& span) {
  return {{"name", name},
          {"cat", category},
          {"ph", "X"},
          {"ts", microseconds(span.begin)},
          {"dur", microseconds(span.end - span.begin)},
          {"pid", rank},
          {"tid", row}};
}

int64_t tokensOf(const Timeline::StepTimes& times) {
  int64_t tokens = 0;
  for (const SequencePart& part : times.sequences) tokens += part.tokens;
  return tokens;
}

}  // namespace

const fb::Entry& TraceEvents::entryOf(const Timeline::StepTimes& times) const {
  return *plan_.entries()->Get(times.entry);
}

// Along an axis of one rank a collective is a copy.
bool TraceEvents::exchanges(const fb::Instruction& instruction) const {
  const fb::Collective* collective = instruction.body_as_Collective();
  return collective && plan_.mesh()->Get(collective->axis())->size() > 1;
}

std::string TraceEvents::header() const {
  const uint32_t rank = plan_.rank();
  return named("process_name", rank, kSteps, "rank " + std::to_string(rank)) +
         named("thread_name", rank, kSteps, "steps") +
         named("thread_name", rank, kInstructions, "instructions");
}

std::vector<int64_t> TraceEvents::arrivals(uint32_t step) const {
  const Timeline::StepTimes times = timeline_.step(step);
  const auto instructions = plan::rows(entryOf(times).instructions());
  std::vector<int64_t> arrivals;
  for (uint32_t i = 0; i < times.ends.size(); ++i) {
    if (!exchanges(*instructions[i])) continue;
    arrivals.push_back(clock_(i == 0 ? times.first : times.ends[i - 1]));
  }
  return arrivals;
}

std::string TraceEvents::step(uint32_t index, std::span<const Arrival> last) const {
  const Timeline::StepTimes times = timeline_.step(index);
  const fb::Entry& entry = entryOf(times);
  const uint32_t rank = plan_.rank();
  const int64_t tokens = tokensOf(times);
  const auto sequences = static_cast<int64_t>(times.sequences.size());
  const std::vector<int64_t> sizes = footprint::sizesAt(plan_, tokens, sequences);

  Json whole = complete(plan::text(entry.name()), "step", rank, kSteps,
                        {clock_(times.begin), clock_(times.end)});
  whole["args"] = {{"step", index}, {"T", tokens}, {"B", sequences}};
  std::string text = line(whole);

  size_t collective = 0;
  Span span{0, clock_(times.first)};
  for (uint32_t i = 0; i < times.ends.size(); ++i) {
    const fb::Instruction& instruction = *entry.instructions()->Get(i);
    span = {span.end, clock_(times.ends[i])};
    const footprint::Work work = footprint::workOf(plan_, entry, i, sizes, times.sequences);
    Json event = complete(plan::opName(instruction), "instruction", rank, kInstructions, span);
    Json& args = event["args"];
    args = {{"step", index}, {"instruction", i}, {"module", plan::text(instruction.module_())}};
    if (work.bytes > 0) args["bytes"] = work.bytes;
    if (work.flops > 0) args["flops"] = work.flops;
    text += line(event);
    if (!exchanges(instruction)) continue;
    const Arrival& latest = last[collective++];
    const int64_t until = std::min(latest.at, span.end);
    if (latest.rank == rank || until <= span.begin) continue;
    Json waiting = complete("waiting", "waiting", rank, kInstructions, {span.begin, until});
    waiting["args"] = {{"step", index},
                       {"instruction", i},
                       {"op", plan::opName(instruction)},
                       {"for", "rank " + std::to_string(latest.rank)}};
    text += line(waiting);
  }
  return text;
}

}  // namespace dcc::drun
