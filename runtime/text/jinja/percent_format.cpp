#include "runtime/text/jinja/percent_format.h"

#include <cmath>
#include <cstdio>
#include <optional>

#include "runtime/text/jinja/text.h"
#include "runtime/text/utf8.h"

namespace dcc::jinja {
namespace {

// %[(key)][flags][width][.precision]conversion, as in C.
struct Conversion {
  bool left = false, zero = false, plus = false, space = false, alternate = false;
  int width = 0;
  int precision = -1;
  char type = 's';
};

constexpr int kWidest = 1000;

class PercentFormatter {
 public:
  PercentFormatter(Run& run, std::string_view format, const Value& arguments)
      : run_(run), format_(format), arguments_(arguments), out_(run) {
    const SequenceObject* sequence = arguments.sequence();
    tuple_ = sequence != nullptr && sequence->kind == SequenceKind::kTuple ? sequence : nullptr;
  }

  Result<Value> format() {
    while (at_ < format_.size()) {
      const size_t percent = std::min(format_.find('%', at_), format_.size());
      out_.add(format_.substr(at_, percent - at_));
      at_ = percent;
      if (at_ < format_.size()) DCC_RETURN_IF_ERROR(convert());
    }
    const size_t given = tuple_ != nullptr ? tuple_->items.size() : 1;
    // What has items by key may have more than are asked for.
    const SequenceObject* sequence = arguments_.sequence();
    const bool keys = arguments_.dict() != nullptr || arguments_.isUndefined() ||
                      (sequence != nullptr && sequence->kind <= SequenceKind::kRange);
    if (used_ < given && (tuple_ != nullptr || !keys)) {
      return userError("not all arguments converted during string formatting");
    }
    return run_.string(out_.take());
  }

 private:
  char next() { return at_ < format_.size() ? format_[at_++] : '\0'; }

  Result<int> number() {
    int value = 0;
    while (at_ < format_.size() && format_[at_] >= '0' && format_[at_] <= '9') {
      value = value * 10 + (next() - '0');
      if (value > kWidest) return Error(run_.unsupported("a format wider than 1000 characters"));
    }
    return value;
  }

  Result<Value> argument(const std::optional<std::string_view>& key) {
    if (key) {
      if (arguments_.dict() == nullptr) return userError("format requires a mapping");
      const Value* found = arguments_.dict()->dict.find(*key);
      if (found == nullptr) return userError("KeyError: '" + std::string(*key) + "'");
      return *found;
    }
    const size_t given = tuple_ != nullptr ? tuple_->items.size() : 1;
    if (used_ >= given) return userError("not enough arguments for format string");
    ++used_;
    return tuple_ != nullptr ? tuple_->items[used_ - 1] : arguments_;
  }

  Status convert() {
    ++at_;
    Conversion how;
    std::optional<std::string_view> key;
    if (at_ < format_.size() && format_[at_] == '(') {
      const size_t end = format_.find(')', at_);
      if (end == format_.npos) return userError("incomplete format key");
      key = format_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
    }
    for (bool flag = true; flag && at_ < format_.size();) {
      const char c = format_[at_];
      bool* set = c == '-'   ? &how.left
                  : c == '0' ? &how.zero
                  : c == '+' ? &how.plus
                  : c == ' ' ? &how.space
                  : c == '#' ? &how.alternate
                             : nullptr;
      flag = set != nullptr;
      if (flag) *set = true;
      if (flag) ++at_;
    }
    DCC_ASSIGN(how.width, number());
    if (at_ < format_.size() && format_[at_] == '.') {
      ++at_;
      DCC_ASSIGN(how.precision, number());
    }
    how.type = next();
    if (how.type == '\0') return userError("incomplete format");
    if (how.type == '%') {
      out_.add("%");
      return Status::success();
    }
    DCC_ASSIGN(const Value value, argument(key));
    return add(how, value);
  }

  Status add(const Conversion& how, const Value& value) {
    switch (how.type) {
      case 's':
      case 'r':
        return addAsText(how, value);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        return addInteger(how, value);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return addFloat(how, value);
      case 'a':
      case 'c':
        return run_.unsupported(std::string("the format %") + how.type);
      default:
        return userError(std::string("unsupported format character '") + how.type + "'");
    }
  }

  Status addAsText(const Conversion& how, const Value& value) {
    TextBuilder text(run_);
    DCC_RETURN_IF_ERROR(how.type == 'r' ? addRepr(run_, value, text) : addText(run_, value, text));
    std::string bytes = text.take();
    if (how.precision >= 0) bytes.resize(byteOffset(bytes, how.precision));
    const auto chars = static_cast<int>(std::min<size_t>(text::countChars(bytes), kWidest));
    const auto padding = static_cast<uint64_t>(std::max(how.width - chars, 0));
    if (!how.left) out_.repeat(" ", padding);
    out_.add(bytes);
    if (how.left) out_.repeat(" ", padding);
    return Status::success();
  }

  // A number is what C makes of it.
  template <class T>
  void addAsC(const Conversion& how, const char* size, char type, T value) {
    std::string spec = "%";
    for (const auto& [set, flag] :
         {std::pair(how.left, '-'), std::pair(how.zero, '0'), std::pair(how.plus, '+'),
          std::pair(how.space, ' '), std::pair(how.alternate, '#')}) {
      if (set) spec += flag;
    }
    spec += "*.*" + std::string(size) + type;
    char buffer[2 * kWidest + 400];  // 309 digits before the point, and behind it
    const int length =
        std::snprintf(buffer, sizeof(buffer), spec.c_str(), how.width, how.precision, value);
    out_.add({buffer, static_cast<size_t>(length)});
  }

  Status addInteger(const Conversion& how, const Value& value) {
    int64_t scratch;
    const int64_t* integer = value.integer(scratch);
    const bool decimal = how.type == 'd' || how.type == 'i' || how.type == 'u';
    if (integer == nullptr && decimal && value.floating() != nullptr &&
        std::fabs(*value.floating()) < 0x1p63) {
      scratch = static_cast<int64_t>(*value.floating());
      integer = &scratch;
    }
    if (integer == nullptr) return wrongType(how, value, "a real number");
    if (!decimal && *integer < 0) return run_.unsupported("a negative number in another base");
    if (how.alternate) return run_.unsupported("the format flag #");
    addAsC(how, "ll", decimal ? 'd' : how.type, static_cast<long long>(*integer));
    return Status::success();
  }

  Status addFloat(const Conversion& how, const Value& value) {
    double number;
    if (!value.number(number)) return wrongType(how, value, "a real number");
    addAsC(how, "", how.type, number);
    return Status::success();
  }

  Status wrongType(const Conversion& how, const Value& value, const char* expected) {
    if (value.isUndefined()) return userError(value.why());
    return userError(std::string("%") + how.type + " format: " + expected + " is required, not " +
                     std::string(typeName(value)));
  }

  Run& run_;
  std::string_view format_;
  const Value& arguments_;
  const SequenceObject* tuple_;
  TextBuilder out_;
  size_t at_ = 0;
  size_t used_ = 0;
};

}  // namespace

Result<Value> percentFormat(Run& run, const Value& format, const Value& arguments) {
  DCC_RETURN_IF_ERROR(checkPlain(run, format));
  return PercentFormatter(run, format.text(), arguments).format();
}

}  // namespace dcc::jinja
