// Filters that make text.
#include <algorithm>

#include "runtime/text/jinja/characters.h"
#include "runtime/text/jinja/json.h"
#include "runtime/text/jinja/native.h"
#include "runtime/text/jinja/operators.h"
#include "runtime/text/jinja/percent_format.h"
#include "runtime/text/jinja/text.h"
#include "runtime/text/utf8.h"

namespace dcc::jinja {
namespace {

// The value's text, of which the filter is the method of that name.
template <const char* kMethod>
Result<Value> asMethod(Run& run, const Value& self, const Bound& args) {
  const Native& method = *findNative(stringMethods(), kMethod);
  if (self.isString()) return method.function(run, self, args);
  DCC_ASSIGN(std::string text, toText(run, self));
  return method.function(run, run.string(std::move(text)), args);
}

constexpr char kCapitalize[] = "capitalize", kLower[] = "lower", kStrip[] = "strip",
               kUpper[] = "upper", kCenter[] = "center";

Result<Value> center(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const int64_t width, args.integer(0, 80));
  DCC_ASSIGN(const Bound bound,
             Bound::bind(*findNative(stringMethods(), kCenter), {{Value(width)}, {}}));
  return asMethod<kCenter>(run, self, bound);
}

// Words begin after white space and after - ( { [ <.
Result<Value> title(Run& run, const Value& self, const Bound&) {
  DCC_ASSIGN(const std::string text, toText(run, self));
  if (!run.room(6 * text.size())) return self;
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size()) {
      size_t next = end;
      const char32_t c = text::nextChar(text, next);
      if (isSpace(c) || (c < 0x80 && std::string_view("-({[<").find(static_cast<char>(c)) !=
                                         std::string_view::npos)) {
        break;
      }
      end = next;
    }
    if (end == at) {
      text::nextChar(text, end);
      out += text.substr(at, end - at);
    } else {
      const size_t first = at + text::utf8Length(static_cast<unsigned char>(text[at]));
      out += upper(text.substr(at, first - at)) + lower(text.substr(first, end - first));
    }
    at = end;
  }
  return run.string(std::move(out));
}

Result<Value> string(Run& run, const Value& self, const Bound&) {
  if (self.isString()) return self;
  DCC_ASSIGN(std::string text, toText(run, self));
  return run.string(std::move(text));
}

Result<Value> safe(Run& run, const Value& self, const Bound&) {
  DCC_ASSIGN(std::string text, toText(run, self));
  return run.string(std::move(text), true);
}

Result<Value> escape(Run& run, const Value& self, const Bound&) {
  if (self.isString() && self.string()->safe) return self;
  DCC_ASSIGN(std::string text, toText(run, self));
  TextBuilder out(run);
  addEscaped(run.string(std::move(text)), out);
  return run.string(out.take(), true);
}

Result<Value> replace(Run& run, const Value& self, const Bound& args) {
  DCC_ASSIGN(const std::string text, toText(run, self));
  DCC_ASSIGN(const std::string from, toText(run, args[0]));
  DCC_ASSIGN(const std::string to, toText(run, args[1]));
  int64_t count = -1;
  if (args.has(2)) {
    DCC_ASSIGN(count, args.integer(2, -1));
  }
  return run.string(replaced(run, text, from, to, count));
}

Result<Value> indent(Run& run, const Value& self, const Bound& args) {
  DCC_RETURN_IF_ERROR(checkPlain(run, self));
  if (!self.isString()) {
    if (self.isUndefined()) return userError(self.why());
    return Error(typeError(self, "has no lines to indent"));
  }
  std::string width(4, ' ');
  if (args.given(0) && args[0].isString()) {
    width = args[0].text();
  } else {
    DCC_ASSIGN(const int64_t spaces, args.integer(0, 4));
    if (!run.room(static_cast<uint64_t>(std::max<int64_t>(spaces, 0)))) return self;
    width.assign(static_cast<size_t>(std::max<int64_t>(spaces, 0)), ' ');
  }
  const std::string text = std::string(self.text()) + "\n";
  TextBuilder out(run);
  bool first = true;
  for (const std::string_view line : splitLines(text, false)) {
    if (!first) out.add("\n");
    if (first ? args.flag(1, false) : !line.empty() || args.flag(2, false)) out.add(width);
    if (!out.add(line)) break;
    first = false;
  }
  return run.string(out.take());
}

Result<Value> truncate(Run& run, const Value& self, const Bound& args) {
  DCC_RETURN_IF_ERROR(checkPlain(run, self));
  DCC_ASSIGN(const int64_t most, args.integer(0, 255));
  DCC_ASSIGN(const std::string_view end, args.text(2, "..."));
  int64_t leeway = 5;
  if (args.has(3)) {
    DCC_ASSIGN(leeway, args.integer(3, 5));
  }
  const auto end_length = static_cast<int64_t>(text::countChars(end));
  if (most < end_length || leeway < 0) return userError("truncate: expected more length");
  DCC_ASSIGN(const int64_t given, length(self));
  if (given - leeway <= most) return self;
  if (!self.isString()) return Error(typeError(self, "is no text to truncate"));
  const std::string_view text = self.text();
  std::string_view kept = text.substr(0, byteOffset(text, most - end_length));
  if (!args.flag(1, false)) kept = kept.substr(0, kept.rfind(' '));
  return run.string(std::string(kept) + std::string(end));
}

