// Several observers as one.
#pragma once

#include <vector>

#include "runtime/backends/backend.h"

namespace dcc {

class ObserverList final : public Observer {
 public:
  // It outlives the list.
  void add(Observer* observer) { observers_.push_back(observer); }
  // What to tell of instructions; null where nobody wants to hear of them.
  Observer* observer() { return observers_.empty() ? nullptr : this; }

  void begins() override {
    for (Observer* observer : observers_) observer->begins();
  }
  Status ran(uint32_t entry, uint32_t instruction, std::span<const int64_t> sizes,
             const std::byte* arena) override {
    for (Observer* observer : observers_) {
      DCC_RETURN_IF_ERROR(observer->ran(entry, instruction, sizes, arena));
    }
    return Status::success();
  }

 private:
  std::vector<Observer*> observers_;
};

}  // namespace dcc
