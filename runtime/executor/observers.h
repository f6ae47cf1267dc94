// Several observers as one.
#pragma once

#include <algorithm>
#include <vector>

#include "runtime/backends/backend.h"

namespace dcc {

class ObserverList final : public Observer {
 public:
  // It outlives the list.
  void add(Observer* observer) { observers_.push_back(observer); }
  // What to tell of instructions; null where nobody wants to hear of them.
  Observer* observer() { return observers_.empty() ? nullptr : this; }

  Asks asks(uint32_t entry, uint32_t instruction) const override {
    Asks most = Asks::kTimes;
    for (const Observer* observer : observers_) {
      most = std::max(most, observer->asks(entry, instruction));
    }
    return most;
  }
  void begins(int64_t begin) override {
    for (Observer* observer : observers_) observer->begins(begin);
  }
  Status ran(const Ran& ran) override {
    for (Observer* observer : observers_) DCC_RETURN_IF_ERROR(observer->ran(ran));
    return Status::success();
  }

 private:
  std::vector<Observer*> observers_;
};

}  // namespace dcc
