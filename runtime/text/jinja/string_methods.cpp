// Methods of str.
#include <algorithm>

#include "runtime/text/jinja/characters.h"
#include "runtime/text/jinja/native.h"
#include "runtime/text/jinja/operators.h"
#include "runtime/text/jinja/percent_format.h"
#include "runtime/text/jinja/text.h"
#include "runtime/text/utf8.h"

namespace dcc::jinja {
namespace {

using text::countChars;

// A part of `self`, safe if that is.
Value part(Run& run, const Value& self, std::string_view text) {
  return run.string(std::string(text), self.string()->safe);
}

template <std::string (*kMap)(std::string_view)>
Result<Value> mapped(Run& run, const Value& self, const Bound&) {
  // A character has up to three others in another case, and ICU needs it twice.
  if (!run.room(6 * self.text().size())) return self;
  return run.string(kMap(self.text()), self.string()->safe);
}

Result<Value> title(Run& run, const Value& self, const Bound&) {
  if (!run.room(6 * self.text().size())) return self;
  const std::string_view text = self.text();
  std::string out;
  bool within = false;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t c = text::nextChar(text, at);
    const std::string_view letter = text.substr(begin, at - begin);
    out += within ? lower(letter) : capitalize(letter);
    within = isUpper(c) || isLower(c) || isTitle(c);
  }
  return run.string(std::move(out), self.string()->safe);
}

template <Side kSide>
Result<Value> stripped(Run& run, const Value& self, const Bound& args) {
  if (!args.has(0)) return part(run, self, strip(self.text(), kSide));
  DCC_ASSIGN(const std::string_view chars, args.text(0, ""));
  run.spend(self.text().size() / 4);  // each character is looked up
  return part(run, self, strip(self.text(), kSide, chars));
}

template <bool kFromRight>
Result<Value> split(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const int64_t given, args.integer(1, -1));
  uint64_t most = given < 0 ? UINT64_MAX : static_cast<uint64_t>(given);
  std::string_view rest = self.text();
  std::vector<Value> parts;
  if (!args.has(0)) {
    for (rest = strip(rest, kFromRight ? Side::kRight : Side::kLeft); !rest.empty() && most > 0;
         --most) {
      size_t begin = kFromRight ? rest.size() : 0, end = begin, next = begin;
      const auto ends = [&] {
        return isSpace(kFromRight ? text::previousChar(rest, next) : text::nextChar(rest, next));
      };
      while ((kFromRight ? end > 0 : end < rest.size()) && !ends()) end = next;
      parts.push_back(part(run, self, kFromRight ? rest.substr(end) : rest.substr(0, end)));
      rest = kFromRight ? strip(rest.substr(0, end), Side::kRight)
                        : strip(rest.substr(end), Side::kLeft);
      if (!run.spend(1)) break;
    }
    if (!rest.empty()) parts.push_back(part(run, self, rest));
  } else {
    DCC_ASSIGN(const std::string_view by, args.text(0, ""));
    if (by.empty()) return userError("empty separator");
    for (; most > 0 && run.spend(1); --most) {
      const size_t at = kFromRight ? findLast(run, rest, by) : find(run, rest, by);
      if (at == rest.npos) break;
      parts.push_back(
          part(run, self, kFromRight ? rest.substr(at + by.size()) : rest.substr(0, at)));
      rest = kFromRight ? rest.substr(0, at) : rest.substr(at + by.size());
    }
    parts.push_back(part(run, self, rest));
  }
  if (kFromRight) std::reverse(parts.begin(), parts.end());
  return run.list(std::move(parts));
}

template <bool kFromRight>
Result<Value> partition(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const std::string_view by, args.text(0, ""));
  if (by.empty()) return userError("empty separator");
  const std::string_view text = self.text();
  const size_t at = kFromRight ? findLast(run, text, by) : find(run, text, by);
  if (at == text.npos) {
    const Value none = part(run, self, "");
    return run.tuple(kFromRight ? std::vector<Value>{none, none, self}
                                : std::vector<Value>{self, none, none});
  }
  return run.tuple({part(run, self, text.substr(0, at)), part(run, self, by),
                    part(run, self, text.substr(at + by.size()))});
}

Result<Value> splitlines(Run& run, const Value& self, const Bound& args) {
  if (!run.room(self.text().size() * sizeof(std::string_view))) return self;
  std::vector<Value> lines;
  for (const std::string_view line : splitLines(self.text(), args.flag(0, false))) {
    if (!run.spend(1)) break;
    lines.push_back(part(run, self, line));
  }
  return run.list(std::move(lines));
}

