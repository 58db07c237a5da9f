// See text.h.
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/terminal.h"

static void reserve(struct text *text, size_t more) {
  if (text->capacity - text->length > more) return;
  size_t capacity = text->capacity ? text->capacity * 2 : 128;
  while (capacity - text->length <= more) capacity *= 2;
  text->bytes = memory_grow(text->bytes, capacity);
  text->capacity = capacity;
}

void text_append(struct text *text, const void *bytes, size_t length) {
  reserve(text, length);
  if (length) memcpy(text->bytes + text->length, bytes, length);
  text->length += length;
  text->bytes[text->length] = '\0';
}

void text_add(struct text *text, const char *string) { text_append(text, string, strlen(string)); }
void text_char(struct text *text, char character) { text_append(text, &character, 1); }

void text_vformat(struct text *text, const char *format, va_list arguments) {
  char brief[128];  // most texts are: written once
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(brief, sizeof brief, format, again);
  va_end(again);
  if (length < 0) return;
  if ((size_t)length < sizeof brief) {
    text_append(text, brief, (size_t)length);
    return;
  }
  reserve(text, (size_t)length + 1);
  vsnprintf(text->bytes + text->length, (size_t)length + 1, format, arguments);
  text->length += (size_t)length;
}

void text_format(struct text *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  text_vformat(text, format, arguments);
  va_end(arguments);
}

void text_clear(struct text *text) {
  text->length = 0;
  if (text->bytes) text->bytes[0] = '\0';
}

void text_free(struct text *text) {
  free(text->bytes);
  *text = (struct text){0};
}

const char *text_string(const struct text *text) { return text->bytes ? text->bytes : ""; }

// Writes whole / 10^decimals, 0 <= whole < 10^15.
static int put_decimal(bool negative, int64_t whole, int decimals, char *out) {
  char reversed[32];
  int length = 0, size = 0;
  for (; whole > 0 || length <= decimals + (decimals > 0); whole /= 10) {
    if (length == decimals && decimals > 0) reversed[length++] = '.';
    reversed[length++] = (char)('0' + whole % 10);
  }
  if (negative) out[size++] = '-';
  while (length > 0) out[size++] = reversed[--length];
  out[size] = '\0';
  return size;
}

// Numbers as people write them: a whole number over a power of ten that a double holds exactly, so that the one
// rounding of the quotient is that of reading the digits. The least such power gives the fewest digits.
static int short_decimal(double value, char *out) {
  static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
  double size = fabs(value);
  if (!(size >= 1e-4 && size < 1e15)) return 0;
  for (int decimals = 0; decimals < (int)(sizeof powers / sizeof *powers); decimals++) {
    double whole = nearbyint(size * powers[decimals]);
    if (!(whole < 1e15)) return 0;
    if (whole / powers[decimals] == size) return put_decimal(value < 0, (int64_t)whole, decimals, out);
  }
  return 0;
}

int number_shortest(double value, char out[32]) {
  if (isnan(value)) return snprintf(out, 32, "nan");
  if (isinf(value)) return snprintf(out, 32, value > 0 ? "inf" : "-inf");
  int brief = short_decimal(value, out);
  if (brief) return brief;
  if (value == 0) return snprintf(out, 32, "0");
  for (int digits = 1; digits < 17; digits++) {
    snprintf(out, 32, "%.*g", digits, value);
    if (strtod(out, NULL) == value) return (int)strlen(out);
  }
  return snprintf(out, 32, "%.17g", value);
}

const char *number_digits(double value, int digits, char out[32]) {
  if (isnan(value))
    snprintf(out, 32, "-");
  else
    snprintf(out, 32, "%.*g", digits, value);
  return out;
}

int interval_digits(double low, double high, int least) {
  enum { UNITS = 5, MOST = 17 };
  double size = fmax(fabs(low), fabs(high)), width = high - low;
  int digits = least;
  if (!isfinite(width) || !(width > 0)) return least;
  while (digits < MOST && width < UNITS * pow(10, floor(log10(size)) + 1 - digits)) digits++;
  return digits;
}

