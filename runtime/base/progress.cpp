#include "runtime/base/progress.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <vector>

namespace dcc {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kMoment(400);  // what takes no longer is not worth a line
constexpr milliseconds kBetweenLines(100);
constexpr size_t kShortestBar = 10, kLongestBar = 30;

// From the cursor to the end of the line.
constexpr std::string_view kErase = "\x1b[K";

double secondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

size_t columns() {
  winsize size = {};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

// A terminal that takes nothing now (Ctrl-S) gets nothing.
void show(std::string text) {
  pollfd ready{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&ready, 1, 0) <= 0 || (ready.revents & POLLOUT) == 0) return;
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

// "1.2 of 2.8 GiB", "512 of 4096 tokens".
std::string amounts(const ProgressState& state) {
  if (state.unit != "bytes") {
    return std::to_string(state.done) + " of " + std::to_string(state.all) + " " + state.unit;
  }
  const char* const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto done = static_cast<double>(state.done), all = static_cast<double>(state.all);
  size_t u = 0;
  for (; all >= 1024 && u + 1 < std::size(units); ++u) all /= 1024, done /= 1024;
  char text[96];
  const int digits = u == 0 ? 0 : 1;
  std::snprintf(text, sizeof(text), "%.*f of %.*f %s", digits, done, digits, all, units[u]);
  return text;
}

std::string duration(double seconds) {
  const auto s = static_cast<uint64_t>(std::ceil(std::clamp(seconds, 0.0, 1e9)));
  if (s < 120) return std::to_string(s) + " s";
  if (s < 120 * 60) return std::to_string(s / 60) + " min";
  return std::to_string(s / 3600) + " h";
}

}  // namespace

std::string progressLine(const ProgressState& state, double seconds, size_t columns) {
  // What stands behind the bar, the most important first.
  std::vector<std::string> parts;
  double share = 0;
  if (state.all > 0) {
    share = static_cast<double>(std::min(state.done, state.all)) / static_cast<double>(state.all);
    parts.push_back(std::to_string(static_cast<int>(share * 100)) + " %");
    parts.push_back(amounts(state));
    if (state.rate && state.done > 0 && state.at > 0) {
      char text[64];
      std::snprintf(text, sizeof(text), "%.1f ", static_cast<double>(state.done) / state.at);
      parts.push_back(text + state.unit + "/s");
    }
    // The beginning says little about the rest.
    const double left = state.at * (1 - share) / share - (seconds - state.at);
    if (share >= 0.02) parts.push_back(duration(left) + " left");
  } else {
    parts.push_back(duration(std::floor(seconds)));
  }
  std::string line = state.what.substr(0, columns), rest;
  for (const std::string& part : parts) {
    if (line.size() + rest.size() + 2 + part.size() > columns) break;
    rest += "  " + part;
  }
  const size_t room = columns - line.size() - rest.size();
  if (state.all > 0 && room >= kShortestBar + 4) {
    const size_t bar = std::min(room - 4, kLongestBar);
    const auto full = static_cast<size_t>(share * static_cast<double>(bar));
    line += "  [" + std::string(full, '=') + std::string(bar - full, ' ') + "]";
  }
  return line + rest;
}

bool canDrawProgress() {
  const char* terminal = std::getenv("TERM");
  return terminal != nullptr && std::string_view(terminal) != "dumb" && *terminal != '\0' &&
         ::isatty(STDERR_FILENO) != 0;
}

std::string_view eraseProgress() { return canDrawProgress() ? kErase : ""; }

Progress::Progress(std::string what, std::string unit, bool rate) {
  state_.rate = rate;
  state_.what = std::move(what);
  state_.unit = std::move(unit);
  if (!canDrawProgress()) return;
  // Signals are for the threads that know of them.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { drawUntilStopped(); });
  } catch (const std::system_error&) {
    // No thread to be had: then there is no line.
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Progress::~Progress() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Progress::update(uint64_t done, uint64_t all) {
  if (!thread_.joinable()) return;
  const std::lock_guard lock(mutex_);
  if (done != state_.done) state_.at = secondsSince(start_);
  state_.done = done;
  state_.all = all;
}

void Progress::say(std::string what) {
  if (!thread_.joinable()) return;
  const std::lock_guard lock(mutex_);
  state_.what = std::move(what);
  state_.done = state_.all = 0;
}

void Progress::drawUntilStopped() {
  std::string shown;
  std::unique_lock lock(mutex_);
  for (milliseconds wait = kMoment; !changed_.wait_for(lock, wait, [this] { return stopped_; });
       wait = kBetweenLines) {
    const ProgressState state = state_;
    lock.unlock();
    // The last column stays free: some terminals begin a new line after it. The cursor goes back to
    // the first, so that whatever is printed next takes the line's place.
    const std::string line = progressLine(state, secondsSince(start_), columns() - 1);
    if (line != shown) show("\r" + line + std::string(kErase) + "\r");
    shown = line;
    lock.lock();
  }
  if (!shown.empty()) show("\r" + std::string(kErase));
}

}  // namespace dcc
