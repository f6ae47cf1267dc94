// What Python's str() and repr() make of values, and texts by characters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/text/jinja/run.h"
#include "runtime/text/jinja/value.h"

namespace dcc::jinja {

// What {{ value }} prints. Error (unsupported): functions, generators and such, whose text holds
// an address.
Status addText(Run& run, const Value& value, TextBuilder& out);
Result<std::string> toText(Run& run, const Value& value);
// As `repr`: texts in quotes.
Status addRepr(Run& run, const Value& value, TextBuilder& out);
// The shortest digits that are this float: "1.0", "1e-05", "inf".
std::string floatText(double value);

// With &lt; and the like for characters that HTML means something by; as it is where it is safe.
void addEscaped(const Value& text, TextBuilder& out);
// A text that is not safe: that formats, and takes in others, in a way of its own. Error:
// unsupported.
Status checkPlain(Run& run, const Value& value);

// Byte offset of the character of this number (not negative); the end where there are fewer.
size_t byteOffset(std::string_view text, int64_t index);

// Where `wanted` stands first from a byte on, or last; npos: nowhere. The first takes linear time,
// the second the product of both lengths at most.
size_t find(Run& run, std::string_view text, std::string_view wanted, size_t from = 0);
size_t findLast(Run& run, std::string_view text, std::string_view wanted);

// `text` without leading and trailing characters that are in `chars`, or white space without.
enum class Side { kLeft, kRight, kBoth };
std::string_view strip(std::string_view text, Side side);
std::string_view strip(std::string_view text, Side side, std::string_view chars);

// str.replace(): the first `count` occurrences; a negative count: all. An empty `from` is before
// every character and at the end.
std::string replaced(Run& run, std::string_view text, std::string_view from, std::string_view to,
                     int64_t count);

// str.splitlines().
std::vector<std::string_view> splitLines(std::string_view text, bool keep_ends);

}  // namespace dcc::jinja
