#include "runtime/text/oniguruma.h"

#include <array>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

// Bodies of classes: what stands between the brackets.
constexpr std::string_view kSpace = "\\x{9}-\\x{d}\\x{85}\\p{Z}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
// Outside classes Oniguruma has a table of its own for Latin-1, in which six more numbers are
// words.
constexpr std::string_view kBareWord =
    "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";
constexpr std::string_view kHex = "0-9A-Fa-f";
constexpr std::string_view kPunct = "\\p{P}\\p{S}";

// Oniguruma's long names of general categories, and the names that POSIX brackets share with \p{},
// all in lower case without '_', '-' and ' '.
constexpr std::array<std::pair<std::string_view, std::string_view>, 52> kNames = {{
    {"letter", "\\p{L}"},
    {"casedletter", "\\p{L&}"},
    {"uppercaseletter", "\\p{Lu}"},
    {"lowercaseletter", "\\p{Ll}"},
    {"titlecaseletter", "\\p{Lt}"},
    {"modifierletter", "\\p{Lm}"},
    {"otherletter", "\\p{Lo}"},
    {"mark", "\\p{M}"},
    {"nonspacingmark", "\\p{Mn}"},
    {"spacingmark", "\\p{Mc}"},
    {"enclosingmark", "\\p{Me}"},
    {"number", "\\p{N}"},
    {"decimalnumber", "\\p{Nd}"},
    {"letternumber", "\\p{Nl}"},
    {"othernumber", "\\p{No}"},
    {"punctuation", "\\p{P}"},
    {"connectorpunctuation", "\\p{Pc}"},
    {"dashpunctuation", "\\p{Pd}"},
    {"openpunctuation", "\\p{Ps}"},
    {"closepunctuation", "\\p{Pe}"},
    {"initialpunctuation", "\\p{Pi}"},
    {"finalpunctuation", "\\p{Pf}"},
    {"otherpunctuation", "\\p{Po}"},
    {"symbol", "\\p{S}"},
    {"mathsymbol", "\\p{Sm}"},
    {"currencysymbol", "\\p{Sc}"},
    {"modifiersymbol", "\\p{Sk}"},
    {"othersymbol", "\\p{So}"},
    {"separator", "\\p{Z}"},
    {"spaceseparator", "\\p{Zs}"},
    {"lineseparator", "\\p{Zl}"},
    {"paragraphseparator", "\\p{Zp}"},
    {"other", "\\p{C}"},
    {"control", "\\p{Cc}"},
    {"format", "\\p{Cf}"},
    {"surrogate", "\\p{Cs}"},
    {"privateuse", "\\p{Co}"},
    {"unassigned", "\\p{Cn}"},
    {"any", "\\x{0}-\\x{10ffff}"},
    {"ascii", "\\x{0}-\\x{7f}"},
    {"alpha", "\\p{Alphabetic}"},
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"digit", "\\p{Nd}"},
    {"lower", "\\p{Lowercase}"},
    {"upper", "\\p{Uppercase}"},
    {"blank", "\\x{9}\\p{Zs}"},
    {"space", kSpace},
    {"cntrl", "\\p{Cc}"},
    {"punct", kPunct},
    {"xdigit", kHex},
    {"word", kWord},
    {"l&", "\\p{L&}"},
}};

bool compiles(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

std::string codePoint(char32_t c) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, "\\x{%x}", static_cast<unsigned>(c));
  return buffer;
}

bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// What may stand in a class: one code point, or a set given as the body of a class.
struct Item {
  std::optional<char32_t> point;
  std::string body;
  bool negated = false;
};

// A class as a union: a body for PCRE2's brackets and expressions that match one character each
// (what PCRE2's brackets can't say).
struct ClassUnion {
  std::string body;
  std::vector<std::string> others;