const char *loss_human(double value, char out[32]) {
  bool usual = value == 0 || (fabs(value) >= 1e-3 && fabs(value) < 1e7);
  snprintf(out, 32, usual ? "%.4f" : "%.4g", value);
  return out;
}

const char *number_human(double value, char out[32]) {
  static const char suffix[] = {'\0', 'k', 'M', 'G', 'T'};
  double size = fabs(value);
  int step = 0;
  while (step < 4 && size >= 999.5) {
    size /= 1000;
    value /= 1000;
    step++;
  }
  if (size >= 999.5) {
    for (int i = 0; i < step; i++) value *= 1000;
    snprintf(out, 32, "%.3g", value);
  } else if (step == 0) {
    snprintf(out, 32, "%.3g", value);
  } else {
    snprintf(out, 32, "%.*f%c", size < 9.995 ? 2 : size < 99.95 ? 1 : 0, value, suffix[step]);
  }
  return out;
}

const char *bytes_human(double bytes, char out[32]) {
  static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int step = 0;
  while (step < 4 && bytes >= 1023.5) {
    bytes /= 1024;
    step++;
  }
  snprintf(out, 32, "%.*f %s", step == 0 || bytes >= 99.5 ? 0 : 1, bytes, unit[step]);
  return out;
}

const char *seconds_human(double seconds, char out[32]) {
  if (!(seconds >= 0) || isinf(seconds)) {
    snprintf(out, 32, "?");
  } else if (seconds < 9.95) {
    snprintf(out, 32, "%.1f s", seconds);
  } else if (seconds < 99.5) {
    snprintf(out, 32, "%.0f s", seconds);
  } else if (seconds < 3570) {
    snprintf(out, 32, "%.0f min", seconds / 60);
  } else if (seconds < 86400 * 2) {
    long minutes = lround(seconds / 60);
    snprintf(out, 32, "%ld h %02ld min", minutes / 60, minutes % 60);
  } else {
    snprintf(out, 32, "%.1f days", seconds / 86400);
  }
  return out;
}

bool number_parse(const char *text, double *value) {
  if (!*text || isspace((unsigned char)*text)) return false;
  // strtod takes hexadecimal and "nan(...)": not numbers of a spec.
  for (const char *c = text; *c; c++)
    if (*c == 'x' || *c == 'X' || *c == '(') return false;
  char *end;
  if (*text == '.' && isalpha((unsigned char)text[1])) return false;
  double parsed = strtod(text, &end);
  if (*end) return false;
  *value = parsed;
  return true;
}

bool integer_parse(const char *text, int64_t *value) {
  if (!*text || isspace((unsigned char)*text)) return false;
  char *end;
  errno = 0;
  long long parsed = strtoll(text, &end, 10);
  if (!*end && errno == 0) {
    *value = parsed;
    return true;
  }
  double number;
  if (!number_parse(text, &number) || number != floor(number) || fabs(number) >= 0x1p53) return false;
  *value = (int64_t)number;
  return true;
}

size_t edit_distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  if (n > 200 || m > 200) return n > m ? n : m;
  size_t rows[3][204];
  size_t *before = rows[0], *last = rows[1], *now = rows[2];
  for (size_t j = 0; j <= m; j++) last[j] = j;
  memset(rows[0], 0, sizeof rows[0]);
  for (size_t i = 1; i <= n; i++) {
    now[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t cost = last[j - 1] + (a[i - 1] != b[j - 1]);
      if (last[j] + 1 < cost) cost = last[j] + 1;
      if (now[j - 1] + 1 < cost) cost = now[j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < cost)
        cost = before[j - 2] + 1;
      now[j] = cost;
    }
    size_t *spare = before;
    before = last;
    last = now;
    now = spare;
  }
  return last[m];
}

