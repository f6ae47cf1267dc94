#include "runtime/text/jinja/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "runtime/text/jinja/characters.h"
#include "runtime/text/utf8.h"

namespace dcc::jinja {
namespace {

void addEscape(char32_t c, std::string& out) {
  const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
  out += digits == 2 ? "\\x" : digits == 4 ? "\\u" : "\\U";
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    out += "0123456789abcdef"[c >> shift & 15];
  }
}

std::string quoted(std::string_view text) {
  const bool two = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char quote = two ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size();) {
    const char32_t c = text::nextChar(text, at);
    if (c == '\\' || c == static_cast<unsigned char>(quote)) {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (isPrintable(c)) {
      text::appendUtf8(out, c);
    } else {
      addEscape(c, out);
    }
  }
  return out + quote;
}

Status addItems(Run& run, const std::vector<Value>& items, TextBuilder& out) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.add(", ");
    DCC_RETURN_IF_ERROR(addRepr(run, items[i], out));
  }
  return Status::success();
}

Status addSequence(Run& run, const SequenceObject& sequence, TextBuilder& out) {
  std::string_view open = "[", close = "]";
  if (sequence.kind == SequenceKind::kTuple) {
    open = "(";
    close = sequence.items.size() == 1 ? ",)" : ")";
  } else if (sequence.kind >= SequenceKind::kKeys) {
    open = sequence.kind == SequenceKind::kKeys     ? "dict_keys(["
           : sequence.kind == SequenceKind::kValues ? "dict_values(["
                                                    : "dict_items([";
    close = "])";
  }
  out.add(open);
  DCC_RETURN_IF_ERROR(addItems(run, sequence.items, out));
  out.add(close);
  return Status::success();
}

Status addDict(Run& run, const Dict& dict, TextBuilder& out) {
  out.add("{");
  bool first = true;
  for (const auto& [key, value] : dict.entries()) {
    if (!first) out.add(", ");
    first = false;
    DCC_RETURN_IF_ERROR(addRepr(run, key, out));
    out.add(": ");
    DCC_RETURN_IF_ERROR(addRepr(run, value, out));
  }
  out.add("}");
  return Status::success();
}

}  // namespace

std::string floatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 32> buffer;
  const auto end =
      std::to_chars(buffer.begin(), buffer.end(), value, std::chars_format::scientific).ptr;
  const std::string_view text(buffer.data(), static_cast<size_t>(end - buffer.data()));
  const size_t e = text.find('e');
  int exponent = 0;
  const size_t sign = text[e + 1] == '+' ? 2 : 1;
  std::from_chars(text.data() + e + sign, text.data() + text.size(), exponent);
  // Python writes numbers from 1e-4 to below 1e16 without an exponent.
  if (exponent < -4 || exponent >= 16) return std::string(text);
  std::array<char, 64> plain;
  const auto stop = std::to_chars(plain.begin(), plain.end(), value, std::chars_format::fixed).ptr;
  std::string out(plain.data(), static_cast<size_t>(stop - plain.data()));
  if (out.find('.') == std::string::npos) out += ".0";
  return out;
}

Status addText(Run& run, const Value& value, TextBuilder& out) {
  if (value.isString()) {
    out.add(value.text());
    return Status::success();
  }
  return value.isUndefined() ? Status::success() : addRepr(run, value, out);
}

Status addRepr(Run& run, const Value& value, TextBuilder& out) {
  int64_t scratch;
  DCC_RETURN_IF_ERROR(run.step());
  if (value.isUndefined()) {
    out.add("Undefined");
  } else if (value.isNone()) {
    out.add("None");
  } else if (value.boolean() != nullptr) {
    out.add(*value.boolean() ? "True" : "False");
  } else if (const int64_t* integer = value.integer(scratch)) {
    out.add(std::to_string(*integer));
  } else if (value.floating() != nullptr) {
    out.add(floatText(*value.floating()));
  } else if (value.isString()) {
    // Ten bytes for one at most.
    const std::string text = run.room(value.text().size()) ? quoted(value.text()) : "";
    out.add(value.string()->safe ? "Markup(" + text + ")" : text);
  } else if (value.sequence() != nullptr && value.sequence()->kind != SequenceKind::kRange) {
    return addSequence(run, *value.sequence(), out);
  } else if (value.dict() != nullptr) {
    return addDict(run, value.dict()->dict, out);
  } else {
    return run.unsupported("the text of a " + std::string(typeName(value)));
  }
  return Status::success();
}

