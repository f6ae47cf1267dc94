// Properties of characters, as the `tokenizers` library knows them.
//
// It takes them from several Rust packages, some with tables of an old Unicode: there a character
// that a later Unicode added has no property, and one whose category changed still has the old one.
// Goldens depend on that (BERT's cleaning, T5's normalization), so it is kept, and tested for every
// character.
#pragma once

#include <string>
#include <string_view>

namespace dcc::text {

bool isWhiteSpace(char32_t c);  // White_Space
bool isNumeric(char32_t c);     // categories Nd, Nl, No
// Alphabetic, marks, Nd, Pc, Join_Control: \w of Rust's regular expressions.
bool isWord(char32_t c);
// ASCII punctuation (with symbols) and the categories P of Unicode 8.
bool isPunctuation(char32_t c);
bool isControl(char32_t c);         // Cc, Cf, Co of Unicode 8
bool isNonspacingMark(char32_t c);  // Mn of Unicode 8
bool isMark(char32_t c);            // M of Unicode 9
// A number for the script of Unicode 9; 0: none.
int scriptOf(char32_t c);

// Lower case of one character on its own (U+0130 has two).
void appendLowercase(std::string& out, char32_t c);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
// `text` in a normal form of Unicode 11: characters that are newer stay as they are.
std::string normalForm(NormalForm form, std::string_view text);

}  // namespace dcc::text