Result<Value> replace(Run& run, const Value& self, const Bound& args) {
  DCC_RETURN_IF_ERROR(checkPlain(run, self));
  DCC_ASSIGN(const std::string_view from, args.text(0, ""));
  DCC_ASSIGN(const std::string_view to, args.text(1, ""));
  DCC_ASSIGN(const int64_t count, args.integer(2, -1));
  return run.string(replaced(run, self.text(), from, to, count));
}

// The part of a text that (begin, end) behind the first argument name.
struct Part {
  std::string_view text;
  size_t before;  // characters
  bool in_range;
};

Result<Part> partOf(const Value& self, const Bound& args) {
  const std::string_view text = self.text();
  const auto size = static_cast<int64_t>(countChars(text));
  int64_t begin = 0, end = size;
  if (args.has(1)) {
    DCC_ASSIGN(begin, args.integer(1, 0));
  }
  if (args.has(2)) {
    DCC_ASSIGN(end, args.integer(2, 0));
  }
  if (begin < 0) begin = std::max<int64_t>(begin + size, 0);
  end = end < 0 ? std::max<int64_t>(end + size, 0) : std::min(end, size);
  if (begin > end) return Part{"", 0, false};
  const size_t first = byteOffset(text, begin);
  const std::string_view rest = text.substr(first);
  return Part{rest.substr(0, byteOffset(rest, end - begin)), static_cast<size_t>(begin), true};
}

template <bool kEnd>
Result<Value> startsOrEnds(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const Part where, partOf(self, args));
  std::vector<Value> wanted = {args[0]};
  const SequenceObject* tuple = args[0].sequence();
  if (tuple != nullptr && tuple->kind == SequenceKind::kTuple) wanted = tuple->items;
  for (const Value& one : wanted) {
    if (!one.isString()) {
      return userError("first arg must be str or a tuple of str, not " +
                       std::string(typeName(one)));
    }
    run.spend(1);
    const std::string_view text = one.text();
    if (!where.in_range || text.size() > where.text.size()) continue;
    if ((kEnd ? where.text.substr(where.text.size() - text.size())
              : where.text.substr(0, text.size())) == text) {
      return Value(true);
    }
  }
  return Value(false);
}

enum class Missing { kMinusOne, kError };

template <bool kFromRight, Missing kMissing>
Result<Value> find(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const Part where, partOf(self, args));
  DCC_ASSIGN(const std::string_view wanted, args.text(0, ""));
  const size_t at =
      kFromRight ? findLast(run, where.text, wanted) : jinja::find(run, where.text, wanted);
  if (where.in_range && at != where.text.npos) {
    return Value(static_cast<int64_t>(where.before + countChars(where.text.substr(0, at))));
  }
  if (kMissing == Missing::kError) return userError("substring not found");
  return Value(int64_t{-1});
}

Result<Value> count(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const Part where, partOf(self, args));
  DCC_ASSIGN(const std::string_view wanted, args.text(0, ""));
  if (!where.in_range) return Value(int64_t{0});
  if (wanted.empty()) return Value(static_cast<int64_t>(countChars(where.text) + 1));
  int64_t found = 0;
  for (size_t at = jinja::find(run, where.text, wanted); at != where.text.npos;
       at = jinja::find(run, where.text, wanted, at + wanted.size())) {
    ++found;
  }
  return Value(found);
}

Result<Value> join(Run& run, const Value& self, const Bound& args) {
  DCC_RETURN_IF_ERROR(checkPlain(run, self));
  DCC_ASSIGN(const std::vector<Value> parts, items(run, args[0]));
  TextBuilder out(run);
  for (size_t i = 0; i < parts.size(); ++i) {
    DCC_RETURN_IF_ERROR(checkPlain(run, parts[i]));
    if (!parts[i].isString()) {
      return userError("sequence item " + std::to_string(i) + ": expected str instance, " +
                       std::string(typeName(parts[i])) + " found");
    }
    if (i > 0) out.add(self.text());
    out.add(parts[i].text());
  }
  return run.string(out.take());
}

template <bool kSuffix>
Result<Value> removed(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const std::string_view what, args.text(0, ""));
  std::string_view text = self.text();
  if (what.size() <= text.size()) {
    const size_t rest = text.size() - what.size();
    if (kSuffix && text.substr(rest) == what)
      text = text.substr(0, rest);
    else if (!kSuffix && text.substr(0, what.size()) == what)
      text = text.substr(what.size());
  }
  return part(run, self, text);
}

enum class Place { kLeft, kCenter, kRight };

