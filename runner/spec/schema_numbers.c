// Numbers that a reader of YAML 1.1 (PyYAML) takes for text, since they have an exponent: 1e6. A schema can hold text
// to a range by a pattern: the place of the first digit and the exponent say the order of magnitude.
#include <math.h>

#include "runner/spec/schema_write.h"

enum { MOST_DIGITS = 6, ANY = 400 };  // digits before the point, or zeroes behind it; beyond every double's exponent

static int order(double value) {
  double exponent = floor(log10(value));
  // log10 of a power of ten may be a hair less
  return (int)(pow(10, exponent + 1) <= value ? exponent + 1 : exponent);
}

// Exponents from `low` to `high`, with their letter; false for none.
static bool put_exponents(struct text *out, int low, int high) {
  if (low > high) return false;
  text_add(out, "[eE](");
  if (high >= ANY)
    text_add(out, "[+]?[0-9]+");
  else if (high >= 0)
    text_add(out, "[+]?0*(");
  for (int e = low > 0 ? low : 0; e <= high && high < ANY; e++)
    text_format(out, "%s%d", e > (low > 0 ? low : 0) ? "|" : "", e);
  if (high >= 0 && high < ANY) text_char(out, ')');
  if (low < 0 && high >= 0) text_char(out, '|');
  if (low <= -ANY && high >= -1)
    text_add(out, "-[0-9]+");
  else if (low < 0) {
    text_add(out, "-0*(");
    for (int e = low; e <= (high < -1 ? high : -1); e++) text_format(out, "%s%d", e > low ? "|" : "", -e);
    text_char(out, ')');
  }
  text_char(out, ')');
  return true;
}

// Mantissas whose first digit stands for 10^place: digits before the point, or zeroes behind it.
static void put_mantissa(struct text *out, int place) {
  if (place >= 0)
    text_format(out, "[1-9][0-9]{%d}([.][0-9]*)?", place);
  else
    text_format(out, "0?[.]0{%d}[1-9][0-9]*", -place - 1);
}

const char *schema_number_pattern(double low, double high, bool whole, struct arena *arena) {
  bool bounded = high < 1e300;
  int least = low > 0 ? order(low) : -ANY, most = bounded ? order(high) : ANY;
  bool power = bounded && high == pow(10, most);  // then nothing but itself is of this order
  struct text out = {0};
  text_add(&out, "^[+]?(");
  if (low <= 0) text_add(&out, "0+[.]?0*[eE][-+]?[0-9]+|");
  bool first = true;
  for (int place = -MOST_DIGITS; place < MOST_DIGITS; place++) {
    struct text exponents = {0};
    int from = least <= -ANY ? -ANY : least - place, to = most >= ANY ? ANY : most - power - place;
    if (whole && from < -place) from = -place;  // 1200e-2; less is a fraction
    if (put_exponents(&exponents, from, to)) {
      if (!first) text_char(&out, '|');
      put_mantissa(&out, place);
      text_add(&out, text_string(&exponents));
      first = false;
    }
    text_free(&exponents);
  }
  for (int place = 0; power && place < MOST_DIGITS && most >= place; place++)
    text_format(&out, "|10{%d}[.]?0*[eE][+]?0*%d", place, most - place);
  text_add(&out, ")$");
  const char *pattern = arena_string(arena, text_string(&out));
  text_free(&out);
  return pattern;
}