const char *nearest_name(const char *name, const char *const *candidates, size_t count) {
  const char *best = NULL;
  size_t best_distance = (size_t)-1;
  size_t limit = strlen(name) / 3;
  if (limit < 2) limit = 2;
  for (size_t i = 0; i < count; i++) {
    const char *part = strrchr(candidates[i], '.');
    size_t distance = edit_distance(name, candidates[i]);
    if (part) {
      size_t of_part = edit_distance(name, part + 1);
      if (of_part < distance) distance = of_part;
    }
    if (distance < best_distance) {
      best_distance = distance;
      best = candidates[i];
    }
  }
  return best && best_distance <= limit && best_distance < strlen(name) ? best : NULL;
}

const char *did_you_mean(const char *nearest, char out[160]) {
  snprintf(out, 160, "did you mean '%.140s'?", nearest);
  return out;
}

const char **text_split(struct arena *arena, const char *text, const char *separators, size_t *count) {
  *count = 0;
  if (!text) return NULL;
  char *copy = arena_string(arena, text), *save = NULL;
  const char **items = arena_array(arena, strlen(text) / 2 + 1, sizeof *items);
  for (char *item = strtok_r(copy, separators, &save); item; item = strtok_r(NULL, separators, &save))
    items[(*count)++] = item;
  return items;
}

bool starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

bool ends_with(const char *text, const char *suffix) {
  size_t n = strlen(text), m = strlen(suffix);
  return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

size_t utf8_valid_prefix(const void *bytes, size_t length) {
  const unsigned char *s = bytes;
  size_t i = 0;
  while (i < length) {
    unsigned char c = s[i];
    size_t more;
    uint32_t code;
    if (c < 0x80) {
      i++;
      continue;
    } else if (c >= 0xC2 && c <= 0xDF) {
      more = 1;
      code = c & 0x1Fu;
    } else if (c >= 0xE0 && c <= 0xEF) {
      more = 2;
      code = c & 0x0Fu;
    } else if (c >= 0xF0 && c <= 0xF4) {
      more = 3;
      code = c & 0x07u;
    } else {
      return i;
    }
    if (length - i <= more) return i;
    for (size_t j = 1; j <= more; j++) {
      if ((s[i + j] & 0xC0) != 0x80) return i;
      code = code << 6 | (s[i + j] & 0x3Fu);
    }
    if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000) || code > 0x10FFFF ||
        (code >= 0xD800 && code <= 0xDFFF))
      return i;
    i += more + 1;
  }
  return length;
}

int text_characters(const char *text, size_t bytes) {
  int count = 0;
  for (size_t i = 0; i < bytes; i++) count += ((unsigned char)text[i] & 0xC0) != 0x80;
  return count;
}

const char *text_clipped(const char *text, char out[72]) {
  size_t length = strlen(text);
  if (length < 64) return text;
  size_t keep = 60;
  while (keep && ((unsigned char)text[keep] & 0xC0) == 0x80) keep--;
  memcpy(out, text, keep);
  memcpy(out + keep, "...", 4);
  return out;
}

void text_filled(struct text *out, const char *text, int column, int indent) {
  bool first = true;
  for (const char *at = text; *at;) {
    size_t space = strspn(at, " \n"), word = strcspn(at + space, " \n");
    if (!word) break;
    if (!first && column + 1 + (int)word > 100) {
      text_format(out, "\n%*s", indent, "");
      column = indent;
    } else if (!first) {
      text_char(out, ' ');
      column++;
    }
    text_format(out, "%.*s", (int)word, at + space);
    column += (int)word;
    first = false;
    at += space + word;
  }
  text_char(out, '\n');
}

void print_filled(FILE *out, const char *text, int column, int indent) {
  struct text filled = {0};
  struct arena arena = {0};
  text_filled(&filled, visible(&arena, text), column, indent);  // names from outside may stand in it
  fputs(text_string(&filled), out);
  text_free(&filled);
  arena_free(&arena);
}

void text_add_shell(struct text *text, const char *argument) {
  bool plain =
      *argument &&
      strspn(argument, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%") == strlen(argument);
  if (plain) {
    text_add(text, argument);
    return;
  }
  text_char(text, '\'');
  for (const char *c = argument; *c; c++)
    if (*c == '\'')
      text_add(text, "'\\''");
    else
      text_char(text, *c);
  text_char(text, '\'');
}