template <Place kPlace>
Result<Value> justified(Run& run, const Value& self, const Bound& args) {
  DCC_RETURN_IF_ERROR(checkPlain(run, self));
  DCC_ASSIGN(const int64_t width, args.integer(0, 0));
  DCC_ASSIGN(const std::string_view fill, args.text(1, " "));
  if (countChars(fill) != 1) return userError("the fill character must be one character long");
  const int64_t pad = width - static_cast<int64_t>(countChars(self.text()));
  if (pad <= 0) return self;
  const int64_t left = kPlace == Place::kLeft    ? 0
                       : kPlace == Place::kRight ? pad
                                                 : pad / 2 + (pad & width & 1);
  TextBuilder out(run);
  out.repeat(fill, static_cast<uint64_t>(left));
  out.add(self.text());
  out.repeat(fill, static_cast<uint64_t>(pad - left));
  return run.string(out.take());
}

Result<Value> zfill(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const int64_t width, args.integer(0, 0));
  const std::string_view text = self.text();
  const int64_t pad = width - static_cast<int64_t>(countChars(text));
  const size_t sign = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  TextBuilder out(run);
  out.add(text.substr(0, sign));
  out.repeat("0", static_cast<uint64_t>(std::max<int64_t>(pad, 0)));
  out.add(text.substr(sign));
  return run.string(out.take(), self.string()->safe);
}

Result<Value> format(Run& run, const Value& self, const Bound& args) {
  return braceFormat(run, self, args.all());
}

// Whether there are characters, and all are such.
template <bool (*kIs)(char32_t)>
Result<Value> all(Run&, const Value& self, const Bound&) {
  const std::string_view text = self.text();
  for (size_t at = 0; at < text.size();) {
    if (!kIs(text::nextChar(text, at))) return Value(false);
  }
  return Value(!text.empty());
}

bool isAlnum(char32_t c) { return isAlpha(c) || isNumeric(c); }

// The same, or there are none.
template <bool (*kIs)(char32_t)>
Result<Value> allOrNothing(Run& run, const Value& self, const Bound& args) {
  return self.text().empty() ? Result<Value>(Value(true)) : all<kIs>(run, self, args);
}

bool isAscii(char32_t c) { return c < 0x80; }

// Whether there are letters with a case, and all are of this one.
template <bool kUpper>
Result<Value> cased(Run&, const Value& self, const Bound&) {
  return Value(kUpper ? isUpperText(self.text()) : isLowerText(self.text()));
}

Result<Value> istitle(Run&, const Value& self, const Bound&) {
  const std::string_view text = self.text();
  bool within = false, any = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = text::nextChar(text, at);
    const bool big = isUpper(c) || isTitle(c), small = isLower(c);
    if ((big && within) || (small && !within)) return Value(false);
    within = big || small;
    any = any || within;
  }
  return Value(any);
}

constexpr Native kMethods[] = {
    {"capitalize", mapped<capitalize>, ""},
    {"center", justified<Place::kCenter>, "width fillchar", 1},
    {"count", count, "sub start end", 1},
    {"endswith", startsOrEnds<true>, "suffix start end", 1},
    {"find", find<false, Missing::kMinusOne>, "sub start end", 1},
    {"format", format, "*"},
    {"index", find<false, Missing::kError>, "sub start end", 1},
    {"isalnum", all<isAlnum>, ""},
    {"isalpha", all<isAlpha>, ""},
    {"isascii", allOrNothing<isAscii>, ""},
    {"isdecimal", all<isDecimal>, ""},
    {"isdigit", all<isDigit>, ""},
    {"islower", cased<false>, ""},
    {"isnumeric", all<isNumeric>, ""},
    {"isprintable", allOrNothing<isPrintable>, ""},
    {"isspace", all<isSpace>, ""},
    {"istitle", istitle, ""},
    {"isupper", cased<true>, ""},
    {"join", join, "iterable", 1},
    {"ljust", justified<Place::kLeft>, "width fillchar", 1},
    {"lower", mapped<lower>, ""},
    {"lstrip", stripped<Side::kLeft>, "chars"},
    {"partition", partition<false>, "sep", 1},
    {"removeprefix", removed<false>, "prefix", 1},
    {"removesuffix", removed<true>, "suffix", 1},
    {"replace", replace, "old new count", 2},
    {"rfind", find<true, Missing::kMinusOne>, "sub start end", 1},
    {"rindex", find<true, Missing::kError>, "sub start end", 1},
    {"rjust", justified<Place::kRight>, "width fillchar", 1},
    {"rpartition", partition<true>, "sep", 1},
    {"rsplit", split<true>, "sep maxsplit"},
    {"rstrip", stripped<Side::kRight>, "chars"},
    {"split", split<false>, "sep maxsplit"},
    {"splitlines", splitlines, "keepends"},
    {"startswith", startsOrEnds<false>, "prefix start end", 1},
    {"strip", stripped<Side::kBoth>, "chars"},
    {"title", title, ""},
    {"upper", mapped<upper>, ""},
    {"zfill", zfill, "width", 1},
};

}  // namespace

std::span<const Native> stringMethods() { return kMethods; }

}  // namespace dcc::jinja