Result<std::string> toText(Run& run, const Value& value) {
  TextBuilder out(run);
  DCC_RETURN_IF_ERROR(addText(run, value, out));
  return out.take();
}

void addEscaped(const Value& text, TextBuilder& out) {
  if (text.string()->safe) {
    out.add(text.text());
    return;
  }
  for (const char c : text.text()) {
    const char* entity = c == '&'    ? "&amp;"
                         : c == '<'  ? "&lt;"
                         : c == '>'  ? "&gt;"
                         : c == '\'' ? "&#39;"
                         : c == '"'  ? "&#34;"
                                     : nullptr;
    if (!out.add(entity != nullptr ? std::string_view(entity) : std::string_view(&c, 1))) break;
  }
}

Status checkPlain(Run& run, const Value& value) {
  if (value.string() == nullptr || !value.string()->safe) return Status::success();
  return run.unsupported("working on a text that went through 'safe' or 'escape'");
}

size_t byteOffset(std::string_view text, int64_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) {
    at += text::utf8Length(static_cast<unsigned char>(text[at]));
  }
  return at;
}

size_t find(Run& run, std::string_view text, std::string_view wanted, size_t from) {
  const std::string_view rest = text.substr(from);
  // Needles of any length in linear time, which std::string_view does not promise.
  const void* found = ::memmem(rest.data(), rest.size(), wanted.data(), wanted.size());
  if (found == nullptr) {
    run.spend(rest.size() / 32);
    return text.npos;
  }
  const size_t at = from + static_cast<size_t>(static_cast<const char*>(found) - rest.data());
  run.spend(1 + (at - from) / 32);
  return at;
}

size_t findLast(Run& run, std::string_view text, std::string_view wanted) {
  // Before it takes the time.
  if (!run.spend(text.size() / 32 * (1 + wanted.size() / 8))) return text.npos;
  return text.rfind(wanted);
}

template <class Drop>
std::string_view stripped(std::string_view text, Side side, Drop drop) {
  size_t begin = 0, end = text.size();
  while (side != Side::kRight && begin < end) {
    size_t next = begin;
    if (!drop(text::nextChar(text, next))) break;
    begin = next;
  }
  while (side != Side::kLeft && end > begin) {
    size_t before = end;
    if (!drop(text::previousChar(text, before))) break;
    end = before;
  }
  return text.substr(begin, end - begin);
}

std::string_view strip(std::string_view text, Side side) { return stripped(text, side, isSpace); }

std::string_view strip(std::string_view text, Side side, std::string_view chars) {
  std::u32string all;
  for (size_t at = 0; at < chars.size();) all += text::nextChar(chars, at);
  std::sort(all.begin(), all.end());
  return stripped(text, side,
                  [&](char32_t c) { return std::binary_search(all.begin(), all.end(), c); });
}

std::string replaced(Run& run, std::string_view text, std::string_view from, std::string_view to,
                     int64_t count) {
  TextBuilder out(run);
  uint64_t left = count < 0 ? UINT64_MAX : static_cast<uint64_t>(count);
  size_t at = 0;
  if (from.empty()) {
    for (; left > 0; --left) {
      if (!out.add(to) || at == text.size()) break;
      const size_t length = text::utf8Length(static_cast<unsigned char>(text[at]));
      out.add(text.substr(at, length));
      at += length;
    }
  } else {
    for (; left > 0; --left) {
      const size_t found = find(run, text, from, at);
      if (found == text.npos) break;
      out.add(text.substr(at, found - at));
      if (!out.add(to)) break;
      at = found + from.size();
    }
  }
  out.add(text.substr(at));
  return out.take();
}

std::vector<std::string_view> splitLines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = at;
    const char32_t c = text::nextChar(text, at);
    if (!isLineEnd(c)) continue;
    if (c == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

}  // namespace dcc::jinja
