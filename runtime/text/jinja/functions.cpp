// Functions that every template has.
#include <algorithm>
#include <ctime>

#include "runtime/text/jinja/native.h"
#include "runtime/text/jinja/operators.h"
#include "runtime/text/jinja/scope.h"
#include "runtime/text/jinja/text.h"

namespace dcc::jinja {
namespace {

// As Jinja's sandbox has it.
constexpr int64_t kLongestRange = 100'000;
constexpr size_t kLongestTime = 4096;

class Function final : public Callable {
 public:
  explicit Function(const Native& native) : native_(native) {}
  Result<Value> call(Run& run, Arguments arguments) const override {
    return jinja::call(run, native_, Value(), std::move(arguments));
  }

 private:
  const Native& native_;
};

Result<Value> range(Run& run, const Value&, const Bound& args) {
  DCC_ASSIGN(int64_t begin, args.integer(0, 0));
  DCC_ASSIGN(int64_t end, args.integer(1, 0));
  DCC_ASSIGN(const int64_t step, args.integer(2, 1));
  if (!args.given(1)) {
    end = begin;
    begin = 0;
  }
  if (step == 0) return userError("range() arg 3 must not be zero");
  std::vector<Value> items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<int64_t>(items.size()) == kLongestRange) {
      return userError("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
    }
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return run.sequence(SequenceKind::kRange, std::move(items));
}

// dict(other, key=value), and what a namespace begins with.
Result<Dict> entriesOf(Run& run, const Arguments& arguments) {
  Dict dict;
  if (arguments.positional.size() > 1) return Error(userError("expected at most 1 argument"));
  if (!arguments.positional.empty()) {
    const Value& other = arguments.positional[0];
    if (other.dict() != nullptr) {
      if (!run.room(other.dict()->dict.size() * Dict::kEntryBytes)) return dict;
      dict = other.dict()->dict;
    } else {
      DCC_ASSIGN(const std::vector<Value> pairs, items(run, other));
      for (const Value& pair : pairs) {
        DCC_RETURN_IF_ERROR(run.step());
        DCC_ASSIGN(const std::vector<Value> both, items(run, pair));
        if (both.size() != 2) return Error(userError("a dict is made of pairs"));
        DCC_RETURN_IF_ERROR(checkKey(run, both[0]));
        dict.set(both[0], both[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) dict.set(run.string(name), value);
  return dict;
}

Result<Value> dict(Run& run, const Value&, const Bound& args) {
  DCC_ASSIGN(Dict entries, entriesOf(run, args.all()));
  return run.dict(std::move(entries));
}

Result<Value> nameSpace(Run& run, const Value&, const Bound& args) {
  DCC_ASSIGN(Dict entries, entriesOf(run, args.all()));
  for (const auto& [name, value] : entries.entries()) {
    if (name.isString() && name.text().substr(0, 1) == "_") {
      return userError("a namespace has no fields that begin with \"_\", as " +
                       std::string(name.text()));
    }
  }
  return run.nameSpace(std::move(entries));
}

Result<Value> raiseException(Run& run, const Value&, const Bound& args) {
  DCC_ASSIGN(std::string message, toText(run, args[0]));
  return Error(run.raised(std::move(message)));
}

// C's strftime, and of what Python adds that of a time without zone.
Result<Value> strftimeNow(Run& run, const Value&, const Bound& args) {
  DCC_ASSIGN(const std::string_view given, args.text(0, ""));
  std::string format;
  for (size_t i = 0; i < given.size(); ++i) {
    const char next = given[i] == '%' && i + 1 < given.size() ? given[i + 1] : '\0';
    if (next == 'z' || next == 'Z') {
      ++i;
    } else if (next == 'f') {
      format += "000000";
      ++i;
    } else {
      format += given[i];
      if (next == '%') format += given[++i];
    }
  }
  if (format.empty()) return run.string("");
  char buffer[kLongestTime];
  format += '.';  // an empty result would look like one that is too long
  const size_t length = std::strftime(buffer, sizeof(buffer), format.c_str(), &run.now());
  if (length == 0) return Error(run.unsupported("'strftime_now' of more than 4096 characters"));
  return run.string(std::string(buffer, length - 1));
}

template <const char* kName>
Result<Value> missing(Run& run, const Value&, const Bound&) {
  return Error(run.unsupported("the function '" + std::string(kName) + "'"));
}
constexpr char kCycler[] = "cycler", kJoiner[] = "joiner", kLipsum[] = "lipsum";

constexpr Native kFunctions[] = {
    {kCycler, missing<kCycler>, "*"},       {"dict", dict, "*"},
    {kJoiner, missing<kJoiner>, "*"},       {kLipsum, missing<kLipsum>, "*"},
    {"namespace", nameSpace, "*"},          {"raise_exception", raiseException, "message", 1},
    {"range", range, "start stop step", 1}, {"strftime_now", strftimeNow, "format", 1},
};

}  // namespace

void setGlobals(Run& run, Scope& scope) {
  for (const Native& function : kFunctions) {
    scope.set(function.name, run.callable(std::make_shared<Function>(function)));
  }
}

}  // namespace dcc::jinja