  std::string expression() const {
    if (others.empty()) return "[" + body + "]";
    std::string out = "(?:";
    if (!body.empty()) out += "[" + body + "]|";
    for (size_t i = 0; i < others.size(); ++i) out += (i ? "|" : "") + others[i];
    return out + ")";
  }
};

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

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

  static Error error(const std::string& what) {
    return userError("regular expression " + what + "; Oniguruma's syntax is expected");
  }

  bool at(std::string_view text) const { return in_.substr(pos_).starts_with(text); }

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
        DCC_ASSIGN(const std::string expression, characterClass(0));
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
        quantify(std::string(1, c), true);
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

  // Puts a quantifier behind the last atom. One behind another one repeats the whole: x{1,3}+.
  void quantify(const std::string& quantifier, bool may_be_possessive) {
    if (quantified_ && atom_ != std::string::npos) {
      out_.insert(atom_, "(?:");
      out_ += ')';
    }
    out_ += quantifier;
    if (at("?") || (may_be_possessive && at("+"))) out_ += in_[pos_++];
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
    if (comma) {
      quantify(quantifier, false);
    } else {  // x{2}? is an optional x{2}, not a lazy one
      const size_t rest = pos_;
      pos_ = in_.size();
      quantify(quantifier, false);
      pos_ = rest;
    }
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
    while (p < in_.size() && (isLetter(in_[p]) || in_[p] == '-')) options += in_[p++];
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
    DCC_ASSIGN(const Item item, escapedItem());
    if (item.point) {
      atom(codePoint(*item.point));
    } else {
      atom((item.negated ? "[^" : "[") + item.body + "]");
    }
    return Status::success();
  }

  // An escape that stands for one character, in a class or outside; in_[pos_] is the backslash.
  Result<Item> escapedItem() {
    ++pos_;
    if (pos_ >= in_.size()) return error("ends with a backslash");
    const char c = in_[pos_];
    const auto set = [&](std::string_view body, bool negated) {
      ++pos_;
      return Item{std::nullopt, std::string(body), negated};
    };
    const auto point = [&](char32_t value) {
      ++pos_;
      return Item{value, "", false};
    };
    switch (c) {
      case 's':
      case 'S':
        return set(kSpace, c == 'S');
      case 'w':
      case 'W':
        return set(kWord, c == 'W');
      case 'd':
      case 'D':
        return set("\\p{Nd}", c == 'D');
      case 'h':
      case 'H':
        return set(kHex, c == 'H');
      case 'p':
      case 'P':
        return property();
      case 'a':
        return point(0x07);
      case 'b':
        return point(0x08);
      case 't':
        return point(0x09);
      case 'n':
        return point(0x0A);
      case 'v':
        return point(0x0B);
      case 'f':
        return point(0x0C);
      case 'r':
        return point(0x0D);
      case 'e':
        return point(0x1B);
      case '0':
        return point(0);
      case 'x':
      case 'u':
        return numericPoint();
      default:
        break;
    }
    if (isLetter(c) || (c >= '1' && c <= '9')) {
      return error(std::string("has \\") + c + ", which is not supported");
    }
    return Item{nextChar(in_, pos_), "", false};
  }

  // \xHH (ASCII), \x{H...}, \uHHHH
  Result<Item> numericPoint() {
    const bool braces = at("x{");
    const size_t most = braces ? 8 : in_[pos_] == 'u' ? 4 : 2;
    const bool is_byte = !braces && in_[pos_] == 'x';
    pos_ += braces ? 2 : 1;
    char32_t value = 0;
    size_t digits = 0;
    for (; digits < most && pos_ < in_.size(); ++digits, ++pos_) {
      const char c = in_[pos_];
      if (c >= '0' && c <= '9') {
        value = value * 16 + static_cast<char32_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        value = value * 16 + static_cast<char32_t>(c - 'a' + 10);
      } else if (c >= 'A' && c <= 'F') {
        value = value * 16 + static_cast<char32_t>(c - 'A' + 10);
      } else {
        break;
      }
    }
    if (digits == 0 || (!braces && !is_byte && digits < most)) {
      return error("has \\x or \\u without its hexadecimal digits");
    }
    if (braces) {
      if (!at("}")) return error("has a \\x{ that is not closed");
      ++pos_;
    }
    if (is_byte && value >= 0x80) return error("has a byte above \\x7F, which is not supported");
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
      return error("has a number that is no Unicode character");
    }
    return Item{value, "", false};
  }

  // p{Name}, P{Name}, p{^Name}; in_[pos_] is the p.
  Result<Item> property() {
    bool negated = in_[pos_] == 'P';
    ++pos_;
    const size_t end = in_.find('}', pos_);
    if (!at("{") || end == std::string_view::npos) return error("has \\p without {Name}");
    std::string_view name = in_.substr(pos_ + 1, end - pos_ - 1);
    pos_ = end + 1;
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    DCC_ASSIGN(std::string body, namedBody(name));
    return Item{std::nullopt, std::move(body), negated};
  }

  static Result<std::string> namedBody(std::string_view name) {
    std::string key;
    for (const char c : name) {
      if (c != '_' && c != '-' && c != ' ') key += c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    }
    for (const auto& [long_name, body] : kNames) {
      if (key == long_name) return std::string(body);
    }
    // One or two letters are a general category; else it may be a script or a binary property.
    if (key.size() > 2) {
      const std::string script = "\\p{sc:" + key + "}";
      if (compiles(script)) return script;
    }
    if (!key.empty()) key[0] = key[0] >= 'a' && key[0] <= 'z' ? key[0] - ('a' - 'A') : key[0];
    const std::string plain = "\\p{" + key + "}";
    if (compiles(plain)) return plain;
    return error("has the property '" + oneLine(name) + "', which is not known");
  }

  // A class behind its '[' up to and with its ']'. A class is an intersection of unions.
  Result<std::string> characterClass(int depth) {
    if (depth > 32) return error("has classes nested too deeply");
    const bool negated = at("^");
    if (negated) ++pos_;
    std::vector<ClassUnion> parts(1);
    bool first = true;
    while (!(at("]") && !first)) {
      if (pos_ >= in_.size()) return error("has a '[' that is not closed");
      if (at("&&")) {
        pos_ += 2;
        parts.emplace_back();
      } else if (at("[")) {
        ++pos_;
        DCC_RETURN_IF_ERROR(nested(parts.back(), depth));
      } else {
        DCC_RETURN_IF_ERROR(classItem(parts.back()));
      }
      first = false;
    }
    ++pos_;
    for (const ClassUnion& part : parts) {
      if (part.body.empty() && part.others.empty()) return error("has an empty class");
    }
    if (parts.size() == 1 && parts[0].others.empty()) {
      return (negated ? "[^" : "[") + parts[0].body + "]";
    }
    std::string all = parts.back().expression();
    for (size_t i = parts.size() - 1; i-- > 0;) all = "(?=" + parts[i].expression() + ")" + all;
    return negated ? "(?:(?!" + all + ")(?s:.))" : "(?:" + all + ")";
  }

  // What follows a '[' in a class: a POSIX bracket or a class.
  Status nested(ClassUnion& part, int depth) {
    if (at(":")) {
      const size_t end = in_.find(":]", pos_ + 1);
      if (end != std::string_view::npos) {
        std::string_view name = in_.substr(pos_ + 1, end - pos_ - 1);
        const bool negated = name.starts_with('^');
        if (negated) name.remove_prefix(1);
        DCC_ASSIGN(const std::string body, namedBody(name));
        pos_ = end + 2;
        addSet(part, body, negated);
        return Status::success();
      }
    }
    Result<std::string> inner = characterClass(depth + 1);
    if (!inner.ok()) return inner.error();
    // A plain class joins the brackets around it.
    if (inner->starts_with("[") && !inner->starts_with("[^")) {
      part.body.append(*inner, 1, inner->size() - 2);
    } else {
      part.others.push_back(std::move(*inner));
    }
    return Status::success();
  }

  static void addSet(ClassUnion& part, const std::string& body, bool negated) {
    if (negated) {
      part.others.push_back("[^" + body + "]");
    } else {
      part.body += body;
    }
  }

  // A character, a range, or an escaped set.
  Status classItem(ClassUnion& part) {
    DCC_ASSIGN(const Item low, classPoint());
    if (!low.point) {
      addSet(part, low.body, low.negated);
      return Status::success();
    }
    part.body += codePoint(*low.point);
    // A '-' is literal before ']', and before a set.
    if (!at("-") || at("-]") || at("-[") || pos_ + 1 >= in_.size()) return Status::success();
    ++pos_;
    DCC_ASSIGN(const Item high, classPoint());
    if (!high.point) {
      part.body += codePoint('-');
      addSet(part, high.body, high.negated);
      return Status::success();
    }
    if (*high.point < *low.point) return error("has a range that runs backwards");
    part.body += "-" + codePoint(*high.point);
    return Status::success();
  }

  Result<Item> classPoint() {
    if (at("\\")) return escapedItem();
    return Item{nextChar(in_, pos_), "", false};
  }

  std::string_view in_;
  size_t pos_ = 0;
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
