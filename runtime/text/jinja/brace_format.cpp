#include <charconv>

#include "runtime/text/jinja/attributes.h"
#include "runtime/text/jinja/percent_format.h"
#include "runtime/text/jinja/text.h"

namespace dcc::jinja {
namespace {

class BraceFormatter {
 public:
  BraceFormatter(Run& run, std::string_view format, const Arguments& arguments)
      : run_(run), format_(format), arguments_(arguments), out_(run) {}

  Result<Value> format() {
    while (at_ < format_.size()) {
      const size_t brace = std::min(format_.find_first_of("{}", at_), format_.size());
      out_.add(format_.substr(at_, brace - at_));
      at_ = brace;
      if (at_ == format_.size()) break;
      DCC_RETURN_IF_ERROR(run_.step());
      const char c = format_[at_++];
      if (at_ < format_.size() && format_[at_] == c) {
        ++at_;
        out_.add({&c, 1});
      } else if (c == '}') {
        return userError("Single '}' encountered in format string");
      } else {
        DCC_RETURN_IF_ERROR(field());
      }
    }
    return run_.string(out_.take());
  }

 private:
  Status field() {
    const size_t end = format_.find('}', at_);
    if (end == format_.npos) return userError("expected '}' before end of string");
    std::string_view field = format_.substr(at_, end - at_);
    at_ = end + 1;
    char conversion = 's';
    if (field.find_first_of(":{") != field.npos) {
      return run_.unsupported("the format {" + std::string(field) + "}");
    }
    if (const size_t mark = field.find('!'); mark != field.npos) {
      const std::string_view how = field.substr(mark + 1);
      if (how != "s" && how != "r") {
        return run_.unsupported("the conversion !" + std::string(how));
      }
      conversion = how[0];
      field = field.substr(0, mark);
    }
    DCC_ASSIGN(const Value value, find(field));
    return conversion == 'r' ? addRepr(run_, value, out_) : addText(run_, value, out_);
  }

  // "0.name[key]".
  Result<Value> find(std::string_view field) {
    size_t at = std::min(field.find_first_of(".["), field.size());
    DCC_ASSIGN(Value value, first(field.substr(0, at)));
    while (at < field.size()) {
      if (field[at] == '[') {
        const size_t end = field.find(']', at);
        if (end == field.npos) return userError("Missing ']' in format string");
        const std::string_view key = field.substr(at + 1, end - at - 1);
        int64_t index;
        DCC_ASSIGN(value, dcc::jinja::item(
                              run_, value,
                              isIndex(key, index) ? Value(index) : run_.string(std::string(key))));
        at = end + 1;
      } else {
        const size_t end = std::min(field.find_first_of(".[", at + 1), field.size());
        DCC_ASSIGN(value, attribute(run_, value, field.substr(at + 1, end - at - 1)));
        at = end;
      }
    }
    return value;
  }

  Result<Value> first(std::string_view name) {
    int64_t index = static_cast<int64_t>(next_);
    if (name.empty() || isIndex(name, index)) {
      if (name.empty()) ++next_;
      if (index < 0 || static_cast<size_t>(index) >= arguments_.positional.size()) {
        return userError("Replacement index " + std::to_string(index) +
                         " out of range for positional args tuple");
      }
      return arguments_.positional[static_cast<size_t>(index)];
    }
    run_.spend(arguments_.named.size());
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return value;
    }
    return userError("KeyError: '" + std::string(name) + "'");
  }

  static bool isIndex(std::string_view text, int64_t& index) {
    if (text.empty() || text.find_first_not_of("0123456789") != text.npos) return false;
    return std::from_chars(text.data(), text.data() + text.size(), index).ec == std::errc();
  }

  Run& run_;
  std::string_view format_;
  const Arguments& arguments_;
  TextBuilder out_;
  size_t at_ = 0;
  size_t next_ = 0;
};

}  // namespace

Result<Value> braceFormat(Run& run, const Value& format, const Arguments& arguments) {
  DCC_RETURN_IF_ERROR(checkPlain(run, format));
  return BraceFormatter(run, format.text(), arguments).format();
}

}  // namespace dcc::jinja
