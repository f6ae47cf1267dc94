#include "runtime/text/oniguruma.h"

#include <vector>

#include "runtime/text/oniguruma_chars.h"
#include "runtime/text/oniguruma_names.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

class Translator : private CharReader {
 public:
  explicit Translator(std::string_view pattern) : CharReader(pattern) {}

  Result<std::string> run() {
    while (pos_ < in_.size()) DCC_RETURN_IF_ERROR(element());
    if (groups_.size() > 1) return error("has a '(' that is not closed");
    out_.append(groups_[0].options, ')');
    return std::move(out_);
  }

 private:
  // An open group: where it begins in the output, and how many groups that stand for options like
  // (?i) end with it.
  struct Group {
    size_t start;
    int options = 0;
  };

  // Appends something that a quantifier may follow.
  void atom(std::string_view text) {
    atom_ = out_.size();
    quantified_ = false;
    out_ += text;
  }

  Status element() {
    const char c = in_[pos_];
    switch (c) {
      case '\\':
        return escape();
      case '[': {
        ++pos_;
        DCC_ASSIGN(const std::string expression, characterClass());
        atom(expression);
        return Status::success();
      }
      case '(':
        return open();
      case ')':
        return close();
      case '|':
        ++pos_;
        out_ += c;
        atom_ = std::string::npos;
        return Status::success();
      case '*':
      case '+':
      case '?':
        ++pos_;
        quantify(std::string(1, c), "?+");
        return Status::success();
      case '{':
        interval();
        return Status::success();
      default: {
        const size_t length = utf8Length(static_cast<unsigned char>(c));
        atom(in_.substr(pos_, length));
        pos_ += length;
        return Status::success();
      }
    }
  }

  // Puts a quantifier behind the last atom, with the suffix that follows it if it is one of
  // `suffixes`. A quantifier behind another one repeats the whole: x{1,3}+.
  void quantify(const std::string& quantifier, std::string_view suffixes) {
    if (quantified_ && atom_ != std::string::npos) {
      out_.insert(atom_, "(?:");
      out_ += ')';
    }
    out_ += quantifier;
    if (pos_ < in_.size() && suffixes.find(in_[pos_]) != std::string::npos) out_ += in_[pos_++];
    quantified_ = true;
  }

  // {n}, {n,}, {n,m}, {,m}; any other brace is literal.
  void interval() {
    size_t p = pos_ + 1;
    const auto digits = [&] {
      const size_t begin = p;
      while (p < in_.size() && in_[p] >= '0' && in_[p] <= '9') ++p;
      return std::string(in_.substr(begin, p - begin));
    };
    const std::string low = digits();
    const bool comma = p < in_.size() && in_[p] == ',';
    if (comma) ++p;
    const std::string high = comma ? digits() : "";
    if (p >= in_.size() || in_[p] != '}' || (low.empty() && high.empty())) {
      ++pos_;
      atom("\\{");
      return;
    }
    pos_ = p + 1;
    const std::string quantifier =
        "{" + (low.empty() ? "0" : low) + (comma ? "," + high : "") + "}";
    // x{2}? is an optional x{2}, not a lazy one.
    quantify(quantifier, comma ? "?" : "");
  }

  Status open() {
    const size_t start = out_.size();
    ++pos_;
    if (at("?#")) {
      while (pos_ < in_.size() && in_[pos_] != ')') ++pos_;
      if (pos_ == in_.size()) return error("has a '(?#' that is not closed");
      ++pos_;
      return Status::success();
    }
    if (!at("?")) {
      out_ += '(';
      groups_.push_back({start});
      return Status::success();
    }
    size_t p = pos_ + 1;
    std::string options;
    while (p < in_.size() && (isAsciiLetter(in_[p]) || in_[p] == '-')) options += in_[p++];
    if (p < in_.size() && !options.empty() && (in_[p] == ':' || in_[p] == ')')) {
      for (char& option : options) {
        if (option == 'm') {
          option = 's';
        } else if (option != 'i' && option != 'x' && option != '-') {
          return error(std::string("has the option '") + option + "', which is not supported");
        }
      }
      const bool group = in_[p] == ':';
      pos_ = p + 1;
      out_ += "(?" + options + ":";
      if (group) {
        groups_.push_back({start});
      } else {
        ++groups_.back().options;
      }
      atom_ = std::string::npos;
      return Status::success();
    }
    // Lookarounds, atomic and named groups mean the same.
    out_ += "(?";
    ++pos_;
    while (pos_ < in_.size() && std::string_view(":=!<>~|").find(in_[pos_]) != std::string::npos) {
      if (in_[pos_] == '~' || in_[pos_] == '|') {
        return error("has an absent operator, which is not supported");
      }
      out_ += in_[pos_++];
    }
    groups_.push_back({start});
    return Status::success();
  }

  Status close() {
    if (groups_.size() == 1) return error("has a ')' without '('");
    const Group group = groups_.back();
    groups_.pop_back();
    out_.append(group.options, ')');
    out_ += ')';
    ++pos_;
    atom_ = group.start;
    quantified_ = false;
    return Status::success();
  }

  Status escape() {
    if (pos_ + 1 >= in_.size()) return error("ends with a backslash");
    const char c = in_[pos_ + 1];
    if (c == 'b' || c == 'B') {
      pos_ += 2;
      const std::string word = "[" + std::string(kBareWord) + "]";
      const std::string other = c == 'b' ? "!" : "=";
      const std::string same = c == 'b' ? "=" : "!";
      atom("(?:(?<=" + word + ")(?" + other + word + ")|(?<!" + word + ")(?" + same + word + "))");
      return Status::success();
    }
    // Anchors, back references and the like mean the same.
    if (std::string_view("AzZGKRXNk123456789").find(c) != std::string_view::npos) {
      pos_ += 2;
      atom(std::string{'\\', c});
      return Status::success();
    }
    if (c == 'O') {
      pos_ += 2;
      atom("(?s:.)");
      return Status::success();
    }
    if (c == 'w' || c == 'W') {
      pos_ += 2;
      atom((c == 'w' ? "[" : "[^") + std::string(kBareWord) + "]");
      return Status::success();
    }
    DCC_ASSIGN(const CharItem item, escapedItem());
    if (item.point) {
      atom(codePointText(*item.point));
    } else {
      atom((item.negated ? "[^" : "[") + item.body + "]");
    }
    return Status::success();
  }

  std::string out_;
  std::vector<Group> groups_{{0}};
  size_t atom_ = std::string::npos;  // where the last atom begins in the output
  bool quantified_ = false;          // a quantifier follows it already
};

}  // namespace

Result<std::string> onigurumaToPcre2(std::string_view pattern) { return Translator(pattern).run(); }

std::string oneLine(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string out;
  for (const char c : text) {
    if (out.size() >= kMost && (static_cast<unsigned char>(c) & 0xC0) != 0x80) return out + "...";
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += '?';
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace dcc::text
