#include "tools/drun/trace.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "runtime/base/file.h"
#include "runtime/base/progress.h"

namespace dcc::drun {

Result<std::unique_ptr<NewFile>> traceFile(const std::string& path) {
  if (path.empty()) return std::unique_ptr<NewFile>();
  Result<NewFile> file = NewFile::create(path);
  if (!file.ok()) return Error{"--trace " + file.error().message, file.error().fault};
  return std::make_unique<NewFile>(std::move(file).value());
}

Result<std::unique_ptr<TracingRunner>> TracingRunner::create(Executor& executor,
                                                             generate::StepRunner& runner,
                                                             Communicator& world, bool one_host) {
  std::unique_ptr<TracingRunner> made(new TracingRunner(executor, runner, world, one_host));
  DCC_ASSIGN(made->before_, made->readClock());
  made->origin_ = steadyNanoseconds();
  DCC_RETURN_IF_ERROR(world.broadcast(&made->origin_, sizeof(made->origin_), 0));
  executor.watch(&made->timeline_);
  return made;
}

Status TracingRunner::run(const Step& step) {
  timeline_.begin(step);
  DCC_RETURN_IF_ERROR(RunnerAround::run(step));
  timeline_.end(step);
  return Status::success();
}

Result<ClockReading> TracingRunner::readClock() {
  if (one_host_) return ClockReading{};
  return compareClocks(world_, steadyNanoseconds);
}

// How many steps every rank has.
Result<uint32_t> TracingRunner::stepsOfAll() {
  const uint32_t own = timeline_.steps();
  std::vector<uint32_t> all(world_.size());
  DCC_RETURN_IF_ERROR(
      world_.allGather(&own, all.data(), std::vector<size_t>(all.size(), sizeof(own))));
  return *std::min_element(all.begin(), all.end());
}

Result<TracingRunner::Arrivals> TracingRunner::lastArrivals(std::vector<int64_t> own) {
  const size_t count = own.size();
  std::vector<int64_t> all(count * world_.size());
  DCC_RETURN_IF_ERROR(world_.allGather(
      own.data(), all.data(), std::vector<size_t>(world_.size(), count * sizeof(int64_t))));
  Arrivals last(count);
  for (size_t i = 0; i < count; ++i) {
    for (uint32_t r = 0; r < world_.size(); ++r) {
      const int64_t at = all[r * count + i];
      if (r == 0 || at > last[i].at) last[i] = {at, r};
    }
  }
  return last;
}

// A rank's text to rank 0.
Status TracingRunner::pass(std::string& text, uint32_t from) {
  if (from == 0) {
    world_.noteProgress();
    return Status::success();
  }
  uint64_t bytes = text.size();
  DCC_RETURN_IF_ERROR(world_.broadcast(&bytes, sizeof(bytes), from));
  text.resize(bytes);
  return world_.broadcast(text.data(), bytes, from);
}

Status TracingRunner::write(NewFile* file, const std::string& path) {
  DCC_ASSIGN(const ClockReading after, readClock());
  DCC_ASSIGN(const uint32_t steps, stepsOfAll());
  const ClockMap map(before_, after);
  const TraceEvents events(plan_, timeline_,
                           [&](int64_t at) { return map.toRankZero(at) - origin_; });
  const std::string name = "--trace " + path;
  std::vector<Arrivals> last(steps);
  for (uint32_t s = 0; s < steps; ++s) {
    DCC_ASSIGN(last[s], lastArrivals(events.arrivals(s)));
  }

  std::optional<Progress> line;
  if (file) {
    DCC_RETURN_IF_ERROR(
        writeAll(file->fd(), "{\"displayTimeUnit\": \"ms\",\n\"traceEvents\": [", name));
    line.emplace("writing the trace", "steps");
  }
  std::string text;
  for (uint32_t r = 0; r < world_.size(); ++r) {
    for (uint32_t s = 0; s <= steps; ++s) {  // the header comes first
      if (r == world_.rank()) text = s == 0 ? events.header() : events.step(s - 1, last[s - 1]);
      DCC_RETURN_IF_ERROR(pass(text, r));
      if (file == nullptr) continue;
      // Before the very first event there is nothing to separate it from.
      const size_t comma = r == 0 && s == 0 ? 1 : 0;
      DCC_RETURN_IF_ERROR(writeAll(file->fd(), std::string_view(text).substr(comma), name));
      line->update(uint64_t{r} * (steps + 1) + s, uint64_t{world_.size()} * (steps + 1));
    }
  }
  line.reset();

  std::vector<int64_t> errors(world_.size());
  const int64_t error = map.error();
  DCC_RETURN_IF_ERROR(
      world_.allGather(&error, errors.data(), std::vector<size_t>(errors.size(), sizeof(error))));
  if (file == nullptr) return Status::success();
  const uint64_t dropped = timeline_.dropped() + timeline_.steps() - steps;
  std::vector<double> microseconds;
  for (const int64_t each : errors) microseconds.push_back(static_cast<double>(each) / 1000);
  const nlohmann::ordered_json other = {
      {"steps", steps}, {"dropped_steps", dropped}, {"clock_error_us", microseconds}};
  DCC_RETURN_IF_ERROR(writeAll(file->fd(), "],\n\"otherData\": " + other.dump() + "}\n", name));
  if (dropped > 0) {
    std::cerr << "note: --trace: " + std::to_string(dropped) + " steps after the first " +
                     std::to_string(steps) + " are not in it; it holds no more\n";
  }
  return file->finish();
}

}  // namespace dcc::drun