Result<Value> wordcount(Run& run, const Value& self, const Bound&) {
  DCC_ASSIGN(const std::string text, toText(run, self));
  int64_t words = 0;
  bool within = false;
  for (size_t at = 0; at < text.size();) {
    const bool word = isWord(text::nextChar(text, at));
    words += word && !within ? 1 : 0;
    within = word;
  }
  return Value(words);
}

Result<Value> format(Run& run, const Value& self, const Bound& args) {
  const Arguments& all = args.all();
  if (!all.positional.empty() && !all.named.empty()) {
    return userError("can't handle positional and keyword arguments at the same time");
  }
  DCC_ASSIGN(const Value text, string(run, self, args));
  if (all.named.empty()) return percentFormat(run, text, run.tuple(all.positional));
  Dict named;
  for (const auto& [key, value] : all.named) named.set(run.string(key), value);
  return percentFormat(run, text, run.dict(std::move(named)));
}

void addQuoted(std::string_view text, bool query, TextBuilder& out) {
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !query);
    const auto byte = static_cast<unsigned char>(c);
    const char code[] = {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
    if (!out.add(plain               ? std::string_view(&c, 1)
                 : query && c == ' ' ? std::string_view("+")
                                     : std::string_view(code, 3))) {
      return;
    }
  }
}

// A text for a URL, or pairs as a query.
Result<Value> urlencode(Run& run, const Value& self, const Bound&) {
  TextBuilder out(run);
  std::vector<Value> pairs;
  if (self.dict() != nullptr) {
    for (const auto& [key, value] : self.dict()->dict.entries()) {
      DCC_RETURN_IF_ERROR(run.step());
      pairs.push_back(run.tuple({key, value}));
    }
  } else if (self.sequence() != nullptr || self.generator() != nullptr) {
    DCC_ASSIGN(pairs, items(run, self));
  } else {
    DCC_ASSIGN(const std::string text, toText(run, self));
    addQuoted(text, false, out);
    return run.string(out.take());
  }
  for (const Value& pair : pairs) {
    DCC_ASSIGN(const std::vector<Value> both, items(run, pair));
    if (both.size() != 2) return userError("urlencode takes pairs");
    DCC_ASSIGN(const std::string name, toText(run, both[0]));
    DCC_ASSIGN(const std::string text, toText(run, both[1]));
    if (out.size() > 0) out.add("&");
    addQuoted(name, true, out);
    out.add("=");
    addQuoted(text, true, out);
  }
  return run.string(out.take());
}

// As transformers defines it: json.dumps without escapes for HTML.
Result<Value> tojson(Run& run, const Value& self, const Bound& args) {
  JsonStyle style;
  style.ascii = args.flag(0, false);
  style.sort_keys = args.flag(3, false);
  if (args.has(1)) {
    style.lines = true;
    style.item_separator = ",";
    if (args[1].isString()) {
      style.indent = args[1].text();
    } else {
      DCC_ASSIGN(const int64_t spaces, args.integer(1, 0));
      if (!run.room(static_cast<uint64_t>(std::max<int64_t>(spaces, 0)))) return self;
      style.indent.assign(static_cast<size_t>(std::max<int64_t>(spaces, 0)), ' ');
    }
  }
  if (args.has(2)) {
    DCC_ASSIGN(const std::vector<Value> both, items(run, args[2]));
    if (both.size() != 2 || !both[0].isString() || !both[1].isString()) {
      return userError("tojson: separators must be two strings");
    }
    style.item_separator = both[0].text();
    style.key_separator = both[1].text();
  }
  TextBuilder out(run);
  DCC_RETURN_IF_ERROR(addJson(run, self, style, out));
  return run.string(out.take());
}

constexpr Native kFilters[] = {
    {"capitalize", asMethod<kCapitalize>, ""},
    {"center", center, "width"},
    {"e", escape, ""},
    {"escape", escape, ""},
    {"format", format, "*"},
    {"indent", indent, "width first blank"},
    {"lower", asMethod<kLower>, ""},
    {"replace", replace, "old new count", 2},
    {"safe", safe, ""},
    {"string", string, ""},
    {"title", title, ""},
    {"tojson", tojson, "ensure_ascii indent separators sort_keys"},
    {"trim", asMethod<kStrip>, "chars"},
    {"truncate", truncate, "length killwords end leeway"},
    {"upper", asMethod<kUpper>, ""},
    {"urlencode", urlencode, ""},
    {"wordcount", wordcount, ""},
};

}  // namespace

std::span<const Native> textFilters() { return kFilters; }

}  // namespace dcc::jinja
