#include "runtime/text/jinja/json.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/text/jinja/operators.h"
#include "runtime/text/jinja/text.h"
#include "runtime/text/utf8.h"

namespace dcc::jinja {
namespace {

void addUnit(char32_t unit, std::string& out) {
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += "0123456789abcdef"[unit >> shift & 15];
}

std::string quoted(std::string_view text, bool ascii) {
  std::string out = "\"";
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t c = text::nextChar(text, at);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\b':
        out += "\\b";
        break;
      default:
        if (c < 0x20 || (ascii && c >= 0x7F && c < 0x10000)) {
          addUnit(c, out);
        } else if (ascii && c >= 0x10000) {
          addUnit(0xD800 + ((c - 0x10000) >> 10), out);
          addUnit(0xDC00 + ((c - 0x10000) & 0x3FF), out);
        } else {
          out += text.substr(begin, at - begin);
        }
    }
  }
  return out + '"';
}

class JsonWriter {
 public:
  JsonWriter(Run& run, const JsonStyle& style, TextBuilder& out)
      : run_(run), style_(style), out_(out) {}

  Status add(const Value& value) {
    DCC_RETURN_IF_ERROR(run_.step());
    if (value.isString()) return addString(value.text());
    if (value.dict() != nullptr) return addObject(value.dict()->dict);
    const SequenceObject* sequence = value.sequence();
    if (sequence != nullptr && sequence->kind <= SequenceKind::kTuple) {
      return addArray(sequence->items);
    }
    return addScalar(
        value, "Object of type " + std::string(typeName(value)) + " is not JSON serializable");
  }

 private:
  Status addString(std::string_view text) {
    if (run_.room(text.size())) out_.add(quoted(text, style_.ascii));
    return Status::success();
  }

  Status addScalar(const Value& value, const std::string& otherwise) {
    int64_t scratch;
    if (value.isNone()) {
      out_.add("null");
    } else if (value.boolean() != nullptr) {
      out_.add(*value.boolean() ? "true" : "false");
    } else if (const int64_t* integer = value.integer(scratch)) {
      out_.add(std::to_string(*integer));
    } else if (const double* number = value.floating()) {
      out_.add(std::isnan(*number)   ? "NaN"
               : std::isinf(*number) ? (*number < 0 ? "-Infinity" : "Infinity")
                                     : floatText(*number));
    } else {
      return userError(otherwise);
    }
    return Status::success();
  }

  void newLine() {
    if (!style_.lines) return;
    out_.add("\n");
    out_.repeat(style_.indent, static_cast<uint64_t>(level_));
  }

  Status addArray(const std::vector<Value>& items) {
    if (items.empty()) {
      out_.add("[]");
      return Status::success();
    }
    out_.add("[");
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.add(style_.item_separator);
      newLine();
      DCC_RETURN_IF_ERROR(add(items[i]));
    }
    --level_;
    newLine();
    out_.add("]");
    return Status::success();
  }

  Status addKey(const Value& key) {
    if (key.isString()) return addString(key.text());
    out_.add("\"");
    DCC_RETURN_IF_ERROR(addScalar(
        key, "keys must be str, int, float, bool or None, not " + std::string(typeName(key))));
    out_.add("\"");
    return Status::success();
  }

  Status addObject(const Dict& dict) {
    if (dict.size() == 0) {
      out_.add("{}");
      return Status::success();
    }
    std::vector<std::pair<Value, Value>> entries = dict.entries();
    if (style_.sort_keys) DCC_RETURN_IF_ERROR(sort(entries));
    out_.add("{");
    ++level_;
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out_.add(style_.item_separator);
      newLine();
      DCC_RETURN_IF_ERROR(addKey(entries[i].first));
      out_.add(style_.key_separator);
      DCC_RETURN_IF_ERROR(add(entries[i].second));
    }
    --level_;
    newLine();
    out_.add("}");
    return Status::success();
  }

  // Keys of one type, or Python cannot sort them.
  Status sort(std::vector<std::pair<Value, Value>>& entries) {
    for (const auto& [key, value] : entries) {
      if (Result<bool> known = less(run_, entries.front().first, key); !known.ok()) {
        return known.error();
      }
    }
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto& a, const auto& b) { return KeyLess()(a.first, b.first); });
    return Status::success();
  }

  Run& run_;
  const JsonStyle& style_;
  TextBuilder& out_;
  int level_ = 0;
};

}  // namespace

Status addJson(Run& run, const Value& value, const JsonStyle& style, TextBuilder& out) {
  return JsonWriter(run, style, out).add(value);
}

Result<Value> fromJson(Run& run, const nlohmann::ordered_json& json) {
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::object: {
      Dict dict;
      for (const auto& [key, value] : json.items()) {
        DCC_ASSIGN(Value converted, fromJson(run, value));
        dict.set(run.string(key), std::move(converted));
      }
      return run.dict(std::move(dict));
    }
    case nlohmann::ordered_json::value_t::array: {
      std::vector<Value> items;
      for (const auto& item : json) {
        DCC_ASSIGN(Value converted, fromJson(run, item));
        items.push_back(std::move(converted));
      }
      return run.list(std::move(items));
    }
    case nlohmann::ordered_json::value_t::string:
      return run.string(json.get<std::string>());
    case nlohmann::ordered_json::value_t::boolean:
      return Value(json.get<bool>());
    case nlohmann::ordered_json::value_t::number_unsigned:
      if (json.get<uint64_t>() > INT64_MAX) {
        return Error(run.unsupported("an integer of more than 64 bits"));
      }
      [[fallthrough]];
    case nlohmann::ordered_json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case nlohmann::ordered_json::value_t::number_float:
      return Value(json.get<double>());
    default:
      return Value(None());
  }
}

}  // namespace dcc::jinja
