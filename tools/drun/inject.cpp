#include "tools/drun/inject.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "runtime/base/printable.h"
#include "runtime/executor/result_hashes.h"
#include "runtime/plan/access.h"

namespace dcc::drun {
namespace {

namespace fb = plan::fb;
using Act = Injection::Act;

constexpr std::string_view kPlaces[] = {"start",  "load",   "shutdown", "prefill",
                                        "decode", "logits", "encode"};
constexpr std::pair<std::string_view, Act> kActs[] = {
    {"kill", Act::kKill},
    {"stop", Act::kStop},
    {"term", Act::kTerm},
    {"exit", Act::kExit},
    {"abort", Act::kAbort},
    {"kill-launcher", Act::kKillLauncher},
    {"term-launcher", Act::kTermLauncher},
    {"flip", Act::kFlip},
};

template <class T>
bool readNumber(std::string_view text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// One "name=value"; whether it is one.
bool readField(std::string_view name, std::string_view value, Injection& injection) {
  if (name == "rank") return readNumber(value, injection.rank);
  if (name == "collective") return readNumber(value, injection.collective);
  if (name == "bit") return readNumber(value, injection.bit);
  if (name == "do") {
    const auto* act = std::ranges::find(kActs, value, [](const auto& a) { return a.first; });
    if (act == std::end(kActs)) return false;
    injection.act = act->second;
    return true;
  }
  if (name != "at") return false;
  const size_t colon = value.find(':');
  injection.at = value.substr(0, colon);
  if (std::ranges::find(kPlaces, injection.at) == std::end(kPlaces)) return false;
  return colon == value.npos ||
         (injection.inStep() && readNumber(value.substr(colon + 1), injection.step));
}

void perform(Act act) {
  switch (act) {
    case Act::kKill:
      ::raise(SIGKILL);
      return;
    case Act::kStop:
      ::kill(::getpid(), SIGSTOP);
      return;
    case Act::kTerm:
      ::raise(SIGTERM);
      return;
    case Act::kExit:
      ::_exit(3);
    case Act::kAbort:
      std::abort();
    case Act::kKillLauncher:
      ::kill(::getppid(), SIGKILL);
      return;
    case Act::kTermLauncher:
      ::kill(::getppid(), SIGTERM);
      return;
    case Act::kFlip:
      return;
  }
}

void flip(const CollectiveResult& result, uint64_t bit) {
  const uint64_t bits = static_cast<uint64_t>(result.rows) * result.row_bytes * 8;
  if (bits == 0) return;
  const uint64_t byte = bit % bits / 8;
  const size_t at = byte / result.row_bytes * result.stride_bytes + byte % result.row_bytes;
  result.data[at] ^= std::byte{1} << (bit % 8);
}

}  // namespace

Result<Injection> parseInjection(std::string_view text) {
  const auto refuse = [&](std::string_view what) {
    return userError(std::string(kInjectVariable) + ": " + printable(what) +
                     "; rank=N,at=PLACE[:STEP],do=WHAT is right, as tools/drun/inject.h says");
  };
  Injection injection;
  bool rank = false, at = false, act = false;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view field = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), field.size() + 1));
    const size_t sign = field.find('=');
    const std::string_view name = field.substr(0, sign);
    if (sign == field.npos || !readField(name, field.substr(sign + 1), injection)) {
      return refuse(field);
    }
    rank |= name == "rank";
    at |= name == "at";
    act |= name == "do";
  }
  if (!rank || !at || !act) return refuse("'" + std::string(text) + "' lacks rank, at or do");
  if (injection.act == Act::kFlip && !injection.inStep()) {
    return refuse("do=flip at=" + injection.at + ", where there is no collective");
  }
  return injection;
}

Result<std::optional<Injection>> injectionFromEnvironment() {
  const char* text = std::getenv(kInjectVariable);
  if (text == nullptr) return std::optional<Injection>();
  DCC_ASSIGN(Injection injection, parseInjection(text));
  return std::optional<Injection>(std::move(injection));
}

Injector::Injector(const std::optional<Injection>& injection, uint32_t rank)
    : injection_(injection), own_(injection && injection->rank == rank) {}

void Injector::reached(std::string_view place) const {
  if (own_ && injection_->at == place) perform(injection_->act);
}

Result<Observer*> Injector::watch(const fb::Plan& plan) {
  if (!injection_ || !injection_->inStep()) return static_cast<Observer*>(nullptr);
  const std::string what = std::string(kInjectVariable) + ": the plan has no ";
  plan_ = &plan;
  const auto entries = plan::rows(plan.entries());
  while (entry_ < entries.size() && plan::text(entries[entry_]->name()) != injection_->at) ++entry_;
  if (entry_ == entries.size()) return userError(what + "entry '" + injection_->at + "'");
  uint32_t seen = 0;
  const auto instructions = plan::rows(entries[entry_]->instructions());
  for (; instruction_ < instructions.size(); ++instruction_) {
    if (instructions[instruction_]->body_as_Collective() == nullptr) continue;
    if (seen++ == injection_->collective) return static_cast<Observer*>(this);
  }
  return userError(what + "collective " + std::to_string(injection_->collective) + " in entry '" +
                   injection_->at + "', but " + std::to_string(seen));
}

Observer::Asks Injector::asks(uint32_t entry, uint32_t instruction) const {
  if (entry != entry_ || instruction != instruction_) return Asks::kTimes;
  return injection_->act == Act::kFlip ? Asks::kFaults : Asks::kValues;
}

Status Injector::ran(const Ran& ran) {
  if (ran.entry != entry_ || ran.instruction != instruction_ || steps_++ != injection_->step) {
    return Status::success();
  }
  if (!own_) return Status::success();
  if (injection_->act != Act::kFlip) {
    perform(injection_->act);
    return Status::success();
  }
  const fb::Entry& e = *plan_->entries()->Get(ran.entry);
  const fb::Collective& c = *e.instructions()->Get(ran.instruction)->body_as_Collective();
  flip(resultOf(e, c, ran.sizes, ran.arena), injection_->bit);
  return Status::success();
}

}  // namespace dcc::drun
