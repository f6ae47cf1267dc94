// How far something long has come, as one line of the terminal that standard error is: it appears
// when it takes longer than a moment, changes a few times a second and leaves nothing behind. Where
// standard error is no terminal, or one that cannot erase (TERM=dumb), nothing happens at all.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace dcc {

struct ProgressState {
  std::string what;            // "loading weights"
  std::string unit;            // "tokens"; "bytes" are shown as KiB, MiB, ...
  uint64_t done = 0, all = 0;  // all == 0: nobody knows
  double at = 0;               // seconds that it took to do so much
  bool rate = false;           // say how many a second
};

// "loading weights  [=====>      ]  43 %  1.2 of 2.8 GiB  12 s left" after `seconds`, in at most
// `columns`: what has no room is left out, the bar first. With a rate also "12.5 texts/s".
std::string progressLine(const ProgressState& state, double seconds, size_t columns);

// Whether lines can be drawn on standard error.
bool canDrawProgress();
// On such a terminal, what erases a line that a process left behind that could not do so itself;
// else "". For the beginning of a message.
std::string_view eraseProgress();

class Progress {
 public:
  explicit Progress(std::string what, std::string unit = "", bool rate = false);
  ~Progress();  // erases the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // From any thread. Cheap, and never waits for the terminal.
  void update(uint64_t done, uint64_t all);
  // Something else now, of which nobody knows how long it takes.
  void say(std::string what);

 private:
  void drawUntilStopped();

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable changed_;
  ProgressState state_;
  bool stopped_ = false;
  std::thread thread_;  // none where nothing can be drawn
};

}  // namespace dcc
