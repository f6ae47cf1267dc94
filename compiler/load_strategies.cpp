#include "compiler/load_strategies.h"

#include <dlfcn.h>

#include "include/dcc/strategy.h"
#include "passes/Strategy.h"

namespace dcc {
namespace {

class Loading final : public plugin::Registry {
 public:
  explicit Loading(std::string path) : path_(std::move(path)) {}

  void add(const std::string& name, std::unique_ptr<plugin::Strategy> strategy) override {
    ++count_;
    if (!status_.ok()) return;
    if (!strategy || name.empty()) {
      status_ = userError(path_ + ": registers a strategy without " +
                          (strategy ? "a name" : "an object"));
    } else if (!registerStrategy(name, std::move(strategy))) {
      status_ = userError(path_ + ": the strategy '" + name +
                          "' has a name that is taken; another is right");
    }
  }

  Status status() const {
    if (status_.ok() && count_ == 0) return userError(path_ + ": registers no strategy");
    return status_;
  }

 private:
  std::string path_;
  int count_ = 0;
  Status status_;
};

}  // namespace

Status loadStrategies(const std::string& path) {
  // Without a slash dlopen would search the system's directories.
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return userError("--load-strategies " + path + ": cannot be opened: " + ::dlerror());
  }
  auto* version =
      reinterpret_cast<decltype(&dccStrategiesVersion)>(::dlsym(library, "dccStrategiesVersion"));
  auto* add =
      reinterpret_cast<decltype(&dccRegisterStrategies)>(::dlsym(library, "dccRegisterStrategies"));
  if (version == nullptr || add == nullptr) {
    return userError("--load-strategies " + path +
                     ": is no library of strategies; DCC_STRATEGIES of include/dcc/strategy.h "
                     "makes one");
  }
  if (version() != plugin::kVersion) {
    return userError("--load-strategies " + path + ": is made for version " +
                     std::to_string(version()) + " of include/dcc/strategy.h, this dcc has " +
                     std::to_string(plugin::kVersion) + "; build it again");
  }
  Loading registry(path);
  add(registry);
  return registry.status();
}

}  // namespace dcc
