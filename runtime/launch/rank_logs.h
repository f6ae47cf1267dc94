// What ranks write to standard error, each into a file of its own and, with its rank in front of
// every line, on to ours (drun --log-dir). For a launcher of one thread: nothing here waits.
#pragma once

#include <poll.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/base/unique_fd.h"

namespace dcc::launch {

class RankLogs {
 public:
  // Files DIR/rank-N.log of ranks first, first + 1, ...; the directory is made, files that are
  // there are written anew. Errors: cannot be made or written (user); no descriptors (runtime).
  static Result<RankLogs> open(const std::string& dir, uint32_t first, uint32_t ranks);

  // Where the index-th of the ranks writes; -1 when it has been started.
  int writeEnd(uint32_t index) const { return logs_[index].write_end.get(); }
  void started(uint32_t index) { logs_[index].write_end.reset(); }

  // Adds what poll() should wait for.
  void addTo(std::vector<pollfd>& polled) const;
  // Moves what there is and what our standard error takes.
  void move();

  // What comes from now on is not for our standard error yet: something goes before it.
  void hold();
  // When no rank is left: moves all there is, waiting for our standard error; what was held.
  std::string finish();

 private:
  struct Log {
    uint32_t rank = 0;
    std::string path;
    UniqueFd file, read_end, write_end;
  };

  // Whether there may be more.
  bool take(Log& log);
  void write(Log& log, std::string_view text);
  void show(uint32_t rank, std::string_view text);
  void pass(bool wait);

  std::vector<Log> logs_;
  std::string shown_, held_;            // for our standard error, now and later
  std::optional<uint32_t> unfinished_;  // the rank whose line has no end yet
  bool holds_ = false;
};

}  // namespace dcc::launch
